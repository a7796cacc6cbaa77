"""The pair lists of YouTube Faces."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from protocol_files import STRANGE, one_character_edits, trials_of, write_lines, ytf_lines

from faceset.errors import InputError, ProtocolError
from faceset.evaluation.protocols import ytf

# Lines of the official splits.txt: pairs 1, 250, 251 of split 1 and 500 of split 10, as in the copy of
# github.com/jinyanxu/Benchmarks-of-LFW-and-YTF (splits.txt, commit 701bf089), which has no header.
GOLDEN = {
    0: "1, 1, Sadie_Frost/1, Sadie_Frost/5, 1",
    249: "1, 250, Alexandra_Pelosi/0, Alexandra_Pelosi/3, 1",
    250: "1, 251, Edgar_Savisaar/1, Ray_Wasden/0, 0",
    4999: "10, 500, Ben_Curtis/0, Hank_Stram/4, 0",
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 folds of 1 + 1 pairs, so that every edit can be tried."""
    monkeypatch.setattr(ytf, "FOLDS", 2)
    monkeypatch.setattr(ytf, "EACH", 1)


@pytest.mark.parametrize("header", [True, False])
def test_the_official_form(tmp_path: Path, header: bool) -> None:
    lines = ytf_lines(header=header)
    for at, line in GOLDEN.items():
        lines[at + header] = line
    write_lines(tmp_path / "splits.txt", lines, last=header)
    asked = ytf.verification(tmp_path)
    assert (asked.same.size, asked.genuine, asked.impostors) == (5000, 2500, 2500)
    assert asked.folds is not None
    for fold in range(10):
        inside = asked.folds == fold
        assert (np.count_nonzero(asked.same & inside), np.count_nonzero(~asked.same & inside)) == (250, 250)
    for at, line in GOLDEN.items():
        split, _, first, second, label = line.split(", ")
        assert asked.templates.ids[asked.first[at]] == first
        assert asked.templates.ids[asked.second[at]] == second
        assert (int(asked.same[at]), int(asked.folds[at])) == (int(label), int(split) - 1)
    assert asked.faces.names == asked.templates.ids == tuple(sorted(asked.faces.names))
    assert asked.settings == {"list": "original"}
    assert asked.notes == ("list: original (splits.txt)",)
    assert asked.files[0].lines == 5000
    np.testing.assert_array_equal(asked.templates.media, np.arange(len(asked.templates)))


def test_a_video_is_a_template_of_its_person(tmp_path: Path, small: None) -> None:
    write_lines(tmp_path / "splits.txt", ["1,1,Ann/0,Ann/12,1", "1,2,Bob/1,Cid/0,0", "2,1,D/0,D/1,1", "2,2,D/0,E/0,0"])
    asked = ytf.verification(tmp_path)
    assert asked.templates.ids == ("Ann/0", "Ann/12", "Bob/1", "Cid/0", "D/0", "D/1", "E/0")
    people = [asked.templates.subject.names[code] for code in asked.templates.subject.codes]
    assert people == ["Ann", "Ann", "Bob", "Cid", "D", "D", "E"]
    assert asked.first.tolist() == [0, 2, 4, 4]
    assert asked.second.tolist() == [1, 3, 5, 6]


Edit = Callable[[list[str]], object]


def put(at: int, line: str) -> Edit:
    return lambda lines: lines.__setitem__(at, line)


@pytest.mark.parametrize(
    ("edit", "line", "what"),
    [
        (lambda x: x.pop(), 5000, "after 4999 pairs, split 10 has 250 of one person and 249 of two"),
        (lambda x: x.pop(7), 8, "pair 8 of split 1 where pair 7 of split 1 is due"),
        (lambda x: x.insert(7, x[7]), 9, "pair 7 of split 1 where pair 8 of split 1 is due"),
        (lambda x: x.__setitem__(slice(7, 9), [x[8], x[7]]), 8, "pair 8 of split 1 where pair 7"),
        (lambda x: x.append(x[-1]), 5002, "pair 500 of split 10 where pair 1 of split 11 is due"),
        (lambda x: x.insert(7, ""), 8, "a blank line"),
        (
            lambda x: x.__delitem__(slice(2501, None)),
            2501,
            "after 2500 pairs, split 6 has 0 of one person and 0 of two",
        ),
        (put(1, "1, 1, Ann/0, Bob/0, 0"), 501, "after 5000 pairs, split 1 has 249 of one person and 251 of two"),
        (put(1, "1, 1, Ann/0, Ann/1, 0"), 2, "label 0 speaks against the names Ann/0 and Ann/1"),
        (put(1, "1, 1, Ann/0, Bob/1, 1"), 2, "label 1 speaks against the names"),
        (put(1, "1, 1, Ann/0, Ann/0, 1"), 2, "Ann/0 is paired with itself"),
        (put(1, "1, 1, Ann/0, Ann/1, 2"), 2, "the label is 2, outside 0 to 1"),
        (put(1, "1, 1, Ann/0, Ann/1"), 2, "4 fields where 5"),
        (put(1, "1, 1, Ann, Ann/1, 1"), 2, "'Ann' is no video"),
        (put(1, "1, 1, Ann/00, Ann/1, 1"), 2, "the number of a video is '00'"),
        (put(1, "1, 1, ../0, Ann/1, 0"), 2, "'..' is no name of a person"),
        (put(1, "1, 1,  Ann/0, Ann/1, 1"), 2, "blanks around field 3"),
        (put(1, "11, 1, Ann/0, Ann/1, 1"), 2, "the split number is 11, outside 1 to 10"),
        (put(0, "split 1, pair, first, second, same"), 1, "the split number is 'split 1'"),
        (lambda x: x.__delitem__(slice(1, None)), 1, "no pairs after it"),
    ],
)
def test_damage(tmp_path: Path, edit: Edit, line: int, what: str) -> None:
    lines = ytf_lines()
    edit(lines)
    write_lines(tmp_path / "splits.txt", lines)
    with pytest.raises(ProtocolError, match=rf"^splits\.txt, line {line}: .*{re.escape(what)}"):
        ytf.verification(tmp_path)


