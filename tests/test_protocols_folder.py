"""Trials made of a folder of people."""

from __future__ import annotations

import hashlib
import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceset.errors import InputError, ProtocolError
from faceset.evaluation import protocols
from faceset.evaluation.protocols import folder
from faceset.evaluation.protocols.drawing import sample, scramble, shuffled
from faceset.evaluation.protocols.folder_pairs import make_pairs
from faceset.evaluation.protocols.folder_people import Collection
from faceset.evaluation.protocols.folder_search import make_search
from faceset.evaluation.trials import Identification, TemplateList, Verification
from faceset.extraction import find_people
from faceset.feature_table import FeatureRow, FeatureTable, table_of

PAIRS: dict[str, Any] = {"seed": 0, "size": 1, "folds": 10, "pairs": 1000, "balanced": False}


def people(*counts: int) -> Collection:
    """Person 0 with counts[0] media, and so on."""
    return Collection(
        "somewhere", {f"p{p:02d}/{m:03d}.jpg": f"p{p:02d}" for p, n in enumerate(counts) for m in range(n)}
    )


def media_of(asked: Verification | Identification, templates: TemplateList, t: int) -> list[str]:
    return [asked.faces.names[e] for e in templates.entries[templates.offsets[t] : templates.offsets[t + 1]]]


def subject(asked: Verification | Identification, t: int) -> str:
    return str(asked.templates.subject.names[asked.templates.subject.codes[t]])


def trials(asked: Verification) -> set[tuple[bool, frozenset[str]]]:
    ids = asked.templates.ids
    return {
        (bool(same), frozenset((ids[a], ids[b])))
        for a, b, same in zip(asked.first, asked.second, asked.same, strict=True)
    }


def test_all_pairs_of_a_small_folder() -> None:
    """p00 has 3 media, p01 has 2, p02 one: 3 + 1 genuine pairs and 3*2 + 3*1 + 2*1 = 11 impostor pairs."""
    asked = make_pairs(people(3, 2, 1), **{**PAIRS, "folds": 0})
    assert (asked.genuine, asked.impostors) == (4, 11)
    assert asked.folds is None
    every = {frozenset(pair) for pair in itertools.combinations(asked.faces.names, 2)}
    expected = {(len({name[:3] for name in pair}) == 1, pair) for pair in every}
    assert trials(asked) == expected
    assert asked.first.size == len(expected)
    assert asked.templates.ids == asked.faces.names


counts_of_media = st.lists(st.integers(1, 5), min_size=2, max_size=14).filter(lambda counts: max(counts) > 1)


