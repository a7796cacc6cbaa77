"""The templates in memory: they grow right, and never lie there twice."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import MEAN, faces, probe

from faceset.gallery import Gallery, cache

PEOPLE = 60


def answers(gallery: Gallery) -> list[object]:
    return list(gallery.search([probe(n) for n in range(0, PEOPLE, 7)], k=PEOPLE))


@pytest.mark.parametrize("copied", [0, 1 << 20], ids=["read anew", "copied"])
def test_it_grows_to_what_a_fresh_reader_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copied: int) -> None:
    monkeypatch.setattr(cache, "_COPIED", copied)
    sizes = []
    with Gallery(tmp_path / "people.db") as gallery:
        for number in range(PEOPLE):
            gallery.add(f"person {number}", [faces(number, f"{number}.mp4")], aggregator=MEAN)
            if number % 5 == 0:
                gallery.add("person 0", [faces(0, f"more {number}.mp4")], aggregator=MEAN)
                with Gallery(tmp_path / "people.db") as fresh:
                    assert answers(gallery) == answers(fresh)
                sizes.append(len(gallery._cache._vectors))
        assert len(set(sizes)) > 2  # it outgrew its room more than once


def test_the_old_vectors_are_let_go_before_the_new_ones_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_COPIED", 0)
    rooms: list[weakref.ref[np.ndarray]] = []
    make = cache._with_room

    def watched(size: int, width: int) -> np.ndarray:
        assert not [room for room in rooms if room() is not None]
        rooms.append(weakref.ref(made := make(size, width)))
        return made

    monkeypatch.setattr(cache, "_with_room", watched)
    with Gallery(tmp_path / "people.db") as gallery:
        for number in range(PEOPLE):
            gallery.add(f"person {number}", [faces(number, f"{number}.mp4")], aggregator=MEAN)
            gallery.search([probe(number)])
        grown = len(rooms)
        gallery.forget("person 3")
        gallery.search([probe(3)])
    assert grown > 2
    assert len(rooms) == grown + 1
