"""The pair lists of LFW."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from protocol_files import lfw_lines, one_character_edits, trials_of, write_lines

from faceset.errors import InputError, ProtocolError
from faceset.evaluation.protocols import lfw

# The first and last line of both kinds in folds 1 and 10 of the official list,
# http://vis-www.cs.umass.edu/lfw/pairs.txt; pictures as the database names them (README of LFW).
GOLDEN = {
    0: ("Abel_Pacheco/Abel_Pacheco_0001.jpg", "Abel_Pacheco/Abel_Pacheco_0004.jpg", True, 0),
    299: ("Zico/Zico_0002.jpg", "Zico/Zico_0003.jpg", True, 0),
    300: ("Abdel_Madi_Shabneh/Abdel_Madi_Shabneh_0001.jpg", "Dean_Barker/Dean_Barker_0001.jpg", False, 0),
    5999: ("Slobodan_Milosevic/Slobodan_Milosevic_0002.jpg", "Sok_An/Sok_An_0001.jpg", False, 9),
}


def test_the_official_list(data_dir: Path) -> None:
    asked = lfw.verification(data_dir / "lfw")
    assert asked.same.size == 6000
    assert (asked.genuine, asked.impostors) == (3000, 3000)
    assert asked.folds is not None
    for fold in range(10):
        inside = asked.folds == fold
        assert (np.count_nonzero(asked.same & inside), np.count_nonzero(~asked.same & inside)) == (300, 300)
    assert (len(asked.faces), len(asked.templates), asked.templates.subjects) == (7701, 7701, 4281)
    for at, (first, second, same, fold) in GOLDEN.items():
        assert asked.templates.ids[asked.first[at]] == first
        assert asked.templates.ids[asked.second[at]] == second
        assert (asked.same[at], asked.folds[at]) == (same, fold)
    assert asked.notes == ()  # no person in two folds, and the official counts
    assert asked.files[0].name == "pairs.txt"
    assert asked.files[0].lines == 6000
    assert all((data_dir / "lfw" / asked.faces.file(i)).is_file() for i in range(0, 7701, 50))


def test_labels_are_those_of_the_names(data_dir: Path) -> None:
    asked = lfw.verification(data_dir / "lfw")
    codes = asked.templates.subject.codes
    np.testing.assert_array_equal(asked.same, codes[asked.first] == codes[asked.second])


def test_by_hand(tmp_path: Path) -> None:
    lines = ["2\t1", "Ann\t1\t2", "Bob\t10\tCid\t3", "Dan\t2\t1", "Eve\t1\tFay\t1"]
    write_lines(tmp_path / "pairs.txt", lines)
    asked = lfw.verification(tmp_path)
    assert asked.faces.names == (
        *("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Bob/Bob_0010.jpg", "Cid/Cid_0003.jpg"),
        *("Dan/Dan_0001.jpg", "Dan/Dan_0002.jpg", "Eve/Eve_0001.jpg", "Fay/Fay_0001.jpg"),
    )
    assert asked.first.tolist() == [0, 2, 5, 6]
    assert asked.second.tolist() == [1, 3, 4, 7]
    assert asked.same.tolist() == [True, False, True, False]
    assert asked.folds is not None
    assert asked.folds.tolist() == [0, 0, 1, 1]
    assert asked.templates.media.tolist() == list(range(8))
    assert asked.templates.sizes.tolist() == [1] * 8
    assert asked.notes == ("2 folds of 1 + 1 pairs; the official list has 10 of 300 + 300",)


def test_a_development_list_has_no_folds(tmp_path: Path) -> None:
    write_lines(tmp_path / "pairsDevTest.txt", ["1", "Ann\t1\t2", "Bob\t1\tCid\t1"])
    asked = lfw.verification(tmp_path, pairs="pairsDevTest.txt")
    assert asked.folds is None
    assert asked.part == "pairsDevTest.txt"
    assert "View 1" in asked.notes[0]


def test_people_in_two_folds_are_counted_in_a_note(tmp_path: Path) -> None:
    write_lines(tmp_path / "pairs.txt", ["2\t1", "Ann\t1\t2", "Bob\t1\tCid\t3", "Ann\t2\t3", "Eve\t1\tBob\t1"])
    assert lfw.verification(tmp_path).notes[0].startswith("2 people are part of several folds (Ann, Bob), ")


Edit = Callable[[list[str]], object]


@pytest.mark.parametrize(
    ("edit", "line", "what"),
    [
        (lambda x: x.pop(), 12, "the file holds 11 pairs where its header promises 12"),
        (lambda x: x.pop(3), 12, "holds 11 pairs where its header promises 12"),
        (lambda x: x.insert(3, x[3]), 14, "holds 13 pairs where its header promises 12"),
        (lambda x: x.__setitem__(3, x[2]), 4, "the same pair as line 3"),
        (lambda x: x.__setitem__(3, "Person_0_1\t3\t1"), 4, "the same pair as line 3"),
        (lambda x: x.__setitem__(slice(3, 5), [x[4], x[3]]), 4, "two people where fold 1 of 2 has pairs of one person"),
        (lambda x: x.__setitem__(slice(5, 8), [x[7], *x[5:7]]), 6, "one person where fold 1 of 2 has pairs of two"),
        (lambda x: x.__setitem__(1, "Ann\t2\t2"), 2, "Ann/Ann_0002.jpg is paired with itself"),
        (lambda x: x.__setitem__(4, "Ann\t2\tAnn\t3"), 5, "both people are Ann"),
        (lambda x: x.__setitem__(4, "Ann\t2\tBob"), 5, "a pair of one person"),
        (lambda x: x.__setitem__(1, "Ann\t0\t2"), 2, "the number of a picture is 0, outside 1 to 9999"),
        (lambda x: x.__setitem__(1, "Ann\t01\t2"), 2, "the number of a picture is '01'"),
        (lambda x: x.__setitem__(1, "../Ann\t1\t2"), 2, "is no name of a person"),
        (lambda x: x.__setitem__(1, "Ann 1 2"), 2, "1 fields where 3 or 4"),
        (lambda x: x.__setitem__(0, "2\t3\t1"), 1, "3 fields where 1 or 2"),
        (lambda x: x.__setitem__(0, "two\t3"), 1, "the number of folds is 'two'"),
        (lambda x: x.__setitem__(0, "3\t3"), 13, "holds 12 pairs where its header promises 18"),
        (lambda x: x.__setitem__(0, "1\t3"), 1, "the number of folds is 1, outside 2"),
    ],
)
def test_damage(tmp_path: Path, edit: Edit, line: int, what: str) -> None:
    lines = lfw_lines(2, 3)
    edit(lines)
    write_lines(tmp_path / "pairs.txt", lines)
    with pytest.raises(ProtocolError, match=rf"^pairs\.txt, line {line}: .*{re.escape(what)}"):
        lfw.verification(tmp_path)


def test_a_list_cut_in_its_last_number(tmp_path: Path) -> None:
    lines = lfw_lines(2, 3)
    lines[-1] += "2"
    data = write_lines(tmp_path / "pairs.txt", lines).read_bytes()
    (tmp_path / "pairs.txt").write_bytes(data[:-2])
    with pytest.raises(ProtocolError, match="line 13: no line end"):
        lfw.verification(tmp_path)


def outcome(root: Path) -> list[tuple[object, ...]] | None:
    """The trials, None for an error that names file and line, or the message of any other."""
    try:
        return trials_of(lfw.verification(root))
    except ProtocolError as error:
        return None if re.match(r"pairs\.txt, line \d+: ", str(error)) else [(str(error),)]


def test_every_one_character_edit_of_a_field_is_another_trial_or_an_error(tmp_path: Path) -> None:
    lines = ["2\t1", "Ann\t1\t2", "Bob\t10\tCid\t3", "D\t2\t1", "E\t1\tF\t1"]
    write_lines(tmp_path / "pairs.txt", lines)
    good = trials_of(lfw.verification(tmp_path))
    found = []
    for at, line in enumerate(lines):
        fields = line.split("\t")
        for which, field in enumerate(fields):
            for new in one_character_edits(field):
                edited = "\t".join([*fields[:which], new, *fields[which + 1 :]])
                write_lines(tmp_path / "pairs.txt", [*lines[:at], edited, *lines[at + 1 :]])
                found.append(outcome(tmp_path))
                assert found[-1] != good, (line, edited)
    assert all(trials is None or len(trials) == 4 for trials in found)
    assert found.count(None) > 500
    assert len(found) - found.count(None) > 100


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lfw has no task 'identify'"):
        lfw.load(tmp_path, task="identify")
    for name in ("../pairs.txt", "/etc/passwd", ""):
        with pytest.raises(InputError, match="is no name of a list below the root"):
            lfw.verification(tmp_path, pairs=name)
    with pytest.raises(ProtocolError, match=r"does not hold pairs\.txt"):
        lfw.load(tmp_path)