def test_the_corrected_list_may_lack_pairs_and_change_labels(tmp_path: Path) -> None:
    lines = ytf_lines()
    lines[5] = lines[5].removesuffix("1") + "0"
    del lines[4999]
    write_lines(tmp_path / "splits_corrected.txt", lines)
    asked = ytf.verification(tmp_path, list="corrected")
    assert (asked.genuine, asked.impostors) == (2499, 2500)
    assert asked.part == "corrected list"
    assert asked.notes == (
        "list: corrected (splits_corrected.txt)",
        "4999 pairs; 2 of 10 folds do not have 250 + 250 pairs",
        "the label of 1 pairs is not what the names of the videos say; the label counts",
    )
    write_lines(tmp_path / "splits_corrected.txt", [*lines[:8], lines[7], *lines[8:]])
    with pytest.raises(
        ProtocolError, match=r"splits_corrected\.txt, line 9: pair 7 of split 1 after pair 7 of split 1"
    ):
        ytf.verification(tmp_path, list="corrected")


def test_repeated_pairs_and_people_in_two_folds_are_notes(tmp_path: Path, small: None) -> None:
    write_lines(tmp_path / "splits.txt", ["1,1,A/0,A/1,1", "1,2,B/1,C/0,0", "2,1,A/1,A/0,1", "2,2,D/0,E/0,0"])
    notes = ytf.verification(tmp_path).notes
    assert notes[1] == "1 pairs are repeated, and count each time"
    assert notes[2].startswith("1 people are part of several folds (A), ")


def outcome(root: Path) -> list[tuple[object, ...]] | None:
    """The trials, None for an error that names file and line, or the message of any other."""
    try:
        return trials_of(ytf.verification(root))
    except ProtocolError as error:
        return None if re.match(r"splits\.txt, line \d+: ", str(error)) else [(str(error),)]


@pytest.mark.parametrize("header", [True, False])
def test_every_one_character_edit_of_a_field_is_another_trial_or_an_error(
    tmp_path: Path, small: None, header: bool
) -> None:
    pairs = ["1, 1, Ann/0, Ann/12, 1", "1, 2, B/1, C/0, 0", "2, 1, D/0, D/1, 1", "2, 2, E/0, F/0, 0"]
    lines = [*ytf_lines(1, 1)[:1], *pairs] if header else pairs
    write_lines(tmp_path / "splits.txt", lines)
    good = outcome(tmp_path)
    found = []
    for at in range(int(header), len(lines)):
        fields = lines[at].split(", ")
        for which, field in enumerate(fields):
            for new in one_character_edits(field):
                edited = ", ".join([*fields[:which], new, *fields[which + 1 :]])
                write_lines(tmp_path / "splits.txt", [*lines[:at], edited, *lines[at + 1 :]])
                found.append(outcome(tmp_path))
                assert found[-1] != good, (lines[at], edited)
    assert all(trials is None or len(trials) == 4 for trials in found)
    assert found.count(None) > 1000
    assert len(found) - found.count(None) > 100


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[tuple[object, ...]] | None]:
    """(root of its own copy, lines, trials) of a list of the official size."""
    root = tmp_path_factory.mktemp("ytf")
    lines = ytf_lines()
    write_lines(root / "splits.txt", lines)
    return root, lines, outcome(root)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(line=st.integers(1, 5000), which=st.integers(0, 4), at=st.integers(0, 20), new=st.sampled_from(("", *STRANGE)))
def test_edits_of_a_full_list(
    full: tuple[Path, list[str], list[tuple[object, ...]] | None], line: int, which: int, at: int, new: str
) -> None:
    root, lines, good = full
    fields = lines[line].split(", ")
    field = fields[which]
    at %= len(field)
    if field[at] == new:
        return
    fields[which] = field[:at] + new + field[at + 1 :]
    write_lines(root / "splits.txt", [*lines[:line], ", ".join(fields), *lines[line + 1 :]])
    assert outcome(root) != good


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ytf has no task 'identify'"):
        ytf.load(tmp_path, task="identify")
    with pytest.raises(InputError, match="ytf has no list 'new'; it has original and corrected"):
        ytf.load(tmp_path, list="new")
    with pytest.raises(ProtocolError, match=r"does not hold splits\.txt; copy"):
        ytf.load(tmp_path)
    write_lines(tmp_path / "splits_corrected.txt", ytf_lines())
    with pytest.raises(ProtocolError, match="which is list 'corrected'"):
        ytf.load(tmp_path)
