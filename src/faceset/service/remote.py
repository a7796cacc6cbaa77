"""What the server's Recognizer reads media with: the pipeline in the worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from faceset.errors import InputError, MediaError, MediaLimitError
from faceset.media import Found, Limits, Media, Source
from faceset.packs.manifest import Manifest, manifest_from_dict
from faceset.service.child import WorkerDiedError, WorkerSlowError
from faceset.service.config import ServiceConfig
from faceset.service.host import Answer, Host, StreamLostError
from faceset.service.meters import Meters
from faceset.service.packing import unpack_progress, unpack_report, unpack_sets
from faceset.service.uploads import RemoteMedia, Upload, uploads_of
from faceset.service.wire import Message, WireError, count, members, number, text
from faceset.types import FaceSet, Progress, ProgressCallback

T = TypeVar("T")

_STREAMS = 1 << 40
_MOST_BYTES = 2 << 30
"""What a medium may take here: twice what 20 people on screen for four hours do."""
_MOST_LOST = 5
"""How often a medium is begun anew because the worker died on something else."""


@dataclass(frozen=True)
class RemoteEmbedder:
    """What is known of the embedder in the worker; see :class:`faceset.embedding.Embedder`."""

    manifest: Manifest

    @property
    def model_id(self) -> str:
        """Id of the features."""
        return self.manifest.model_id

    @property
    def width(self) -> int:
        """Length D of a feature."""
        return self.manifest.width


@dataclass(frozen=True)
class About:
    """The models in the worker.

    Attributes:
        embedder: as far as it must be known here.
        detector: its name.
        min_face: faces smaller than this are passed over, in pixels.
    """

    embedder: RemoteEmbedder
    detector: str
    min_face: float

    @classmethod
    def read(cls, message: Message) -> About:
        """From what the worker says when it is ready.

        Raises:
            WireError: it says something else.
            ModelError: the manifest cannot be.
        """
        said = members(message, ("manifest", "detector", "min_face"))
        if not isinstance(said["manifest"], dict):
            raise WireError("a manifest must be an object")
        manifest = manifest_from_dict(said["manifest"], "the worker's manifest")
        return cls(RemoteEmbedder(manifest), text(said["detector"]), number(said["min_face"]))


class _Step(NamedTuple):
    sets: list[FaceSet]
    progress: Progress | None
    end: bool
    seconds: float


class WorkerPipeline:
    """The part of :class:`faceset.pipeline.Pipeline` that a Recognizer needs, over a :class:`Host`.

    A medium on which the worker dies is a :class:`MediaError`. One that was being read by turns with it is begun anew,
    and what had come of it already is passed over: the same medium gives the same face sets every time.

    Args:
        host: the worker.
        about: its models.
        config: for the limits and ``keep_crops``.
        meters: where faces are counted.
        job: read between other people's requests.
        seconds: most seconds of work on one medium; None = any.
        check: called before every exchange; raises to stop the work.
    """

    def __init__(
        self,
        host: Host,
        about: About,
        config: ServiceConfig,
        meters: Meters,
        *,
        job: bool = False,
        seconds: float | None = None,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._host, self._about, self._config, self._meters = host, about, config, meters
        self._job, self._seconds, self._check = job, seconds, check
        self._limits = Limits(max_seconds=config.max_seconds)

    @property
    def embedder(self) -> RemoteEmbedder:
        """Whose features they are."""
        return self._about.embedder

    @property
    def min_face(self) -> float:
        """Faces smaller than this are passed over, in pixels."""
        return self._about.min_face

    @property
    def keep_crops(self) -> bool:
        """Whether galleries are to keep crops; faces carry a small picture in any case."""
        return self._config.keep_crops

    def find(self, source: Source) -> Found:
        """The media that uploads are, as the worker sees them.

        Raises:
            InputError: the source is no upload.
            MediaError: the only one cannot be read, or none can.
        """
        uploads = uploads_of(source)
        media: list[Media] = []
        skipped: list[str] = []
        for upload in uploads:
            try:
                media.append(self._open(upload))
            except MediaError as error:
                if len(uploads) == 1:
                    raise
                skipped.append(str(error))
        if not media:
            raise MediaError(f"the upload holds no picture and no video: {'; '.join(skipped)}")
        return Found(tuple(media), tuple(skipped))

    def face_sets(
        self, medium: Media, *, fps: float | None, progress: ProgressCallback | None = None
    ) -> Iterator[FaceSet]:
        """As :meth:`faceset.pipeline.Pipeline.face_sets`.

        Raises:
            InputError: the medium is not from :meth:`find`.
            MediaError: it cannot be read, or the worker died on it.
            MediaLimitError: it is too large, too long, or took too long.
        """
        if not isinstance(medium, RemoteMedia):
            raise InputError(f"this recogniser reads uploads only, but got {medium!r}")
        had, lost, together = 0, 0, 0
        while True:
            fresh = 0
            try:
                for step in self._steps(medium, fps):
                    for one in step.sets:
                        fresh += 1
                        if fresh > had:
                            had = fresh
                            self._meters.faces.inc(len(one))
                            yield one
                    if progress is not None and step.progress is not None:
                        progress(step.progress)
                return
            except StreamLostError:
                lost += 1
                if lost > _MOST_LOST:
                    raise MediaError(
                        f"{medium.name}: the decoder died {lost} times on other files while this one was read; send it "
                        "again"
                    ) from None
            except WorkerDiedError as error:
                together += 1
                # Decoders read ahead: with several media open it may have been another one; alone it shows.
                if isinstance(error, WorkerSlowError) or together > 1 or not self._host.streams:
                    raise _died(medium.name, error) from error

    def _steps(self, medium: RemoteMedia, fps: float | None) -> Iterator[_Step]:
        def started(answer: Answer) -> tuple[int, int]:
            return answer.run, count(members(answer.content, ["stream"])["stream"], _STREAMS)

        received = 0

        def read(answer: Answer) -> _Step:
            nonlocal received
            received += len(answer.raw)
            if received > _MOST_BYTES and not self.keep_crops:
                raise WireError(f"more than {_MOST_BYTES} bytes came of one medium")
            said = members(answer.content, ("sets", "progress", "report", "end"))
            sets = unpack_sets(
                said["sets"], answer.raw, medium, model_id=self.embedder.model_id, width=self.embedder.width
            )
            medium.said = unpack_report(said["report"])
            return _Step(sets, unpack_progress(said["progress"], medium), said["end"] is True, answer.seconds)

        request = {"do": "start", "name": medium.name, "path": str(cast(Path, medium.path).absolute()), "fps": fps}
        run, stream = self._ask(request, None, started)
        worked, end = 0.0, False
        self._host.count_stream(1)
        try:
            while not end:
                step = self._ask({"do": "step", "stream": stream, "name": medium.name}, run, read)
                worked, end = worked + step.seconds, step.end
                if self._seconds is not None and worked > self._seconds and not end:
                    raise _slow(medium.name, f"more than {self._seconds:g} s")
                yield step
        finally:
            self._host.count_stream(-1)
            if not end:
                self._leave(run, stream)

    def _leave(self, run: int, stream: int) -> None:
        """Free what the worker holds of a stream; where it is gone, so is that."""
        try:
            self._host.exchange({"do": "close", "stream": stream}, job=self._job, run=run, read=lambda _: None)
        except (StreamLostError, WorkerDiedError):
            return

    def _open(self, upload: Upload) -> Media:
        def read(answer: Answer) -> Media:
            said = members(answer.content, ("kind", "duration"))
            if said["kind"] not in ("still", "video"):
                raise WireError(f"unknown kind of medium {str(said['kind'])[:40]!r}")
            duration = None if said["duration"] is None else number(said["duration"])
            return RemoteMedia(upload, said["kind"], duration, self._limits)

        try:
            return self._ask({"do": "open", "name": upload.name, "path": str(upload.path.absolute())}, None, read)
        except WorkerDiedError as error:
            raise _died(upload.name, error) from error

    def _ask(self, request: Message, run: int | None, read: Callable[[Answer], T]) -> T:
        if self._check is not None:
            self._check()
        return self._host.exchange(request, job=self._job, run=run, read=read)


def _died(name: str, error: WorkerDiedError) -> MediaError:
    if isinstance(error, WorkerSlowError):
        return _slow(name, str(error))
    return MediaError(
        f"{name}: the decoder died on it ({error}); it is damaged, or made to do harm: convert it to JPEG or MP4 with "
        "another program"
    )


def _slow(name: str, how: str) -> MediaLimitError:
    return MediaLimitError(
        f"{name}: reading it took too long ({how}); scale it down, cut it into shorter pieces, or send it as a job"
    )
