"""The gallery on a PostgreSQL server: the same answers, to the bit, as in a file."""

# ruff: noqa: S608 - statements hold names that these tests made up

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import test_gallery
from gallery_faces import MEAN, MODEL, faces, probe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import TestServer, server, url

from faceset import aggregation
from faceset.errors import EmbedderMismatchError, GalleryError, InputError, UnknownPersonError
from faceset.gallery import ExactIndex, Gallery, Uid, schema, store

__all__ = ["server", "url"]

TESTS = Path(__file__).parent
NAMES = ("mean", "norm-score", "medoid", "media-first", "trimmed", "nan")


@pytest.fixture
def gallery(url: str) -> Iterator[Gallery]:
    with Gallery(url) as opened:
        yield opened


@pytest.fixture(params=["exact", "hnsw"])
def either(url: str, request: pytest.FixtureRequest) -> Iterator[Gallery]:
    with Gallery(f"{url}&index={request.param}") as opened:
        yield opened


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Gallery]:
    """A gallery in a file, to be held against the one on the server."""
    with Gallery(tmp_path / "twin.db") as opened:
        yield opened


# ----------------------------------------------------------------- what holds of a file holds of a server, word by word

test_an_empty_gallery = test_gallery.test_an_empty_gallery
test_add_tells_what_is_held = test_gallery.test_add_tells_what_is_held
test_read_back_bit_for_bit = test_gallery.test_what_was_enrolled_is_read_back_bit_for_bit
test_the_template_is_the_aggregate = test_gallery.test_the_template_is_the_aggregate_of_what_is_held
test_search_is_best_first = test_gallery.test_search_is_best_first
test_ties = test_gallery.test_an_enrolled_template_scores_one_and_ties_come_in_order_of_enrolment
test_media_without_a_digest = test_gallery.test_media_without_a_digest_are_told_apart_by_name
test_the_same_file = test_gallery.test_the_same_file_of_the_same_person_counts_once
test_a_file_belongs_to_one_person = test_gallery.test_a_file_belongs_to_one_person
test_one_file_under_two_names = test_gallery.test_one_file_under_two_names_or_one_track_twice
test_media_may_come_again = test_gallery.test_without_a_digest_media_may_come_again
test_another_embedder = test_gallery.test_another_embedder_is_refused
test_another_width = test_gallery.test_another_width_is_refused
test_a_foreign_aggregator = test_gallery.test_an_aggregator_trained_for_another_embedder_is_refused
test_an_aggregator_that_fails = test_gallery.test_an_aggregator_that_fails_changes_nothing
test_unknown_people = test_gallery.test_unknown_people_and_near_names
test_pages = test_gallery.test_a_page_shows_what_the_whole_list_shows
test_names = test_gallery.test_names
test_a_medium_whose_name_is_no_text = test_gallery.test_a_medium_whose_name_is_no_text
test_crops = test_gallery.test_crops_are_kept_only_when_asked_for
test_rename = test_gallery.test_rename
test_numpy_numbers = test_gallery.test_numpy_numbers_are_stored


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_the_order_of_enrolment_changes_no_bit(
    url: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, name: str
) -> None:
    aggregator = aggregation.get(name)
    media = {
        m: [faces(1, m, count=c), faces(1, m, track=1, count=c)] for m, c in (("a", 1), ("b", 4), ("c", 2), ("d", 3))
    }
    order = data.draw(st.permutations(sorted(media)))
    with Gallery(url) as parts, Gallery(tmp_path_factory.mktemp("order") / "whole.db") as whole:
        parts.forget_all()
        whole.add("Grace", [s for sets in media.values() for s in sets], aggregator=aggregator)
        for m in order:
            parts.add("Grace", data.draw(st.permutations(media[m])), aggregator=aggregator)
        one, other = whole.template("Grace"), parts.template("Grace")
        np.testing.assert_array_equal(one.vector, other.vector)
        np.testing.assert_array_equal(one.weights, other.weights)
        assert one.consistency == other.consistency


def test_the_same_people_get_the_same_scores_as_in_a_file(either: Gallery, twin: Gallery) -> None:
    """Names, order and bits, through every kind of change."""
    probes = [probe(i) for i in range(14)]

    def equal() -> None:
        assert either.search(probes, 5) == twin.search(probes, 5)
        assert either.search(probes, 500) == twin.search(probes, 500)
        for one, other in zip(either.people(), twin.people(), strict=True):
            assert (one.name, one.faces, one.consistency) == (other.name, other.faces, other.consistency)
            assert [m.to_dict() | {"id": 0, "added": 0} for m in one.media] == [
                m.to_dict() | {"id": 0, "added": 0} for m in other.media
            ]

    for each in (either, twin):
        each.create("Nobody yet")
        for i in range(12):
            each.add(f"p{i}", [faces(i % 9, f"{i}.mp4"), faces(i % 9, f"{i}.jpg", kind="still")], aggregator=MEAN)
    equal()
    for each in (either, twin):
        each.forget("p3")
        each.rename("p4", "Zoë")
        each.remove_media("p5", "5.jpg", aggregator=MEAN)
        each.add("p3", [faces(3, "3.mp4")], aggregator=MEAN)
    equal()
    for each in (either, twin):
        assert each.refresh(aggregation.get("medoid")) == 12
    equal()
    for name in ("p0", "Zoë"):
        one, other = (
            {m.name: t.vector.tobytes() for m, t in each.media_templates(name, aggregator=MEAN)}
            for each in (either, twin)
        )
        assert one == other
    for each in (either, twin):
        assert len(each.forget_all()) == 13
        assert each.model_id is None
        each.add("wide", [faces(1, "w.mp4", width=48, model_id="sha256:other")], aggregator=MEAN)
        assert each.search([probe(1, width=48, model_id="sha256:other")], 1)[0][0].name == "wide"


