"""People and their media, as the folder protocol takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from faceset.errors import InputError, ProtocolError
from faceset.evaluation.protocols.drawing import shuffled
from faceset.evaluation.trials import FaceList, ProtocolFile, TemplateList
from faceset.feature_table import FeatureTable


@dataclass(frozen=True, slots=True)
class Collection:
    """Whose media there are.

    Attributes:
        name: of the folder, for messages.
        person: medium ``<person>/<medium>`` -> person.
        notes: what a reader of a result must see.
    """

    name: str
    person: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @classmethod
    def of_table(cls, table: FeatureTable) -> Collection:
        """The people and media of a feature table.

        Raises:
            ProtocolError: it has no rows, or a medium of two people.
        """
        pairs = np.unique(np.stack([table.medium.codes, table.subject.codes], axis=1), axis=0)
        person: dict[str, str] = {}
        for medium, subject in pairs.tolist():
            name, owner = table.medium.names[medium], table.subject.names[subject]
            if person.setdefault(name, owner) != owner:
                raise ProtocolError(
                    f"medium {name} of the feature table is of {person[name]} and of {owner}; make the table anew"
                )
        if not person:
            raise ProtocolError("the feature table has no faces; make it of a folder of people")
        note = "made from the media of the feature table: media in which no face was found are not counted"
        return cls("the feature table", person, (note,))

    def people(self) -> dict[str, list[str]]:
        """Person -> media, both by name."""
        found: dict[str, list[str]] = {}
        for medium in sorted(self.person):
            found.setdefault(self.person[medium], []).append(medium)
        return dict(sorted(found.items()))

    def templates(self, size: int, seed: int) -> dict[str, list[list[str]]]:
        """Person -> templates of ``size`` media each; people without one are left out.

        Raises:
            ProtocolError: fewer than two people, or nobody has two templates.
        """
        people = self.people()
        if len(people) < 2:
            raise ProtocolError(
                f"{self.name} holds one person, {next(iter(people))}; lay it out as <person>/<medium> for two or more"
            )
        found = {person: cut(media, size, seed) for person, media in people.items() if len(media) >= size}
        if not any(len(of) > 1 for of in found.values()):
            raise self.too_few(size, f"nobody in {self.name} has {2 * size} media, so that there is no genuine pair")
        if len(found) < 2:
            raise self.too_few(size, f"only {next(iter(found))} in {self.name} has {size} media, so that none meet")
        return found

    @staticmethod
    def too_few(size: int, problem: str) -> ProtocolError:
        """To be raised where people have too few media for templates of a size."""
        return ProtocolError(f"{problem}; {'add media' if size == 1 else 'add media or choose a smaller size'}")

    def faces(self) -> FaceList:
        """Every medium, by name."""
        return FaceList(tuple(sorted(self.person)))

    def template_list(self, faces: FaceList, templates: Iterable[tuple[str, list[str]]]) -> TemplateList:
        """Templates of (person, media), called after their first medium; no medium is in two."""
        number = {name: at for at, name in enumerate(faces.names)}
        chosen = list(templates)
        return TemplateList.of(
            [media[0] if len(media) == 1 else f"{media[0]} and {len(media) - 1} more" for _, media in chosen],
            [person for person, _ in chosen],
            [[number[name] for name in media] for _, media in chosen],
            np.arange(len(faces)),
        )

    def record(self) -> ProtocolFile:
        """The list of media in place of a file: sha256 of ``<person>TAB<medium>`` lines, by name."""
        text = "".join(f"{self.person[medium]}\t{medium}\n" for medium in sorted(self.person))
        return ProtocolFile("<person>/<medium>", hashlib.sha256(text.encode()).hexdigest(), len(self.person))


def cut(media: list[str], size: int, seed: int) -> list[list[str]]:
    """The media in seeded order, in templates of ``size``; the media of a template by name."""
    order = shuffled(media, seed, "media")
    return [sorted(order[at : at + size]) for at in range(0, len(order) - size + 1, size)]


def check_at_least(what: str, value: int, low: int) -> None:
    """Raise InputError when an option is no whole number or too small."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"{what} must be a whole number of {low} or more, but got {value!r}")
