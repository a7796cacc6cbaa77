"""Adding one person's media to a gallery, medium by medium, with an account of what was used and what was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from faceset import people
from faceset.aggregation import Aggregator
from faceset.errors import DuplicateMediaError, UnknownPersonError
from faceset.gallery import Gallery, Person, Uid
from faceset.gallery.names import clean_name
from faceset.media import Media
from faceset.types import Candidate, FaceSet, Floats


@dataclass(frozen=True)
class EnrollReport:
    """What an enrolment did.

    Attributes:
        name: the person.
        added: names of the media that were added.
        already: names of the media that were enrolled before, under this name.
        refused: a sentence for every medium that was not used, and why.
        left_out: a sentence for every other person seen in the media that were used.
        faces: number of faces the person's template now stands on.
        looks_like: people enrolled before whom a newcomer resembles at or above the threshold, most alike first.
    """

    name: str
    added: tuple[str, ...]
    already: tuple[str, ...]
    refused: tuple[str, ...]
    left_out: tuple[str, ...]
    faces: int
    looks_like: tuple[Candidate, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "name": self.name,
            "added": list(self.added),
            "already": list(self.already),
            "refused": list(self.refused),
            "left_out": list(self.left_out),
            "faces": self.faces,
            "looks_like": [c.to_dict() for c in self.looks_like],
        }


@dataclass
class Seen:
    """What was seen in one medium: its face sets by person, or the reason why nothing was."""

    medium: Media
    persons: list[list[FaceSet]]
    problem: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading the medium had to say, for example of lost frames."""
        return tuple(f"{self.medium.name}: {note}" for note in self.medium.report.notes)


class Enrolment:
    """One call of :meth:`faceset.Recognizer.enroll`: what was added, and what was not and why."""

    def __init__(
        self,
        gallery: Gallery,
        name: str | Uid,
        *,
        aggregator: Aggregator,
        same_score: float,
        threshold: float | None,
        keep_crops: bool,
    ) -> None:
        self.gallery = gallery
        self.who: str | Uid = name if isinstance(name, Uid) else clean_name(name)
        known = self._known()
        self.name = known.name if known is not None else str(self.who)
        self.newcomer = known is None or not known.media
        self.aggregator, self.same_score, self.threshold = aggregator, same_score, threshold
        self.keep_crops = keep_crops
        self.added: list[str] = []
        self.already: list[str] = []
        self.refused: list[str] = []
        self.left_out: list[str] = []
        self.elsewhere: list[str] = []

    def is_held(self, medium: Media) -> bool:
        """Whether the medium is enrolled already; noted under ``already`` or ``refused``."""
        holder = self.gallery.holds(medium.digest) if medium.digest else None
        if holder is None:
            return False
        known = self._known()
        if known is not None and holder == known.name:
            self.already.append(medium.name)
        else:
            reason = (
                f"{medium.name}: this very file is enrolled as {holder!r}; a file belongs to one person: "
                f"forget {holder!r} first if that was a mistake"
            )
            self.elsewhere.append(reason)
            self.refused.append(reason)
        return True

    def add(self, seen: Seen) -> None:
        """Choose the person in one medium and write them, or note why not."""
        # A reference costs reading every feature held of the person, so it is made only where it decides something.
        reference = None if people.is_sure(seen.persons) else self._reference()
        choice = people.choose(seen.persons, self.same_score, reference, to_enrol=True)
        if choice.reason is not None:
            self.refused.append(choice.reason)
            return
        try:
            self.gallery.add(self.who, choice.sets, aggregator=self.aggregator, keep_crops=self.keep_crops)
        except DuplicateMediaError:  # another process, or a copy of the file earlier in the same folder
            if not self.is_held(seen.medium):
                raise
            return
        self.added.append(seen.medium.name)
        self.left_out += [*seen.notes, *choice.left_out]

    def _known(self) -> Person | None:
        """The person as they are; None: nobody has the name yet. An id that nobody has is an error."""
        try:
            return self.gallery.person(self.who)
        except UnknownPersonError:
            if isinstance(self.who, Uid):
                raise
            return None

    def _reference(self) -> Floats | None:
        known = self._known()
        return people.centre(self.gallery.features(self.who)) if known is not None and known.media else None

    def report(self) -> EnrollReport:
        """What was done, and whom a newcomer looks like."""
        alike: tuple[Candidate, ...] = ()
        person = self.gallery.person(self.who)
        if self.newcomer and self.added and self.threshold is not None:
            template = self.gallery.template(self.who)
            (candidates,) = self.gallery.search([template], 6, aggregator=self.aggregator)
            alike = tuple(c for c in candidates if c.name != person.name and c.score >= self.threshold)
        return EnrollReport(
            name=person.name,
            added=tuple(self.added),
            already=tuple(self.already),
            refused=tuple(self.refused),
            left_out=tuple(self.left_out),
            faces=person.faces,
            looks_like=alike,
        )