def test_a_search_rebuilds_the_templates_of_another_aggregator(either: Gallery) -> None:
    for i in range(3):
        either.add(f"p{i}", [faces(i, f"{i}.mp4")], aggregator=MEAN)
    with_mean = either.search([probe(1)], aggregator=MEAN)
    medoid = aggregation.get("medoid")
    for _ in range(2):  # the second finds nothing to do
        with_medoid = either.search([probe(1)], aggregator=medoid)
        assert with_medoid[0][0].score != with_mean[0][0].score
        assert either.template("p2").aggregator == "medoid"
    assert either.search([probe(1)], aggregator=MEAN) == with_mean


def test_ids(gallery: Gallery) -> None:
    uid = gallery.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN).uid
    gallery.rename(Uid(uid), "Grace Hopper")
    assert gallery.name_of(uid) == "Grace Hopper"
    assert gallery.uids(["Grace Hopper", "x"]) == {"Grace Hopper": uid}
    gallery.forget(Uid(uid))
    with pytest.raises(UnknownPersonError, match="nobody has the id"):
        gallery.name_of(uid)


def test_the_index_finds_at_least_95_of_100(server: TestServer, url: str, twin: Gallery) -> None:
    """Against the exact answer, for 2,000 random templates, which are harder than those of people."""
    rng = np.random.default_rng(5)
    width, count = 64, 2000
    with Gallery(f"{url}&index=hnsw") as near:
        fill(near, rng.standard_normal((count, width)))
        fill(twin, np.random.default_rng(5).standard_normal((count, width)))
        probes = [probe(i, width=width) for i in range(50)]
        explained = server.run(
            f"SET search_path = {schema_of(url)}, public; SET enable_seqscan = off; EXPLAIN SELECT person_id FROM "
            "template ORDER BY vector <#> (SELECT vector FROM template LIMIT 1) LIMIT 10",
            "shared",
        )
        assert "Index Scan using template_hnsw" in explained
        exact, found = twin.search(probes, 10), near.search(probes, 10)
        alike = [len({c.name for c in a} & {c.name for c in b}) for a, b in zip(exact, found, strict=True)]
        assert sum(alike) / (10 * len(probes)) >= 0.95
        for a, b in zip(exact, found, strict=True):  # what is found has the score of the exact search, to the bit
            known = {c.name: c.score for c in a}
            assert all(known.get(c.name, c.score) == c.score for c in b)
            assert [c.score for c in b] == sorted((c.score for c in b), reverse=True)
        assert near.search(probes[:3], 401) == twin.search(probes[:3], 401)  # more than the index is asked for


def test_an_index_is_made_for_a_gallery_that_has_none(server: TestServer, url: str) -> None:
    with Gallery(url) as plain:
        plain.add("Grace", [faces(1, "a.mp4")], aggregator=MEAN)
        assert not indices(server, url)
        with Gallery(f"{url}&index=hnsw") as near:
            assert indices(server, url)
            assert near.search([probe(1)]) == plain.search([probe(1)])
        with pytest.raises(InputError, match="index=hnsw, and another index was given; choose one"):
            Gallery(f"{url}&index=hnsw", index=ExactIndex())
        with Gallery(url, index=ExactIndex()) as own:
            assert own.search([probe(1)]) == plain.search([probe(1)])


def test_vectors_too_wide_for_the_index(server: TestServer, url: str) -> None:
    wide = faces(1, "a.mp4", count=1, width=2001)
    with Gallery(f"{url}&index=hnsw") as near:
        with pytest.raises(GalleryError, match=r"at most 2,000 numbers, but this embedder's have 2,001; .*index=exact"):
            near.add("Grace", [wide], aggregator=MEAN)
        assert len(near) == 0
        near.add("Ada", [faces(2, "b.mp4")], aggregator=MEAN)
        near.forget("Ada")
    with Gallery(url) as plain:
        plain.add("Grace", [wide], aggregator=MEAN)
        assert not indices(server, url)
        assert plain.search([probe(1, width=2001)], 1)[0][0].name == "Grace"
    with pytest.raises(GalleryError, match="at most 2,000 numbers"):
        Gallery(f"{url}&index=hnsw")


