"""Enrol, list, search: what a gallery holds and answers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from gallery_faces import MEAN, MODEL, WIDTH, check_whole, digest, faces, probe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceset import aggregation
from faceset.errors import DuplicateMediaError, EmbedderMismatchError, EmptySetError, InputError, UnknownPersonError
from faceset.gallery import ExactIndex, Gallery
from faceset.gallery.schema import metadata
from faceset.types import FaceSet

NAMES = ("mean", "norm-score", "medoid", "media-first", "trimmed", "nan")


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery(tmp_path / "people.db") as opened:
        yield opened


def test_an_empty_gallery(gallery: Gallery) -> None:
    assert len(gallery) == 0
    assert gallery.model_id is None
    assert gallery.people() == []
    assert "Grace" not in gallery
    assert gallery.holds(digest("a.mp4")) is None
    assert gallery.search([probe(1), probe(2)]) == [(), ()]
    assert gallery.search([]) == []
    assert gallery.refresh(MEAN) == 0


def test_add_tells_what_is_held(gallery: Gallery) -> None:
    before = datetime.now(UTC)
    person = gallery.add("Grace", [faces(1, "a.mp4"), faces(1, "b.jpg", count=1, kind="still")], aggregator=MEAN)
    assert (person.name, person.faces) == ("Grace", 5)
    assert [(m.name, m.digest, m.kind, m.faces) for m in person.media] == [
        ("a.mp4", digest("a.mp4"), "video", 4),
        ("b.jpg", digest("b.jpg"), "still", 1),
    ]
    assert before <= person.created <= person.updated <= datetime.now(UTC)
    assert 0.5 < person.consistency <= 1
    assert gallery.person("Grace") == person
    assert gallery.people() == [person]
    assert "Grace" in gallery
    assert len(gallery) == 1
    assert gallery.model_id == MODEL
    assert gallery.holds(digest("a.mp4")) == "Grace"
    plain = json.loads(json.dumps(person.to_dict()))
    assert plain["media"][1]["name"] == "b.jpg"
    assert plain["created"].endswith("+00:00")


def test_what_was_enrolled_is_read_back_bit_for_bit(gallery: Gallery) -> None:
    given_set = faces(1, "a.mp4", count=5, track=3)
    gallery.add("Grace", [given_set], aggregator=MEAN)
    (held,) = gallery.features("Grace")
    assert (held.media, held.digest, held.kind, held.track, held.shot, held.model_id) == (
        given_set.media, given_set.digest, "video", 3, 0, MODEL,
    )  # fmt: skip
    np.testing.assert_array_equal(held.features, given_set.features)
    for got, expected in zip(held.faces, given_set.faces, strict=True):
        assert (got.box, got.score, got.scheme, got.frame, got.time) == (
            expected.box, expected.score, expected.scheme, expected.frame, expected.time,
        )  # fmt: skip
        np.testing.assert_array_equal(got.landmarks, expected.landmarks)
        assert got.crop is None


@pytest.mark.parametrize("name", NAMES)
def test_the_template_is_the_aggregate_of_what_is_held(gallery: Gallery, name: str) -> None:
    aggregator = aggregation.get(name)
    gallery.add(
        "Grace", [faces(1, "a.mp4"), faces(1, "a.mp4", track=2), faces(1, "b.mp4", count=9)], aggregator=aggregator
    )
    template = gallery.template("Grace")
    expected = aggregation.aggregate_set(aggregator, gallery.features("Grace"))
    np.testing.assert_array_equal(template.vector, expected.vector)
    np.testing.assert_array_equal(template.weights, expected.weights)
    assert template.consistency == expected.consistency == gallery.person("Grace").consistency
    assert (template.aggregator, template.model_id, len(template)) == (name, MODEL, 17)
    assert [(f.media, f.frame, f.time) for f in template.faces] == [(f.media, f.frame, f.time) for f in expected.faces]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_the_order_of_enrolment_changes_no_bit(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    aggregator = aggregation.get(name)
    media = {
        m: [faces(1, m, count=c), faces(1, m, track=1, count=c)] for m, c in (("a", 1), ("b", 4), ("c", 2), ("d", 3))
    }
    media |= {f"array {i}": [faces(1, f"array {i}", count=2, known=False, kind="array")] for i in range(3)}
    order = data.draw(st.permutations(sorted(media)))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order) - 1))))
    folder = tmp_path_factory.mktemp("order")
    with Gallery(folder / "parts.db") as parts, Gallery(folder / "whole.db") as whole:
        whole.add("Grace", [s for sets in media.values() for s in sets], aggregator=aggregator)
        for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
            sets = [s for m in order[start:end] for s in data.draw(st.permutations(media[m]))]
            parts.add("Grace", sets, aggregator=aggregator)
        one, other = whole.template("Grace"), parts.template("Grace")
        np.testing.assert_array_equal(one.vector, other.vector)
        np.testing.assert_array_equal(one.weights, other.weights)
        assert one.consistency == other.consistency


def test_search_is_best_first(gallery: Gallery) -> None:
    for i in range(12):
        gallery.add(f"p{i}", [faces(i, f"{i}.mp4")], aggregator=MEAN)
    found = gallery.search([probe(i) for i in range(12)], 4)
    for i, candidates in enumerate(found):
        assert candidates[0].name == f"p{i}"
        assert candidates[0].score > 0.8
        scores = [c.score for c in candidates]
        assert scores == sorted(scores, reverse=True)
        expected = sorted((float(gallery.template(f"p{j}").vector @ probe(i).vector) for j in range(12)), reverse=True)
        np.testing.assert_allclose(scores, expected[:4], atol=1e-6)
    assert [len(c) for c in gallery.search([probe(1)], 99)] == [12]


def test_an_enrolled_template_scores_one_and_ties_come_in_order_of_enrolment(gallery: Gallery) -> None:
    for i, name in enumerate(("zoe", "adam", "mia")):
        twin = faces(1, "a.mp4")
        gallery.add(name, [FaceSet(twin.faces, MODEL, media="a.mp4", digest=digest(f"copy {i}"))], aggregator=MEAN)
    (found,) = gallery.search([gallery.template("adam")], 3)
    assert [c.name for c in found] == ["zoe", "adam", "mia"]
    assert found[0].score == found[1].score == found[2].score == pytest.approx(1.0, abs=1e-6)
    assert max(c.score for c in found) <= 1.0


def test_memory_follows_every_change(gallery: Gallery, tmp_path: Path) -> None:
    """What a long-open gallery answers is what one opened just now answers."""
    steps = [
        lambda g: g.add("a", [faces(1, "1")], aggregator=MEAN),
        lambda g: g.add("b", [faces(2, "2")], aggregator=MEAN),
        lambda g: g.add("a", [faces(3, "3", count=30)], aggregator=MEAN),
        lambda g: g.rename("b", "c"),
        lambda g: g.add("b", [faces(4, "4")], aggregator=MEAN),
        lambda g: g.forget("a"),
        lambda g: g.add("a", [faces(1, "1")], aggregator=MEAN),
        lambda g: g.refresh(aggregation.get("medoid")),
        lambda g: g.add("a", [faces(1, "5")], aggregator=MEAN),
        lambda g: g.remove_media("a", "1", aggregator=MEAN),
        *[lambda g, i=i: g.add(f"n{i}", [faces(i, f"n{i}")], aggregator=MEAN) for i in range(12)],
        *[lambda g, n=n: g.forget(n) for n in ["a", "b", "c", *[f"n{i}" for i in range(12)]]],
        lambda g: g.add("wide", [faces(1, "w", width=48)], aggregator=MEAN),
    ]
    with Gallery(tmp_path / "people.db") as other:
        for number, step in enumerate(steps):
            step(gallery if number % 2 else other)
            width = 48 if number == len(steps) - 1 else WIDTH
            probes = [probe(i, width=width) for i in (1, 2, 3)]
            with Gallery(tmp_path / "people.db") as fresh:
                expected = fresh.search(probes, 50)
            assert gallery.search(probes, 50) == expected
            assert len(expected[0]) == len(gallery)


def test_search_takes_any_index(tmp_path: Path) -> None:
    class Counting(ExactIndex):
        built = 0

        def rebuild(self, vectors: np.ndarray) -> None:
            self.built += 1
            super().rebuild(vectors)

    index = Counting()
    with Gallery(tmp_path / "people.db", index=index) as gallery:
        gallery.add("Grace", [faces(1, "a")], aggregator=MEAN)
        assert gallery.search([probe(1)])[0][0].name == "Grace"
        gallery.search([probe(1)])
        assert (index.built, len(index)) == (1, 1)


def test_another_aggregator_rebuilds_the_templates(gallery: Gallery) -> None:
    medoid = aggregation.get("medoid")
    for i in range(3):
        gallery.add(f"p{i}", [faces(i, f"{i}.mp4")], aggregator=MEAN)
    assert gallery.refresh(MEAN) == 0
    (with_mean,) = gallery.search([probe(1)], aggregator=MEAN)
    (with_medoid,) = gallery.search([probe(1)], aggregator=medoid)
    assert with_medoid[0].score != with_mean[0].score
    for i in range(3):
        template = gallery.template(f"p{i}")
        assert template.aggregator == "medoid"
        np.testing.assert_array_equal(
            template.vector, aggregation.aggregate_set(medoid, gallery.features(f"p{i}")).vector
        )
    gallery.add("p3", [faces(3, "3.mp4")], aggregator=MEAN)
    assert gallery.refresh(MEAN) == 3
    assert gallery.search([probe(1)], aggregator=MEAN)[0][0].score == with_mean[0].score
    assert gallery.search([probe(1)])[0][0].score == with_mean[0].score
    generation = generation_of(gallery)
    gallery.search([probe(1)], aggregator=MEAN)
    gallery.refresh(MEAN)
    assert generation_of(gallery) == generation  # nothing to do, nothing written


def generation_of(gallery: Gallery) -> int:
    with closing(sqlite3.connect(gallery.path)) as raw:
        return int(raw.execute("SELECT generation FROM meta").fetchone()[0])


def test_media_first_is_told_the_media(gallery: Gallery) -> None:
    """One face against a hundred of another medium: by media both count one half."""
    gallery.add("Grace", [faces(1, "long.mp4", count=100), faces(1, "one.jpg", count=1)],
                aggregator=aggregation.get("media-first"))  # fmt: skip
    template = gallery.template("Grace")
    weight = sum(float(w) for w, f in zip(template.weights, template.faces, strict=True) if f.media == "one.jpg")
    assert weight == pytest.approx(0.5)


def test_media_without_a_digest_are_told_apart_by_name(gallery: Gallery) -> None:
    """As in :func:`faceset.aggregation.aggregate_set`."""
    aggregator = aggregation.get("media-first")
    for name, count in (("door", 3), ("door", 5), ("hall", 1)):
        sets = [faces(count, name, count=count, known=False, kind="stream")]
        gallery.add("Grace", sets, aggregator=aggregator)
    template = gallery.template("Grace")
    weight = sum(float(w) for w, f in zip(template.weights, template.faces, strict=True) if f.media == "hall")
    assert weight == pytest.approx(0.5)


def test_the_same_file_of_the_same_person_counts_once(gallery: Gallery) -> None:
    gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
    copy = FaceSet(faces(1, "a.mp4").faces, MODEL, media="copy.mp4", digest=digest("a.mp4"))
    before = gallery.people()
    with pytest.raises(
        DuplicateMediaError, match=r"'Grace' is enrolled with 'copy.mp4' already \(as 'a.mp4'\); the same"
    ):
        gallery.add("Grace", [faces(1, "b.mp4"), copy], aggregator=MEAN)
    assert gallery.people() == before
    assert gallery.holds(digest("b.mp4")) is None


def test_a_file_belongs_to_one_person(gallery: Gallery) -> None:
    gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
    with pytest.raises(DuplicateMediaError) as caught:
        gallery.add("Eileen", [faces(2, "a.mp4")], aggregator=MEAN)
    message = str(caught.value)
    assert "'a.mp4' is enrolled for 'Grace' already, so it cannot be enrolled for 'Eileen'" in message
    assert "remove it from 'Grace' first" in message
    assert "nothing was changed" in message
    assert str(gallery.path) in message
    assert "Eileen" not in gallery


def test_one_file_under_two_names_or_one_track_twice(gallery: Gallery) -> None:
    copy = FaceSet(faces(1, "a.mp4").faces, MODEL, media="copy.mp4", track=1, digest=digest("a.mp4"))
    with pytest.raises(
        DuplicateMediaError, match=r"'a.mp4' \(video\) and 'copy.mp4' \(video\) are the same file; give it once"
    ):
        gallery.add("Grace", [faces(1, "a.mp4"), copy], aggregator=MEAN)
    with pytest.raises(DuplicateMediaError, match=r"track 0 \(shot 0\) of 'a.mp4' is given twice"):
        gallery.add("Grace", [faces(1, "a.mp4")] * 2, aggregator=MEAN)
    assert len(gallery) == 0


def test_without_a_digest_media_may_come_again(gallery: Gallery) -> None:
    stream = [faces(1, "rtsp://door", track=t, known=False, kind="stream") for t in (0, 1)]
    assert [m.faces for m in gallery.add("Grace", stream, aggregator=MEAN).media] == [8]
    assert [m.faces for m in gallery.add("Grace", stream, aggregator=MEAN).media] == [8, 8]
    arrays = [faces(1, "", known=False, kind="array")] * 2
    assert [m.faces for m in gallery.add("Grace", arrays, aggregator=MEAN).media] == [8, 8, 4, 4]
    assert [len(s) for s in gallery.features("Grace")] == [4] * 6
    assert gallery.holds("") is None


def test_another_embedder_is_refused(gallery: Gallery) -> None:
    gallery.add("Grace", [faces(1, "a")], aggregator=MEAN)
    for call in (
        lambda: gallery.add("Eileen", [faces(2, "b", model_id="sha256:other")], aggregator=MEAN),
        lambda: gallery.search([probe(1, model_id="sha256:other")]),
    ):
        with pytest.raises(EmbedderMismatchError) as caught:
            call()
        message = str(caught.value)
        assert f"bound to embedder {MODEL}" in message
        assert "come from embedder sha256:other" in message
        assert "use the gallery's embedder, or enrol everybody anew in another gallery" in message
    assert "Eileen" not in gallery


def test_another_width_is_refused(gallery: Gallery) -> None:
    gallery.add("Grace", [faces(1, "a")], aggregator=MEAN)
    with pytest.raises(EmbedderMismatchError, match="holds vectors of width 32, but the faces have width 48"):
        gallery.add("Eileen", [faces(2, "b", width=48)], aggregator=MEAN)
    with pytest.raises(EmbedderMismatchError, match="holds vectors of width 32, but the probes have width 48"):
        gallery.search([probe(1, width=48)])


def test_mixed_or_nameless_embedders_are_refused(gallery: Gallery) -> None:
    with pytest.raises(EmbedderMismatchError, match=f"made with embedders sha256:other and {MODEL}; enrol what one"):
        gallery.add("Grace", [faces(1, "a"), faces(1, "b", model_id="sha256:other")], aggregator=MEAN)
    with pytest.raises(
        EmbedderMismatchError, match=r"have features of widths \[32, 48\]; enrol what one embedder made"
    ):
        gallery.add("Grace", [faces(1, "a"), faces(1, "b", width=48)], aggregator=MEAN)
    with pytest.raises(EmbedderMismatchError, match=r"name no embedder \(model_id is empty\)"):
        gallery.add("Grace", [faces(1, "a", model_id="")], aggregator=MEAN)
    assert gallery.model_id is None


def test_an_aggregator_trained_for_another_embedder_is_refused(gallery: Gallery) -> None:
    class Trained:
        name = "learned"
        embedder_id = "sha256:other"

        def __call__(self, *args: object, **more: object) -> aggregation.Aggregated:
            raise AssertionError("must not be called")

    with pytest.raises(
        EmbedderMismatchError, match=f"'learned' was trained for embedder sha256:other, .* bound to {MODEL}"
    ):
        gallery.add("Grace", [faces(1, "a")], aggregator=Trained())
    assert gallery.model_id is None


def test_an_aggregator_that_fails_changes_nothing(gallery: Gallery) -> None:
    good = faces(1, "a.mp4", count=1)
    opposite = FaceSet((good.faces[0].replace(feature=-good.features[0]),), MODEL, media="b", digest=digest("b"))
    gallery.add("Grace", [good], aggregator=MEAN)
    before = gallery.people()
    with pytest.raises(InputError, match="cancel"):
        gallery.add("Grace", [opposite], aggregator=MEAN)
    assert gallery.people() == before
    assert gallery.holds(digest("b")) is None


def test_wrong_arguments(gallery: Gallery) -> None:
    with pytest.raises(EmptySetError, match="needs at least one FaceSet, but got none; nothing was changed"):
        gallery.add("Grace", [], aggregator=MEAN)
    with pytest.raises(InputError, match="got one FaceSet; put it into a list"):
        gallery.add("Grace", faces(1, "a"), aggregator=MEAN)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got one Template; put it into a list"):
        gallery.search(probe(1))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="k must be at least 1, but got 0"):
        gallery.search([probe(1)], 0)


def test_unknown_people_and_near_names(gallery: Gallery) -> None:
    with pytest.raises(UnknownPersonError, match="nobody named 'Grace' is enrolled; the gallery is empty"):
        gallery.person("Grace")
    for i, name in enumerate(("Grace Hopper", "grace hopper", "Eileen")):
        gallery.add(name, [faces(i, f"{i}")], aggregator=MEAN)
    for call in (gallery.person, gallery.template, gallery.features, gallery.forget, lambda n: gallery.rename(n, "x")):
        with pytest.raises(UnknownPersonError) as caught:
            call("Grace Hoper")
        assert str(gallery.path) in str(caught.value)
        assert "nobody named 'Grace Hoper' is enrolled; did you mean 'Grace Hopper' or 'grace hopper'?" in str(
            caught.value
        )
    with pytest.raises(
        UnknownPersonError, match=r"named 'Q' is enrolled; see who is enrolled: `faceset people` \(3 in all\)"
    ):
        gallery.person("Q")
    assert len(gallery) == 3


def test_a_page_shows_what_the_whole_list_shows(gallery: Gallery) -> None:
    for i, name in enumerate(["zo\u00eb", "Zo\u00eb", "\u00c9tienne", "stra\u00dfe", "STRASSE", "a%b_c", "Grace"]):
        gallery.add(name, [faces(i, f"{i}.mp4"), faces(i, f"{i}.jpg", count=i + 1)], aggregator=MEAN)
    gallery.create("grace later")
    everybody = [{**p.to_dict(), "media_count": len(p.media)} for p in gallery.people()]
    for values in everybody:
        del values["media"]

    def shown(limit: int, offset: int = 0, part: str = "") -> tuple[int, list[dict[str, object]]]:
        page = gallery.page(limit, offset, part=part)
        return page.total, [p.to_dict() for p in page.people]

    assert shown(100) == (8, everybody)
    assert [p for at in range(0, 9, 3) for p in shown(3, at)[1]] == everybody
    assert shown(3, 100) == (8, [])
    for part, names in [("GRACE", ["Grace", "grace later"]), ("strasse", ["STRASSE", "stra\u00dfe"]), ("\u00e9", 1)]:
        found = [p for p in everybody if part.casefold() in str(p["name"]).casefold()]
        assert shown(100, part=part) == (len(found), found)
        assert len(found) == names or [p["name"] for p in found] == names
    assert shown(1, 1, "GRACE") == (2, [p for p in everybody if p["name"] == "grace later"])
    assert shown(9, part="%b_")[0] == 1
    assert shown(9, part="_") == shown(9, part="%")
    for limit, offset in [(0, 0), (1, -1)]:
        with pytest.raises(InputError, match="limit must be at least 1 and offset at least 0"):
            gallery.page(limit, offset)


def test_names(gallery: Gallery) -> None:
    assert gallery.add("  Zoe\u0308 ", [faces(1, "a")], aggregator=MEAN).name == "Zo\u00eb"
    assert "Zo\u00eb" in gallery
    assert "Zoe\u0308\n" in gallery
    assert gallery.person("Zoe\u0308").faces == 4
    gallery.add("zo\u00eb", [faces(2, "b")], aggregator=MEAN)
    gallery.add("\u0645\u06cc\u200c\u0646\u0627 \U0001f600", [faces(3, "c")], aggregator=MEAN)
    gallery.add("x" * 200, [faces(4, "d")], aggregator=MEAN)
    assert [p.name[:3] for p in gallery.people()][:3] == ["xxx", "Zo\u00eb", "zo\u00eb"]
    assert 5 not in gallery


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "must not be empty, but got ''"),
        (" \t ", "must not be empty"),
        ("x" * 201, "at most 200 characters, but 'xxxxxxxxxxxxxxxxxxxx'... has 201"),
        ("a\nb", r"holds a control character \('\\n'\); leave it out"),
        ("a\x00b", "holds a control character"),
        ("a\u2028b", "holds a line break"),
        ("a\udc80", "is not UTF-8 text; rename the folder"),
        (None, "is text, but got NoneType"),
    ],
)
def test_names_that_are_refused(gallery: Gallery, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gallery.add(name, [faces(1, "a")], aggregator=MEAN)
    assert name not in gallery
    assert len(gallery) == 0


def test_a_medium_whose_name_is_no_text(gallery: Gallery) -> None:
    person = gallery.add("Grace", [faces(1, "plain")], aggregator=MEAN)
    odd = FaceSet(faces(1, "x").faces, MODEL, media="caf\udce9.mp4", digest=digest("x"))
    person = gallery.add("Grace", [odd], aggregator=MEAN)
    assert person.media[1].name == r"caf\udce9.mp4"


def test_crops_are_kept_only_when_asked_for(gallery: Gallery) -> None:
    first, second = faces(1, "a", crops=True), faces(1, "b", crops=True)
    gallery.add("Grace", [first], aggregator=MEAN)
    gallery.add("Grace", [second], aggregator=MEAN, keep_crops=True)
    gallery.add("Grace", [faces(1, "c")], aggregator=MEAN, keep_crops=True)
    held = {s.media: s for s in gallery.features("Grace")}
    assert [f.crop for m in "ac" for f in held[m].faces] == [None] * 8
    for got, expected in zip(held["b"].faces, second.faces, strict=True):
        np.testing.assert_array_equal(got.crop, expected.crop)
    assert sum(f.crop is not None for f in gallery.template("Grace").faces) == 4


def test_rename(gallery: Gallery) -> None:
    gallery.add("Grace", [faces(1, "a")], aggregator=MEAN)
    gallery.add("Eileen", [faces(2, "b")], aggregator=MEAN)
    gallery.search([probe(1)])
    assert gallery.rename("Grace", " Hopper ").name == "Hopper"
    assert gallery.search([probe(1)])[0][0].name == "Hopper"
    assert gallery.holds(digest("a")) == "Hopper"
    assert gallery.rename("Hopper", "Hopper").name == "Hopper"


def test_numpy_numbers_are_stored(gallery: Gallery) -> None:
    one = faces(1, "a")
    numbered = tuple(
        f.replace(frame=np.int64(f.frame), time=np.float32(f.time), score=np.float32(0.5)) for f in one.faces
    )
    gallery.add("Grace", [FaceSet(numbered, MODEL, media="a", track=np.int64(2))], aggregator=MEAN)  # type: ignore[arg-type]
    (held,) = gallery.features("Grace")
    assert held.track == 2
    assert [f.frame for f in held.faces] == [0, 6, 12, 18]


def test_the_page_in_docs_lists_every_table() -> None:
    page = (Path(__file__).parent.parent / "docs" / "gallery.md").read_text(encoding="utf-8")
    stored = page.partition("## What is stored")[2].partition("\n## ")[0]
    assert {line.split("`")[1] for line in stored.splitlines() if line.startswith("| `")} == set(metadata.tables)


def test_the_file_is_whole(gallery: Gallery) -> None:
    for i in range(5):
        gallery.add(f"p{i % 3}", [faces(i % 3, f"{i}"), faces(i % 3, f"{i}", track=1)], aggregator=MEAN)
    gallery.forget("p1")
    check_whole(gallery.path)