@settings(max_examples=60, deadline=None)
@given(
    counts_of_media, st.integers(0, 5), st.sampled_from([0, 2, 3, 10]), st.sampled_from([3, 10, 1000]), st.booleans()
)
def test_verification_keeps_its_promises(counts: list[int], seed: int, folds: int, most: int, balanced: bool) -> None:
    asked = make_pairs(people(*counts), seed=seed, size=1, folds=folds, pairs=most, balanced=balanced)
    who = [subject(asked, t) for t in range(len(asked.templates))]
    assert all(media_of(asked, asked.templates, t)[0].split("/")[0] == who[t] for t in range(len(who)))
    assert [who[a] == who[b] for a, b in zip(asked.first, asked.second, strict=True)] == asked.same.tolist()
    assert len(trials(asked)) == asked.same.size  # no pair twice, none of a template with itself
    assert asked.genuine == min(most, sum(n * (n - 1) // 2 for n in counts))
    fold = np.zeros(asked.same.size, int) if asked.folds is None else asked.folds
    home: dict[str, int] = {}
    for a, b, f in zip(asked.first, asked.second, fold, strict=True):
        assert home.setdefault(who[a], f) == f  # a person is in one fold
        assert home.setdefault(who[b], f) == f
    assert asked.settings["folds"] == (
        0 if asked.folds is None else len(set(home.values())) if most == 1000 else asked.settings["folds"]
    )
    possible: dict[int, int] = {}
    for a, b in itertools.combinations(range(len(who)), 2):
        if who[a] != who[b] and home.get(who[a], -1) == home.get(who[b], -2):
            possible[home[who[a]]] = possible.get(home[who[a]], 0) + 1
    if balanced:
        for f in set(home.values()):
            inside = fold == f
            assert np.count_nonzero(~asked.same & inside) <= np.count_nonzero(asked.same & inside)
    elif most == 1000:
        assert asked.impostors == sum(possible.values())
        for f in set(home.values()):  # each fold can be judged
            assert np.any(asked.same & (fold == f))
            assert np.any(~asked.same & (fold == f))
    else:
        assert asked.impostors <= most


@settings(max_examples=60, deadline=None)
@given(counts_of_media, st.integers(0, 5), st.sampled_from([0.0, 0.01, 0.3, 0.9]), st.integers(1, 2))
def test_search_keeps_its_promises(counts: list[int], seed: int, share: float, size: int) -> None:
    try:
        asked = make_search(people(*counts), seed=seed, size=size, share=share)
    except ProtocolError:
        assert sum(n > size for n in counts) == 0 or sum(n >= size + (share == 0) for n in counts) < 2
        return
    gallery, probes = asked.galleries[0].templates.tolist(), asked.probes.tolist()
    enrolled = [subject(asked, t) for t in gallery]
    assert len(set(enrolled)) == len(enrolled) > 0
    used = [name for t in gallery + probes for name in media_of(asked, asked.templates, t)]
    assert len(used) == len(set(used))  # no medium is on both sides, or in two probes
    assert all(len(media_of(asked, asked.templates, t)) == size for t in probes)
    searched = {subject(asked, t) for t in probes}
    assert set(enrolled) <= searched
    assert asked.close_set == (share == 0)
    assert (searched == set(enrolled)) == (share == 0)
    able = sum(n > size for n in counts)
    if share:
        wanted = min(max(round(share * able), 0 if size in counts else 1), able - 1)
        assert len(enrolled) == able - wanted
    for t in gallery:
        n = counts[int(subject(asked, t)[1:])]
        assert len(media_of(asked, asked.templates, t)) == max(1, min(n // 2, n - size))


def test_people_with_one_medium_are_impostors_and_non_mated_only() -> None:
    verify, search = make_pairs(people(4, 4, 1, 1), **PAIRS), make_search(people(4, 4, 1, 1), seed=0, size=1, share=0.3)
    single = {t for t in range(len(verify.templates)) if subject(verify, t) in ("p02", "p03")}
    genuine = set(verify.first[verify.same].tolist()) | set(verify.second[verify.same].tolist())
    assert single
    assert not single & genuine
    assert single & set(np.concatenate([verify.first, verify.second])[np.tile(~verify.same, 2)].tolist())
    assert {subject(search, t) for t in search.galleries[0].templates} <= {"p00", "p01"}
    assert {"p02", "p03"} <= {subject(search, t) for t in search.probes}


def test_the_order_of_the_listing_does_not_matter_and_the_seed_does() -> None:
    given = people(*[5] * 12)
    names = list(given.person)
    random.Random(1).shuffle(names)
    other = Collection("elsewhere", {name: given.person[name] for name in names})
    options = {**PAIRS, "pairs": 60, "folds": 3}
    a, b, c = make_pairs(given, **options), make_pairs(other, **options), make_pairs(given, **{**options, "seed": 1})
    assert a.templates.ids == b.templates.ids
    for column in ("first", "second", "same", "folds"):
        np.testing.assert_array_equal(getattr(a, column), getattr(b, column))
    assert a.files == b.files
    assert trials(a) != trials(c)
    x, y, z = (make_search(of, seed=seed, size=1, share=0.3) for of, seed in ((given, 0), (other, 0), (given, 1)))
    assert x.templates.ids == y.templates.ids
    assert set(x.templates.ids) != set(z.templates.ids)
    # What is enrolled of a person does not depend on who else is there.
    more = Collection("more", {**given.person, "q/1.jpg": "q"})
    w = make_search(more, seed=0, size=1, share=0.3)
    assert {media_of(x, x.templates, t)[0] for t in x.galleries[0].templates} == {
        media_of(w, w.templates, t)[0] for t in w.galleries[0].templates
    }


def test_a_golden_choice() -> None:
    """Stays as it is, or results of equal signature would not compare. sha256 and SplitMix64 by independent code."""
    assert shuffled(["a", "b", "c", "d"], 7, "media") == ["a", "b", "d", "c"]  # by sha256sum
    assert sample(10, 7, 0, "x").tolist() == [1, 2, 4, 6, 7, 8, 9]
    assert sample(1000, 4, 0, "x").tolist() == [164, 768, 799, 842]
    mask = 2**64 - 1
    state = int.from_bytes(hashlib.sha256(b"7\0x").digest()[:8], "big")
    for value in scramble(7, "x", 0, 5).tolist():
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        assert value == z ^ (z >> 31)


@pytest.mark.parametrize(("total", "wanted"), [(10, 3), (10, 8), (10, 10), (10, 99), (0, 5), (10, 0), (1000, 499)])
def test_sample(total: int, wanted: int) -> None:
    drawn = sample(total, wanted, 0, "x")
    assert drawn.size == min(total, wanted)
    assert np.all(np.diff(drawn) > 0)
    assert not drawn.size or (drawn[0] >= 0 and drawn[-1] < total)


@pytest.mark.parametrize("wanted", [3, 7])
def test_sample_is_even(wanted: int) -> None:
    """4,000 draws of 3 or 7 of 10: each number is drawn 1,200 or 2,800 times; 5 standard deviations are 145."""
    counts = np.zeros(10)
    for seed in range(4000):
        counts[sample(10, wanted, seed, "x")] += 1
    assert np.abs(counts - 400 * wanted).max() < 5 * np.sqrt(4000 * 0.3 * 0.7)


def test_pairs_of_one_huge_person_are_located_exactly() -> None:
    """Person 0 has 300 media: number r of 44,850 is the pair (i, j) with r = i + j(j - 1)/2."""
    asked = make_pairs(people(300, 2), **{**PAIRS, "pairs": 10**6})
    assert asked.genuine == 300 * 299 // 2 + 1
    assert len(trials(asked)) == asked.same.size == 302 * 301 // 2


def test_templates_of_several_media() -> None:
    asked = make_pairs(people(5, 4, 3, 1), **{**PAIRS, "size": 2})
    assert asked.templates.sizes.tolist() == [2] * 5  # 2 + 2 + 1; the fifth medium of p00 is left over
    assert (asked.genuine, asked.impostors) == (2, 2 * 2 + 2 + 2)
    assert asked.notes[0] == "1 of 4 people have too few media and are left out"
    assert all(template.endswith(" and 1 more") for template in asked.templates.ids)
    used = [name for t in range(5) for name in media_of(asked, asked.templates, t)]
    assert len(used) == len(set(used)) == 10


def test_folds_are_fewer_where_people_are_few() -> None:
    asked = make_pairs(people(2, 2, 2, 1, 1), **PAIRS)
    assert asked.settings["folds"] == 2
    assert asked.notes[0] == "2 folds instead of 10: a fold needs a person with two templates and another person"
    assert make_pairs(people(2, 2, 1, 1, 1, 1, 1), **PAIRS).settings["folds"] == 2  # one has no genuine pair in a third
    for seed in range(5):
        even = make_pairs(people(1, 2, 1, 2, 1, 2), **{**PAIRS, "folds": 3, "seed": seed})
        assert even.folds is not None
        assert np.bincount(even.folds[even.same]).tolist() == [1, 1, 1]
    none = make_pairs(people(2, 1, 1), **PAIRS)
    assert none.folds is None
    assert none.notes[0].startswith("no folds instead of 10")


def test_uneven_pairs_are_noted() -> None:
    asked = make_pairs(people(*[2] * 20), **{**PAIRS, "folds": 2})
    assert (asked.genuine, asked.impostors) == (20, 2 * (20 * 18 // 2))
    assert asked.notes == (
        "20 genuine and 360 impostor pairs: accepting nobody has an accuracy of 94.74%; look at TAR at a FAR, or "
        "choose balanced pairs",
    )
    even = make_pairs(people(*[2] * 20), **{**PAIRS, "folds": 2, "balanced": True})
    assert (even.genuine, even.impostors, even.notes) == (20, 20, ())
    assert even.folds is not None
    assert np.bincount(even.folds[~even.same]).tolist() == [10, 10]


def tree(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    return root


def test_names_are_those_of_extraction(tmp_path: Path) -> None:
    root = tree(
        tmp_path, "Ann/1.jpg", "Ann/2.jpg", "Bob/walk/1.png", "Bob/walk/2.png", "Bob/x.mp4", "Bob/.hidden", "list.txt"
    )
    verify, search = protocols.load("folder", root)
    assert isinstance(verify, Verification)
    assert isinstance(search, Identification)
    assert verify.faces.names == tuple(medium.key for medium in find_people(root))
    assert verify.faces.names == ("Ann/1.jpg", "Ann/2.jpg", "Bob/walk", "Bob/x.mp4")
    assert verify.files[0].lines == 4
    (tmp_path / "Ann" / "3.jpg").write_bytes(b"")
    assert folder.verification(root).files != verify.files
    assert folder.identification(root, share=0).close_set


def test_a_table_gives_the_same_trials_as_the_folder(tmp_path: Path) -> None:
    names = [f"{person}/{n}.jpg" for person in ("Ann", "Bob", "Cid", "Dee") for n in range(4)]
    table = table_for([(name.split("/")[0], name) for name in names for _ in range(2)])
    for a, b in zip(folder.load(tree(tmp_path, *names)), folder.from_table(table), strict=True):
        assert a.templates.ids == b.templates.ids
        assert a.settings == b.settings
        assert a.files == b.files
        assert (*b.notes,) == (
            "made from the media of the feature table: media in which no face was found are not counted",
            *a.notes,
        )
    (only,) = folder.from_table(table, task="identify", share=0.5)
    assert only.settings["share"] == 0.5


def table_for(rows: list[tuple[str, str]]) -> FeatureTable:
    ones = np.ones(4, np.float32)
    return table_of([FeatureRow(who, name, ones, (0, 0, 9, 9), 0.9) for who, name in rows], "test", width=4)


def test_folders_that_make_no_trials(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="none is no folder; give a folder laid out as <person>/<medium>"):
        folder.verification(tmp_path / "none")
    with pytest.raises(ProtocolError, match="holds no person folders with media in them; lay it out as"):
        folder.load(tmp_path)
    tree(tmp_path, "Ann/1.jpg", "Ann/2.jpg")
    with pytest.raises(ProtocolError, match="holds one person, Ann; lay it out as <person>/<medium> for two or more"):
        folder.verification(tmp_path)
    with pytest.raises(
        ProtocolError, match="only Ann in .* has enough media, so that nobody else is searched; add media"
    ):
        folder.identification(tmp_path)
    tree(tmp_path, "Bob/1.jpg")
    with pytest.raises(
        ProtocolError, match="nobody in .* has 4 media, so that there is no genuine pair; add media or choose a"
    ):
        folder.verification(tmp_path, size=2)
    with pytest.raises(
        ProtocolError, match="nobody in .* has 3 media, one to enrol and 2 to search with; add media or"
    ):
        folder.identification(tmp_path, size=2)
    with pytest.raises(ProtocolError, match="only Ann in .* has enough media"):
        folder.identification(tmp_path, share=0)
    tree(tmp_path, "Ann/3.jpg", "Ann/4.jpg")
    with pytest.raises(ProtocolError, match="only Ann in .* has 2 media, so that none meet"):
        folder.verification(tmp_path, size=2)
    (tmp_path / "Ann" / "2.jpg").unlink()
    with pytest.raises(ProtocolError, match="the feature table has no faces"):
        folder.from_table(table_for([]))
    with pytest.raises(ProtocolError, match="medium Ann/1 of the feature table is of Ann and of Bob"):
        folder.from_table(table_for([("Ann", "Ann/1"), ("Bob", "Ann/1")]))
    with pytest.raises(ProtocolError, match="nobody in the feature table has 2 media"):
        folder.from_table(table_for([("Ann", "Ann/1"), ("Bob", "Bob/1")]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number of 0 or more, but got -1"),
        ({"size": 0}, "size must be a whole number of 1 or more, but got 0"),
        ({"size": 1.5}, "size must be a whole number of 1 or more, but got 1.5"),
        ({"folds": 1}, "folds must be 0 for none, or 2 or more"),
        ({"pairs": 0}, "pairs must be a whole number of 1 or more"),
        ({"share": 1.0}, "share must be at least 0 and below 1, but got 1.0"),
        ({"share": float("nan")}, "share must be at least 0"),
        ({"task": "guess"}, "no task 'guess'; choose verify or identify"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    root = tree(tmp_path, "Ann/1.jpg", "Ann/2.jpg", "Bob/1.jpg", "Bob/2.jpg")
    with pytest.raises(InputError, match=message):
        folder.load(root, **options)