def test_another_object_sees_every_change(url: str) -> None:
    with Gallery(url) as one, Gallery(url) as other:
        assert other.search([probe(1)]) == [()]
        for i in range(3):
            one.add(f"p{i}", [faces(i, f"{i}.mp4")], aggregator=MEAN)
            assert other.search([probe(i)], 1)[0][0].name == f"p{i}"
        one.rename("p1", "Ada")
        assert other.search([probe(1)], 1)[0][0].name == "Ada"
        one.forget("Ada")
        assert "Ada" not in [c.name for c in other.search([probe(1)], 9)[0]]
        with pytest.raises(EmbedderMismatchError, match="bound to embedder"):
            other.add("x", [faces(1, "x.mp4", model_id="sha256:other")], aggregator=MEAN)


ENROL = """
import sys
from faceset.errors import DuplicateMediaError
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces, probe
url, number, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with Gallery(url) as gallery:
    for i in range(count):
        gallery.add(f"only {number}", [faces(number, f"{number}-{i}")], aggregator=MEAN)
        gallery.add("everybody's", [faces(99, f"common {number}-{i}")], aggregator=MEAN)
        try:
            gallery.add("one of us", [faces(7, f"race {i}")], aggregator=MEAN)
        except DuplicateMediaError:
            pass
        found = gallery.search([probe(number), probe(99)], 1)
        assert [c[0].name for c in found] == [f"only {number}", "everybody's"], found
"""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_processes_make_one_gallery_and_enrol_at_once(url: str, twin: Gallery) -> None:
    count = 5
    processes = [start(ENROL, url, number, count) for number in range(3)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    with Gallery(url, create=False) as gallery:
        assert [(p.name, len(p.media)) for p in gallery.people()] == [
            ("everybody's", 3 * count), ("one of us", count), *((f"only {n}", count) for n in range(3)),
        ]  # fmt: skip
        twin.add("everybody's", [faces(99, f"common {n}-{i}") for n in range(3) for i in range(count)], aggregator=MEAN)
        np.testing.assert_array_equal(twin.template("everybody's").vector, gallery.template("everybody's").vector)
        check(gallery)


LOOP = """
import itertools, sys
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces
with Gallery(sys.argv[1]) as gallery:
    for i in itertools.count(sum(len(p.media) for p in gallery.people())):
        gallery.add(f"p{i % 3}", [faces(i % 3, f"{i}.mp4", count=60)], aggregator=MEAN)
        print(i, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX knows them")
def test_a_writer_that_is_killed_leaves_nothing_half_written(url: str) -> None:
    total = 0
    for turn in range(3):
        process = start(LOOP, url)
        assert process.stdout is not None
        assert process.stdout.readline()
        time.sleep(0.05 + 0.07 * turn)
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
        reported = 1 + len([line for line in output.splitlines() if line.isdigit()])
        with Gallery(url) as gallery:
            gallery.create(f"after {turn}")  # waits until the server has let go of the dead one's lock
            held = sum(len(p.media) for p in gallery.people())
            check(gallery)
        assert total + reported - 1 <= held <= total + reported + 1
        total = held
    assert total > 0


FORK = """
import os, sys
from faceset.gallery import Gallery
from gallery_faces import MEAN, faces, probe
gallery = Gallery(sys.argv[1])
gallery.add("parent", [faces(1, "1.mp4")], aggregator=MEAN)
child = os.fork()
gallery.add("child" if child == 0 else "parent", [faces(2 if child == 0 else 1, f"{child == 0}")], aggregator=MEAN)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(sorted((p.name, len(p.media)) for p in gallery.people()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_gallery_that_is_open_during_a_fork(url: str) -> None:
    output, errors = start(FORK, url).communicate(timeout=60)
    assert output.strip() == "[('child', 1), ('parent', 2)]", errors


def check(gallery: Gallery) -> None:
    """Every template is what the features held give."""
    for person in gallery.people():
        if person.media:
            stored, sets = gallery.template(person.name), gallery.features(person.name)
            np.testing.assert_array_equal(stored.vector, aggregation.aggregate_set(MEAN, sets).vector)
            assert person.faces == sum(map(len, sets)) == sum(m.faces for m in person.media)


def fill(gallery: Gallery, vectors: np.ndarray) -> None:
    """People with these templates (G, D), written at once, without the faces behind them."""
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    with gallery._database.write() as connection:
        store.bind(connection, MODEL, unit.shape[1])
        people = [{"id": i + 1, "name": f"p{i}", "created": "", "updated": "", "uid": f"{i}"} for i in range(len(unit))]
        connection.execute(sa.insert(schema.person), people)
        made = {"generation": 1, "aggregator": "mean", "consistency": 1.0, "weights": b""}
        rows = [{**made, "person_id": i + 1, "vector": v.tobytes()} for i, v in enumerate(unit)]
        connection.execute(sa.insert(schema.template), rows)


def schema_of(url: str) -> str:
    return url.rpartition("schema=")[2]


def indices(server: TestServer, url: str) -> str:
    return server.run(
        f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema_of(url)}' AND indexdef LIKE '%hnsw%'", "shared"
    )
