"""People by their opaque ids: the same person, whatever they are called by now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gallery_faces import MEAN, faces, probe

from faceset.enrolment import Enrolment
from faceset.errors import UnknownPersonError
from faceset.gallery import Gallery, Uid
from faceset.media import find_media


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery(tmp_path / "g.db") as opened:
        yield opened


def test_an_id_means_the_same_person_after_names_moved(gallery: Gallery) -> None:
    first = Uid(gallery.add("Grace", [faces(0, "a.mp4")], aggregator=MEAN).uid)
    gallery.rename("Grace", "Ada")
    second = Uid(gallery.add("Grace", [faces(1, "b.mp4")], aggregator=MEAN).uid)
    assert gallery.person(first).name == "Ada"
    gallery.add(first, [faces(0, "c.mp4")], aggregator=MEAN)
    assert [m.name for m in gallery.person("Ada").media] == ["a.mp4", "c.mp4"]
    assert (gallery.template(first).vector == gallery.template("Ada").vector).all()
    assert [one.media for one in gallery.features(second)] == ["b.mp4"]
    assert [m.name for m, _ in gallery.media_templates(second, aggregator=MEAN)] == ["b.mp4"]
    assert gallery.uids(["Ada", "Grace", "Nobody"]) == {"Ada": first.value, "Grace": second.value}
    gallery.remove_media(first, "c.mp4", aggregator=MEAN)
    assert gallery.rename(first, "Eileen").uid == first.value
    assert gallery.forget(first).name == "Eileen"
    assert [p.name for p in gallery.people()] == ["Grace"]


def test_an_id_creates_nobody(gallery: Gallery) -> None:
    gone = Uid(gallery.create("Grace").uid)
    gallery.forget(gone)
    for call in (
        lambda: gallery.add(gone, [faces(0, "a.mp4")], aggregator=MEAN),
        lambda: gallery.person(gone),
        lambda: gallery.template(gone),
        lambda: gallery.features(gone),
        lambda: gallery.rename(gone, "Ada"),
        lambda: gallery.remove_media(gone, "a.mp4", aggregator=MEAN),
        lambda: gallery.forget(gone),
        lambda: _enrolment(gallery, gone),
    ):
        with pytest.raises(UnknownPersonError, match="nobody has the id"):
            call()
    assert gallery.people() == []


def test_forgetting_everybody(gallery: Gallery, tmp_path: Path) -> None:
    gallery.add("Grace", [faces(0, "a.mp4")], aggregator=MEAN)
    gallery.create("Ada")
    assert [p.name for p in gallery.forget_all()] == ["Ada", "Grace"]
    assert (len(gallery), gallery.model_id, gallery.search([probe(0)])) == (0, None, [()])
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Grace" not in left
    assert b"a.mp4" not in left


def test_a_person_without_media_is_a_newcomer(gallery: Gallery, tmp_path: Path) -> None:
    gallery.add("Grace", [faces(0, "a.mp4")], aggregator=MEAN)
    who = Uid(gallery.create("Copy").uid)
    work = _enrolment(gallery, who)
    assert work.newcomer
    assert work._reference() is None
    gallery.add(who, [faces(0, "b.mp4")], aggregator=MEAN)
    work.added.append("b.mp4")
    assert [c.name for c in work.report().looks_like] == ["Grace"]
    assert not _enrolment(gallery, who).newcomer


def test_a_rename_in_the_middle_of_an_enrolment(gallery: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 1 1 255 abc")
    (medium,) = find_media(path)
    one = faces(0, "a.mp4")
    held = type(one)(one.faces, one.model_id, "a.mp4", digest=medium.digest)
    who = Uid(gallery.add("Grace", [held], aggregator=MEAN).uid)
    work = _enrolment(gallery, who)
    gallery.rename(who, "Ada")
    assert work.is_held(medium)
    assert (work.already, work.refused) == (["a.ppm"], [])
    assert work.report().name == "Ada"


def _enrolment(gallery: Gallery, who: str | Uid) -> Enrolment:
    return Enrolment(gallery, who, aggregator=MEAN, same_score=0.5, threshold=0.5, keep_crops=False)
