"""The whole way: media in, templates, decisions and matches out. Each step can be called alone."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from faceset import aggregation, people, scoring
from faceset.aggregation import Aggregator
from faceset.calibration import FAR, FPIR, Calibration
from faceset.enrolment import EnrollReport, Enrolment, Seen
from faceset.errors import (
    DuplicateMediaError,
    EmbedderMismatchError,
    InputError,
    ManyPeopleError,
    MediaError,
    NoFaceError,
    UnknownPersonError,
)
from faceset.gallery import Gallery, Uid
from faceset.media import Media, Source
from faceset.parts import assemble
from faceset.pipeline import DEFAULT_MIN_FACE, FaceSets, Pipeline
from faceset.scoring import Threshold
from faceset.templates import template_span
from faceset.types import Decision, FaceSet, Match, ProgressCallback, Template

if TYPE_CHECKING:
    from faceset.detection import Detector
    from faceset.embedding import Embedder
    from faceset.packs.pack import Pack
    from faceset.tracking import TrackerOptions

log = logging.getLogger("faceset")

DEFAULT_FPS = 5.0
DEFAULT_MIN_TRACK = 2


class Recognizer:
    """Turns media into templates and answers with them. May be shared by threads.

    Args:
        detector: ``"mtcnn"`` (default), ``"hog"``, ``"yunet"``, or a :class:`~faceset.detection.base.Detector`.
        embedder: name of an embedder (``faceset models list``; default ``dlib-resnet``), path of a manifest, or an
            :class:`~faceset.embedding.Embedder`. An imported pack brings what is said of ``pack``.
        pack: folder that ``faceset export`` wrote, or a :class:`~faceset.packs.pack.Pack`: embedder, aggregator,
            threshold and calibration in one.
        aggregator: name of an aggregator (:func:`faceset.aggregation.names`), path of a trained one (``.onnx``), or an
            object that is one; default that of the pack or that ships for the embedder, else the mean.
        fps: frames a second that are looked at in a video or stream; None looks at every frame. Of arrays every one is
            looked at.
        threshold: accept when a score reaches it, whatever was calibrated.
        far, fpir: rate of false acceptance that :meth:`compare` aims at, and share of searches for strangers that
            :meth:`identify` may answer with a name, each between 0 and 1. They need a calibration.
        calibration: thresholds measured on people: ``"none"``, ``"shipped"``, a file of ``faceset calibrate``, or a
            :class:`~faceset.calibration.Calibration`; default your own for this embedder and aggregator, else the one
            of the pack or that ships, else the embedder's own threshold. Every answer says which.
        min_face: faces smaller than this (square root of the box's area, in pixels) are passed over.
        min_track: `identify` passes over tracks of fewer faces in videos and streams, because a single detection among
            many frames is most often a false one.
        keep_crops: keep the aligned crop of every face in templates (for contact sheets).
        tracker: options of the tracker; default chosen for the embedder.
        reader: what turns media into face sets, in place of a pipeline of ``detector``, ``embedder``, ``min_face``,
            ``keep_crops`` and ``tracker``, which are then not looked at; a ``pack`` must be of its embedder.

    Raises:
        ModelError: a model cannot be found, read or used.
        InputError: an unknown name, or parts that do not fit together.
        CalibrationError: the calibration cannot be read.

    >>> import faceset
    >>> faceset.Recognizer(aggregator="mean").aggregator.name
    'mean'
    """

    def __init__(
        self,
        *,
        detector: str | Detector = "mtcnn",
        embedder: str | Embedder | None = None,
        pack: str | os.PathLike[str] | Pack | None = None,
        aggregator: str | Aggregator | None = None,
        fps: float | None = DEFAULT_FPS,
        threshold: float | None = None,
        far: float = FAR,
        fpir: float = FPIR,
        calibration: str | os.PathLike[str] | Calibration | None = None,
        min_face: float = DEFAULT_MIN_FACE,
        min_track: int = DEFAULT_MIN_TRACK,
        keep_crops: bool = False,
        tracker: TrackerOptions | None = None,
        reader: FaceSets | None = None,
    ) -> None:
        self.reader, self.aggregator, self.thresholds = assemble(
            detector=detector,
            embedder=embedder,
            pack=pack,
            aggregator=aggregator,
            threshold=threshold,
            far=far,
            fpir=fpir,
            calibration=calibration,
            min_face=min_face,
            keep_crops=keep_crops,
            tracker=tracker,
            reader=reader,
        )
        if min_track < 1:
            raise InputError(f"min_track must be at least 1, but got {min_track}")
        self.fps, self.min_track = fps, min_track

    @property
    def pipeline(self) -> Pipeline:
        """The models in use; an :class:`InputError` where they run in another process."""
        if not isinstance(self.reader, Pipeline):
            raise InputError("the models of this recogniser run in another process; only its answers can be had here")
        return self.reader

    @property
    def detector(self) -> Detector:
        """The detector in use; as :attr:`pipeline`."""
        return self.pipeline.detector

    @property
    def embedder(self) -> Embedder:
        """The embedder in use; as :attr:`pipeline`."""
        return self.pipeline.embedder

    @property
    def model_id(self) -> str:
        """Id of the embedder; templates of another one are refused."""
        return self.reader.embedder.model_id

    @property
    def threshold(self) -> Threshold:
        """The caller's threshold, else the embedder's own for two single faces; tracks of a source are joined by it.

        What :meth:`compare` and :meth:`identify` answer with depends on the sizes of the sets and of the gallery, and
        stands in the answer.

        Raises:
            ThresholdError: the embedder has none and none was given.
        """
        return self.thresholds.own or scoring.threshold_for(None, None, None)

    # ------------------------------------------------------------------------------------------------ the steps

    def face_sets(self, source: Source, *, progress: ProgressCallback | None = None) -> Iterator[FaceSet]:
        """Every person and shot of a source as one :class:`~faceset.types.FaceSet`, each as soon as its track ends.

        Raises:
            MediaError: the source cannot be read.
        """
        for medium in self.reader.find(source).media:
            yield from self._face_sets(medium, progress)

    def aggregate(self, sets: Sequence[FaceSet]) -> Template:
        """One template over all faces of ``sets``, which are taken to be one person."""
        return aggregation.aggregate_set(self.aggregator, sets)

    def template(self, source: Source, *, progress: ProgressCallback | None = None) -> Template:
        """One template of the one person in ``source``.

        Others in the source are left out by the rules of :mod:`faceset.people`, and ``Template.left_out`` says whom.

        Raises:
            MediaError: the source cannot be read.
            NoFaceError: no face was found.
            ManyPeopleError: several people were seen, and nothing says who is meant.
        """
        single, seen, notes = self._look(source, progress)
        bound = self._same_person_score()
        known = [sets for one in seen if people.is_sure(one.persons) for sets in one.persons]
        reference = people.centre([s for sets in known for s in sets]) if known else None
        chosen: list[FaceSet] = []
        reasons: list[str] = []
        for one in seen:
            notes += one.notes
            if one.problem is not None:
                reasons.append(one.problem)
                continue
            choice = people.choose(one.persons, bound, reference)
            chosen += choice.sets
            notes += choice.left_out
            if choice.reason is not None:
                reasons.append(choice.reason)
        if not chosen:
            several = any(len(one.persons) > 1 for one in seen)
            self._nothing_usable(source, reasons, single, several=several)
        return dataclasses.replace(self.aggregate(chosen), left_out=(*notes, *reasons))

    # ----------------------------------------------------------------------------------------------- the answers

    def compare(
        self, a: Source | Template, b: Source | Template, *, progress: ProgressCallback | None = None
    ) -> Decision:
        """Whether two sources (or templates) show the same person.

        Raises:
            EmbedderMismatchError: a template of another embedder.
            ThresholdError: no threshold is known, or FAR is below every one that was calibrated.
            FacesetError: see :meth:`template`.
        """
        makers = [x.aggregator if isinstance(x, Template) else self.aggregator.name for x in (a, b)]
        self.thresholds.pair((makers[0], makers[1]), (1, 1))  # fails before the work
        first, second = (x if isinstance(x, Template) else self.template(x, progress=progress) for x in (a, b))
        for template in (first, second):
            self._check_id(template.model_id, "a template")
        names = dict.fromkeys((first.aggregator, second.aggregator))
        threshold = self.thresholds.pair((first.aggregator, second.aggregator), (len(first), len(second)))
        return Decision(
            score=scoring.similarity(first, second),
            threshold=threshold.value,
            threshold_source=threshold.source,
            faces=(len(first), len(second)),
            model_id=self.model_id,
            aggregator="/".join(names),
            left_out=first.left_out + second.left_out,
            far=threshold.far,
        )

    def identify(
        self,
        gallery: Gallery,
        source: Source | Template,
        *,
        k: int = 5,
        progress: ProgressCallback | None = None,
    ) -> Iterator[Match]:
        """Who is in ``source``: one :class:`~faceset.types.Match` per track, each as soon as the track ends.

        The answer is an iterator, so that it works on a stream without end; ``list()`` collects it.

        Args:
            gallery: whom to look for.
            source: media, or one template.
            k: number of candidates each match lists.
            progress: called after every batch of frames.

        Raises:
            InputError: k is below 1.
            EmbedderMismatchError: the gallery or the template is of another embedder.
            ThresholdError: no threshold is known, or FPIR is below every one that was calibrated.
            MediaError: the source cannot be read.
        """
        if not isinstance(k, int) or k < 1:
            raise InputError(f"k must be a whole number of at least 1, but got {k!r}")
        self._check_gallery(gallery)
        maker = source.aggregator if isinstance(source, Template) else self.aggregator.name
        self.thresholds.search((maker, self.aggregator.name), (1, 1), len(gallery))  # fails before the work
        if isinstance(source, Template):
            self._check_id(source.model_id, "a template")
            return iter([self._match(gallery, source, k, template_span(source))])
        return self._identify(gallery, self.reader.find(source).media, k, progress)

    def enroll(
        self, gallery: Gallery, name: str | Uid, source: Source, *, progress: ProgressCallback | None = None
    ) -> EnrollReport:
        """Add everything in ``source`` to the person ``name``, who is created when new.

        An id in place of a name (:class:`faceset.gallery.Uid`) creates nobody, and means the same person even when
        they are renamed meanwhile.

        Each medium is written in its own transaction as soon as it is understood, so an interruption loses nothing
        that was finished. Media that show several people wait until the others are in.

        Raises:
            NoFaceError, ManyPeopleError, MediaError: not one medium could be used; the message says why.
            DuplicateMediaError: every medium is enrolled already, under another name.
            EmbedderMismatchError: the gallery is of another embedder.
            UnknownPersonError: nobody has that id, or they were forgotten meanwhile.
            GalleryError: the gallery cannot be written.
        """
        self._check_gallery(gallery)
        found = self.reader.find(source)
        work = Enrolment(
            gallery,
            name,
            aggregator=self.aggregator,
            same_score=self._same_person_score(),
            threshold=self.thresholds.alike(self.aggregator.name, len(gallery)),
            keep_crops=self.reader.keep_crops,
        )
        work.refused += found.skipped
        waiting: list[Seen] = []
        for medium in found.media:
            if work.is_held(medium):
                continue
            seen = self._see(medium, progress, single=len(found.media) == 1)
            if seen.problem is not None:
                work.refused.append(seen.problem)
            elif people.is_sure(seen.persons):
                work.add(seen)
            else:
                waiting.append(seen)
        for seen in waiting:
            work.add(seen)
        if not (work.added or work.already):
            if work.elsewhere:
                raise DuplicateMediaError("; ".join(work.elsewhere))
            self._nothing_usable(source, work.refused, len(found.media) == 1, several=bool(waiting))
        return work.report()

    # ------------------------------------------------------------------------------------------------- inside

    def _face_sets(self, medium: Media, progress: ProgressCallback | None) -> Iterator[FaceSet]:
        fps = None if medium.kind == "array" else self.fps  # whoever hands over arrays has chosen them already
        return self.reader.face_sets(medium, fps=fps, progress=progress)

    def _same_person_score(self) -> float:
        """From which score two tracks of one source are one person; without a threshold nothing is joined."""
        return 2.0 if self.thresholds.own is None else self.thresholds.own.value

    def _check_gallery(self, gallery: object) -> None:
        if not isinstance(gallery, Gallery):
            raise InputError(
                f"gallery must be a faceset.Gallery, but got {type(gallery).__name__}; open the file first: "
                "faceset.Gallery(path)"
            )
        if gallery.model_id is not None:
            self._check_id(gallery.model_id, f"the gallery {gallery.path}")

    def _check_id(self, model_id: str, what: str) -> None:
        if model_id != self.model_id:
            raise EmbedderMismatchError(
                f"{what} was made with embedder {model_id}, but this recogniser uses {self.model_id}; vectors of two "
                "embedders cannot be compared: choose the same embedder, or make it anew"
            )

    def _look(self, source: Source, progress: ProgressCallback | None) -> tuple[bool, list[Seen], tuple[str, ...]]:
        found = self.reader.find(source)
        single = len(found.media) == 1
        return single, [self._see(medium, progress, single=single) for medium in found.media], tuple(found.skipped)

    def _see(self, medium: Media, progress: ProgressCallback | None, *, single: bool) -> Seen:
        """All people of a medium. One bad file among many is a problem noted; a single bad file is an error."""
        try:
            sets = list(self._face_sets(medium, progress))
        except MediaError as error:
            if single:
                raise
            log.warning("%s", error)
            return Seen(medium, [], str(error))
        if not sets:
            count = medium.report.frames_sampled
            looked = "1 picture" if count == 1 else f"{count} frames"
            small = f" (faces under {self.reader.min_face:g} pixels are passed over)" if self.reader.min_face else ""
            return Seen(medium, [], f"{medium.name}: no face found in {looked}{small}")
        return Seen(medium, people.group_people(sets, self._same_person_score()))

    def _nothing_usable(self, source: object, reasons: Sequence[str], single: bool, *, several: bool) -> None:
        message = ("" if single else f"nothing in {source} could be used: ") + "; ".join(reasons)
        if several:
            raise ManyPeopleError(message)
        raise NoFaceError(f"{message}; use a picture that shows the face larger, upright and well lit")

    def _identify(
        self, gallery: Gallery, found: Sequence[Media], k: int, progress: ProgressCallback | None
    ) -> Iterator[Match]:
        for medium in found:
            try:
                for one in self._face_sets(medium, progress):
                    moving = medium.kind in ("video", "stream") and medium.report.frames_sampled > 1
                    if moving and len(one) < self.min_track:
                        continue
                    span = {name: getattr(one, name) for name in ("media", "track", "shot", "start", "end")}
                    yield self._match(gallery, self.aggregate([one]), k, span)
            except MediaError as error:
                if len(found) == 1:
                    raise
                log.warning("%s", error)

    def _match(self, gallery: Gallery, template: Template, k: int, span: dict[str, Any]) -> Match:
        (candidates,) = gallery.search([template], k, aggregator=self.aggregator)
        best = candidates[0] if candidates else None
        faces = 1
        if best is not None:
            with contextlib.suppress(UnknownPersonError):  # forgotten by another process since the search
                faces = gallery.person(best.name).faces
        threshold = self.thresholds.search(
            (template.aggregator, self.aggregator.name), (len(template), faces), len(gallery)
        )
        return Match(
            name=best.name if best is not None and best.score >= threshold.value else None,
            score=None if best is None else best.score,
            threshold=threshold.value,
            threshold_source=threshold.source,
            candidates=tuple(candidates),
            template=template,
            far=threshold.far,
            fpir=threshold.fpir,
            **span,
        )
