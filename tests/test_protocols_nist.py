"""IJB-B and IJB-C in NIST's own form, both layouts. Golden lines are in nist_files.py, with their source."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nist_files import (
    CLASSIC_HEADER,
    IJBC_G1,
    IJBC_PAIRS,
    IJBC_PROBE,
    described,
    write_classic,
    write_tests,
)
from protocol_files import one_character_edits, write_lines

from faceset.errors import InputError, ProtocolError
from faceset.evaluation.protocols import nist
from faceset.evaluation.protocols.nist_counts import IJBA_1TO1, deviations
from faceset.evaluation.protocols.nist_pairs import pair_up
from faceset.evaluation.protocols.tables import read_integers
from faceset.evaluation.trials import Identification, Verification


def both(root: Path, edition: nist.Edition = "ijbc") -> tuple[Verification, Identification]:
    found = nist.load_ijb(root, edition)
    assert found is not None
    one, two = found
    assert isinstance(one, Verification)
    assert isinstance(two, Identification)
    return one, two


IDS = ("1", "2", "949", "950", "11065", "11066", "11067")


@pytest.mark.parametrize("folder", ["", "protocols", "protocol", "protocols/archive"])
def test_classic(tmp_path: Path, folder: str) -> None:
    verification, identification = both(write_classic(tmp_path, folder=folder))
    for asked in (verification, identification):
        assert asked.protocol == "ijbc"
        assert asked.settings == {"form": "nist", "layout": "classic"}
        assert asked.templates.ids == IDS
        assert asked.faces.names[:2] == ("img/116262.jpg#69544", "img/4702.jpg#3720")
        assert asked.faces.files is not None
        assert asked.faces.files[5] == "frames/500_1.png"
        assert asked.faces.boxes is not None
        assert asked.faces.boxes[0].tolist() == [268, 32, 268 + 40, 32 + 47]
        assert np.isnan(asked.faces.boxes[7]).all()
        assert "1 of 11 faces have no box in the protocol." in asked.notes
        # A track of three frames is one medium; a still is its own.
        assert asked.templates.media[5:9].tolist() == [80001, 80001, 80001, 80002]
    assert verification.first.tolist() == [0, 0, 1, 2, 3]
    assert verification.second.tolist() == [4, 5, 6, 5, 4]
    assert verification.same.tolist() == [True, False, False, True, False]
    assert [(g.name, g.templates.tolist()) for g in identification.galleries] == [("G1", [0, 1]), ("G2", [2, 3])]
    assert identification.probes.tolist() == [4, 5, 6]
    assert not identification.close_set
    names = [file.name.rsplit("/", 1)[-1] for file in verification.files]
    assert names == [
        "ijbc_1N_gallery_G1.csv",
        "ijbc_1N_gallery_G2.csv",
        "ijbc_1N_probe_mixed.csv",
        "ijbc_11_G1_G2_matches.csv",
    ]
    assert [file.lines for file in verification.files] == [3, 2, 6, 5]
    assert "Counts differ from the official files: 7 templates (official 23,124), 5 comparisons (official" in " ".join(
        verification.notes
    )


def test_tests_layout_is_the_same_trials(tmp_path: Path) -> None:
    classic = both(write_classic(tmp_path / "classic"))
    tests = both(write_tests(tmp_path / "tests"))
    for one, other in zip(classic, tests, strict=True):
        assert described(one) == described(other)
        assert other.settings == {"form": "nist", "layout": "tests"}
    assert tests[0].files[-2].name == "protocols/ijbc_metadata_with_age.csv"
    assert tests[0].files[-1].lines == len(IJBC_PAIRS)


def test_tests_layout_without_metadata(tmp_path: Path) -> None:
    """Faces are then named by subject and box, media by the video in the name of a frame; counted in a note."""
    with_metadata = both(write_tests(tmp_path / "with"))
    without = both(write_tests(tmp_path / "without", metadata=False))
    for one, other in zip(with_metadata, without, strict=True):
        assert "Media of 11 of 11 faces are by file name: no metadata file is there." in other.notes
        assert other.faces.names[0] == "img/116262.jpg#1@268,32,40,47"
        assert other.templates.entries.tolist() == one.templates.entries.tolist()
        # The same partition into media, whatever the numbers.
        groups = [np.unique(a.templates.media, return_inverse=True)[1] for a in (one, other)]
        pairs = set(zip(*(g.tolist() for g in groups), strict=True))
        assert len(pairs) == len(set(groups[0].tolist())) == len(set(groups[1].tolist()))


def test_a_face_the_metadata_do_not_tell_is_counted(tmp_path: Path) -> None:
    write_tests(tmp_path)
    path = tmp_path / "protocols" / "ijbc_metadata_with_age.csv"
    lines = path.read_text().splitlines()
    write_lines(path, [*lines[:-1], lines[1].replace(",69544,", ",69545,")])  # one gone, one told twice
    verification, _ = both(tmp_path)
    assert (
        "Media of 2 of 11 faces are by file name: the metadata do not tell one sighting of them." in verification.notes
    )
    assert verification.faces.names[0] == "img/116262.jpg#1@268,32,40,47"


def test_both_layouts_the_present_one_is_read(tmp_path: Path) -> None:
    """The present download keeps the first release in protocols/archive."""
    write_tests(tmp_path)
    write_classic(tmp_path, folder="protocols/archive")
    assert [part.settings["layout"] for part in both(tmp_path)] == ["tests", "tests"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        # IJB-B: first release, July 2016, release 2; and IJB-C's first release (strpy's ijbb.py and ijbc.py).
        (
            "TEMPLATE_ID,SUBJECT_ID,FILE,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,RIGHT_EYE_X,RIGHT_EYE_Y,"
            "LEFT_EYE_X,LEFT_EYE_Y,NOSE_BASE_X,NOSE_BASE_Y,FRAME,CS2_BOOL",
            "{t},{s},{f},{g},{x},{y},{w},{h},1.5,2,,,3,4,,True",
        ),
        (
            "TEMPLATE_ID,SUBJECT_ID,FILE,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,RIGHT_EYE_X,RIGHT_EYE_Y,"
            "LEFT_EYE_X,LEFT_EYE_Y,NOSE_BASE_X,NOSE_BASE_Y,FRAME",
            "{t},{s},{f},{g},{x},{y},{w},{h},1.5,2,,,3,4,17",
        ),
        (
            "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,RIGHT_EYE_X,RIGHT_EYE_Y,"
            "LEFT_EYE_X,LEFT_EYE_Y,NOSE_X,NOSE_Y",
            "{t},{s},{f},{g},{x},{y},{w},{h},1.5,2,,,3,4",
        ),
        (
            f"{CLASSIC_HEADER},FRAME_NUM,FACIAL_HAIR,AGE,INDOOR_OUTDOOR,SKINTONE,GENDER,YAW,ROLL,"
            + ",".join(f"OCC{n}" for n in range(1, 19)),
            "{t},{s},{f},{g},{x},{y},{w},{h},0,1,NaN,0,3,1,-12.5,," + ",".join("0" * 18),
        ),
        # Any order: columns go by name.
        (
            "FACE_HEIGHT,FACE_WIDTH,FACE_Y,FACE_X,SIGHTING_ID,FILENAME,SUBJECT_ID,TEMPLATE_ID",
            "{h},{w},{y},{x},{g},{f},{s},{t}",
        ),
    ],
)
@pytest.mark.parametrize("edition", ["ijbb", "ijbc"])
def test_columns_of_all_releases_are_the_same_trials(
    tmp_path: Path, edition: nist.Edition, header: str, row: str
) -> None:
    plain = both(write_classic(tmp_path / "plain", edition), edition)
    write_classic(tmp_path / "release", edition)
    for path in (tmp_path / "release").rglob(f"{edition}_1N_*.csv"):
        rows = [dict(zip("tsfgxywh", line.split(","), strict=True)) for line in path.read_text().splitlines()[1:]]
        write_lines(path, [header, *(row.format(**fields) for fields in rows)])
    for one, other in zip(plain, both(tmp_path / "release", edition), strict=True):
        assert described(one) == described(other)
        assert [g.name for g in plain[1].galleries] == (["S1", "S2"] if edition == "ijbb" else ["G1", "G2"])


def test_what_is_there(tmp_path: Path) -> None:
    assert nist.load_ijb(tmp_path, "ijbc") is None
    write_classic(tmp_path)
    assert nist.load_ijb(tmp_path, "ijbb") is None
    (only,) = nist.load_ijb(tmp_path, "ijbc", "identify") or ()
    assert only.task == "identification"
    (tmp_path / "protocols" / "ijbc_11_G1_G2_matches.csv").unlink()
    assert nist.load_ijb(tmp_path, "ijbc", "verify") is None
    (only,) = nist.load_ijb(tmp_path, "ijbc") or ()
    assert only.task == "identification"
    (tmp_path / "protocols" / "ijbc_1N_gallery_G2.csv").unlink()
    with pytest.raises(ProtocolError, match=r"does not hold protocols/ijbc_1N_gallery_G2\.csv"):
        nist.load_ijb(tmp_path, "ijbc")
    with pytest.raises(InputError, match="no edition"):
        nist.load_ijb(tmp_path, "ijba")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no task"):
        nist.load_ijb(tmp_path, "ijbc", "rank")  # type: ignore[arg-type]


def put(line: int, old: str, new: str) -> Callable[[list[str]], None]:
    def change(lines: list[str]) -> None:
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)

    return change


G1, PROBE, PAIRS = "ijbc_1N_gallery_G1.csv", "ijbc_1N_probe_mixed.csv", "ijbc_11_G1_G2_matches.csv"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (G1, put(1, "SIGHTING_ID", "SIGHTING_IX"), "line 1: the header has no column SIGHTING_ID"),
        (G1, put(1, "FILENAME", "FILENAMES"), "line 1: the header has no column FILENAME or FILE"),
        (G1, put(1, "FACE_Y", "FACE_X"), "line 1: the header has no column FACE_Y"),
        (G1, put(2, "69544", ""), "line 2: SIGHTING_ID is empty"),
        (G1, put(2, "69544", "69544.0"), "line 2: SIGHTING_ID is '69544.0'"),
        (G1, put(2, "268", "NaN"), "line 2: of FACE_X, .* some are empty"),
        (G1, put(2, "268", "inf"), "line 2: FACE_X is 'inf'"),
        (G1, put(2, ",40,", ",-40,"), "line 2: FACE_WIDTH and FACE_HEIGHT are to be above 0"),
        (G1, put(2, "img/", "/img/"), "line 2: FILENAME is '/img/116262.jpg', no path below the pictures"),
        (G1, put(2, "img/", "../"), "line 2: FILENAME is"),
        (G1, put(2, "img/", "img//"), "line 2: FILENAME is"),
        (G1, put(2, "116262", "116#262"), "line 2: FILENAME is"),
        (G1, put(2, "1,1,", "1,2,"), "line 3: template 1 is of subject 1 here and of 2 in line 2"),
        (G1, lambda lines: lines.append(lines[1]), "line 5: template 1 goes on here, after others, from line 2 on"),
        (G1, lambda lines: lines.insert(1, lines[1]), "line 3: template 1 has face img/116262.jpg#69544 twice"),
        (PROBE, put(5, "80002", "80003"), "line 6: sighting 80003 is of subject 12444 here and of 1 in line 5"),
        (PROBE, put(6, "11066", "949"), r"line 6: template 949 is in .*gallery_G2.csv, line 2 too"),
        (PAIRS, put(2, "11066", "11068"), "line 2: template 11068 is in none of the template files"),
        (PAIRS, put(2, "1,11066", "11066,1"), "line 2: template 11066 is none of those to be enrolled"),
        (PAIRS, put(2, "11066", "2"), "line 2: template 2 is none of those to be verified"),
        (PAIRS, put(2, "11066", "11065"), "line 2: the comparison of 1 and 11065 is in line 1 already"),
        (PAIRS, put(2, ",", " "), "line 2: 1 fields"),
        (PAIRS, lambda lines: lines.insert(0, "ENROL,VERIF"), "line 1"),
    ],
)
def test_damage_is_named(tmp_path: Path, file: str, change: Callable[[list[str]], None], message: str) -> None:
    path = write_classic(tmp_path) / "protocols" / file
    lines = path.read_text().splitlines()
    change(lines)
    write_lines(path, lines)
    with pytest.raises(ProtocolError, match=rf"protocols/{file}, {message}") as caught:
        nist.load_ijb(tmp_path, "ijbc")
    assert ";" in str(caught.value)


def test_one_face_with_two_boxes(tmp_path: Path) -> None:
    path = write_classic(tmp_path) / "protocols" / PROBE
    line = IJBC_G1[0].replace("1,1,", "11068,1,", 1)
    write_lines(path, [CLASSIC_HEADER, *IJBC_PROBE, line])
    shared, _ = both(tmp_path)
    assert len(shared.faces) == 11  # the same face in two templates is one entry
    assert shared.templates.entries[-1] == 0
    write_lines(path, [CLASSIC_HEADER, *IJBC_PROBE, line.replace("268", "269")])
    with pytest.raises(ProtocolError, match=r"line 8: face img/116262.jpg#69544 has FACE_X '269' here and '268' in"):
        nist.load_ijb(tmp_path, "ijbc")


def test_a_damaged_header_or_metadata_of_the_tests_layout(tmp_path: Path) -> None:
    here = write_tests(tmp_path) / "protocols"
    match = here / "test1" / "match.csv"
    whole = match.read_text()
    match.write_text(whole.replace("VERIF", "VERIFY", 1))
    with pytest.raises(ProtocolError, match=r"test1/match\.csv, line 1"):
        nist.load_ijb(tmp_path, "ijbc")
    match.write_text(whole.replace("2,11067", "2,11068"))
    with pytest.raises(ProtocolError, match=r"test1/match\.csv, line 4: template 11068"):
        nist.load_ijb(tmp_path, "ijbc")
    match.write_text(whole.split("\n", 1)[1])  # some copies have no header
    assert both(tmp_path)[0].first.size == len(IJBC_PAIRS)
    match.write_text(whole.split("\n", 1)[0] + "\n")
    with pytest.raises(ProtocolError, match=r"match\.csv, line 1: a header and no rows"):
        nist.load_ijb(tmp_path, "ijbc")
    match.write_text(whole)
    metadata = here / "ijbc_metadata_with_age.csv"
    metadata.write_text(metadata.read_text().replace("69544", "6954x"))
    with pytest.raises(ProtocolError, match=r"ijbc_metadata_with_age\.csv, line 2: SIGHTING_ID is '6954x'"):
        nist.load_ijb(tmp_path, "ijbc")


def test_a_last_line_without_end_is_noted(tmp_path: Path) -> None:
    here = write_classic(tmp_path) / "protocols"
    for file in (G1, PAIRS):
        (here / file).write_bytes((here / file).read_bytes()[:-1])
    verification, identification = both(tmp_path)
    assert (
        f"The last line of protocols/{G1}, protocols/{PAIRS} has no line end; it may be cut short."
        in verification.notes
    )
    assert f"The last line of protocols/{G1} has no line end; it may be cut short." in identification.notes


@pytest.mark.parametrize("file", [G1, PAIRS])
def test_a_one_character_change_is_another_trial_or_an_error(tmp_path: Path, file: str) -> None:
    path = write_classic(tmp_path) / "protocols" / file
    lines = path.read_text().splitlines()
    trials = [described(part) for part in both(tmp_path)]
    rng = random.Random(7)
    kept = 0
    for at, line in enumerate(lines):
        if line == CLASSIC_HEADER:
            continue
        fields = line.split(",")
        edits = [(n, new) for n, field in enumerate(fields) for new in one_character_edits(field) if new != field]
        for n, new in rng.sample(edits, 150):
            if new == "\n":
                continue
            changed = ",".join([*fields[:n], new, *fields[n + 1 :]])
            write_lines(path, [*lines[:at], changed, *lines[at + 1 :]])
            try:
                other = [described(part) for part in both(tmp_path)]
            except ProtocolError:
                continue
            assert other != trials, (line, n, new)
            kept += 1
    assert kept > 0


# --- pairs by id ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 40_000_000])
def test_pairs_by_id_match_a_naive_loop(tmp_path: Path, scale: int) -> None:
    """Small ids are looked up in a table, large ones by binary search."""
    rng = np.random.default_rng(3)
    ids = rng.permutation(50)[:20] * scale
    every = [(int(a), int(b)) for n, a in enumerate(ids) for b in ids[n + 1 :]]
    chosen = [every[n] for n in rng.permutation(len(every))[:100]]
    write_lines(tmp_path / "pairs.csv", [f"{a},{b}" for a, b in chosen])
    file = read_integers(tmp_path, "pairs.csv", 2, ",")
    first, second = pair_up(file, [str(n) for n in ids])
    where = {int(n): at for at, n in enumerate(ids)}
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(where[a], where[b]) for a, b in chosen]
    missing = next(n for n in range(50) if n * scale not in where)
    for unknown in (missing * scale, 50 * scale):
        write_lines(tmp_path / "pairs.csv", [f"{a},{b}" for a, b in chosen] + [f"{ids[0]},{unknown}"])
        with pytest.raises(ProtocolError, match=f"line 101: template {unknown} is in none"):
            pair_up(read_integers(tmp_path, "pairs.csv", 2, ","), [str(n) for n in ids])


def test_official_counts_hang_together() -> None:
    """Pairs of each split are its genuine ones and 9,977 to 10,000 impostors."""
    for _, _, templates, rows, pairs, genuine in IJBA_1TO1.values():
        assert 9_975 < pairs - genuine <= 10_000
        assert genuine < templates < rows
    assert deviations(("a",), (1,), (1,)) == ()
