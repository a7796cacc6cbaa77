"""IJB-A: real files of split 1, golden lines, and damage."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from nist_files import IJBA_HEADER, described, write_ijba
from protocol_files import one_character_edits, write_lines

from faceset.errors import InputError, ProtocolError
from faceset.evaluation import protocols
from faceset.evaluation.protocols import ijba


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_ijba(tmp_path)


@pytest.fixture
def real(data_dir: Path) -> Path:
    return data_dir / "ijba"


@pytest.fixture
def copied(real: Path, tmp_path: Path) -> Path:
    for file in real.glob("*.csv"):
        shutil.copyfile(file, tmp_path / file.name)
    return tmp_path


def edit(path: Path, change: Callable[[list[str]], None]) -> None:
    """Change the lines of a file; line n is lines[n - 1]."""
    lines = path.read_text().splitlines()
    change(lines)
    write_lines(path, lines)


def counts(root: Path) -> tuple[int, ...]:
    asked = ijba.verification(root, split=1)
    train = asked.train
    assert train is not None
    return (
        *(
            len(asked.templates),
            asked.templates.entries.size,
            asked.templates.subjects,
            asked.first.size,
            asked.genuine,
        ),
        *(len(train), train.entries.size, train.subjects),
    )


# --- the real files ---------------------------------------------------------------------------------------------------

OFFICIAL = (1970, 17_997, 167, 11_787, 1_803, 2_708, 16_910, 332)


def test_the_real_split_has_the_counts_of_the_official_files(real: Path) -> None:
    assert counts(real) == OFFICIAL
    asked = ijba.verification(real, split=1)
    assert asked.notes == ()
    assert asked.folds is None
    assert asked.part == "split 1"
    assert asked.settings == {"split": 1}
    assert asked.train is not None
    assert not set(asked.train.subject.names) & set(asked.templates.subject.names)
    assert [(file.name, file.lines) for file in asked.files] == [
        ("train_1.csv", 16_910),
        ("verify_metadata_1.csv", 17_997),
        ("verify_comparisons_1.csv", 11_787),
    ]
    # A row is a face; a face is in several templates, and boxes are all known.
    assert len(asked.faces) == 16_910 + 8_868
    assert asked.faces.boxes is not None
    assert np.isfinite(asked.faces.boxes).all()
    assert asked.faces.landmarks is None
    assert int(asked.templates.sizes.max()) == 190


def test_the_real_rows_are_as_a_naive_reading_has_them(real: Path) -> None:
    asked = ijba.verification(real, split=1)
    rows = [line.split(",") for line in (real / "verify_metadata_1.csv").read_text().splitlines()[1:]]
    subject = {row[0]: row[1] for row in rows}
    faces: dict[str, list[str]] = {}
    media: dict[str, list[int]] = {}
    for row in rows:
        faces.setdefault(row[0], []).append(f"{row[2]}#{row[4]}")
        media.setdefault(row[0], []).append(int(row[3]))
    templates = asked.templates
    for number, template in enumerate(templates.ids):
        block = slice(templates.offsets[number], templates.offsets[number + 1])
        assert [asked.faces.names[entry] for entry in templates.entries[block]] == faces[template]
        assert templates.media[block].tolist() == media[template]
        assert templates.subject.names[templates.subject.codes[number]] == subject[template]
    pairs = [line.split(",") for line in (real / "verify_comparisons_1.csv").read_text().splitlines()]
    assert [[templates.ids[a], templates.ids[b]] for a, b in zip(asked.first, asked.second, strict=True)] == pairs
    assert asked.same.tolist() == [subject[a] == subject[b] for a, b in pairs]


def test_an_edited_copy_changes_the_counts(copied: Path) -> None:
    edit(copied / "verify_metadata_1.csv", lambda lines: lines.pop(1))
    edit(copied / "verify_comparisons_1.csv", lambda lines: lines.pop(0))
    edit(copied / "train_1.csv", lambda lines: lines.pop(1))
    assert counts(copied) == (1970, 17_996, 167, 11_786, 1_802, 2_708, 16_909, 332)
    assert ijba.verification(copied).notes == (
        "Counts differ from the official files: 16,909 training rows (official 16,910), 17,996 test rows (official"
        " 17,997), 11,786 comparisons (official 11,787), 1,802 genuine comparisons (official 1,803).",
    )


def test_another_subject_id_changes_labels(copied: Path) -> None:
    path = copied / "verify_metadata_1.csv"
    text = path.read_text()
    path.write_text(text.replace("\n110,1037,img/5475.jpg", "\n110,9999,img/5475.jpg"))
    # The same face is in larger templates of subject 1037.
    with pytest.raises(ProtocolError, match=r"verify_metadata_1\.csv, line \d+: .*5475.*SUBJECT_ID"):
        ijba.verification(copied)
    path.write_text(text.replace(",2102,img/", ",1673,img/").replace(",2102,frame/", ",1673,frame/"))
    with pytest.raises(
        ProtocolError, match=r"verify_metadata_1\.csv, line 2: subject 1673 is on the training side too"
    ):
        ijba.verification(copied)


def test_identification_of_real_rows(copied: Path) -> None:
    """Gallery: what stands first in 1:1, less one subject, as NIST makes it; probes: what stands second."""
    lines = (copied / "verify_metadata_1.csv").read_text().splitlines()
    enrolled = {line.split(",")[0] for line in (copied / "verify_comparisons_1.csv").read_text().splitlines()}
    gallery = [line for line in lines[1:] if line.split(",")[0] in enrolled and line.split(",")[1] != "1037"]
    probe = [line for line in lines[1:] if line.split(",")[0] not in enrolled]
    write_lines(copied / "search_gallery_1.csv", [lines[0], *gallery])
    write_lines(copied / "search_probe_1.csv", [lines[0], *probe])
    asked = ijba.identification(copied, split=1)
    (only,) = asked.galleries
    assert (only.name, only.templates.size, asked.probes.size) == ("gallery", 166, 1_803)
    codes = asked.templates.subject.codes
    mated = np.isin(codes[asked.probes], codes[only.templates])
    by_hand = sum(line.split(",")[1] == "1037" for line in {line.split(",")[0]: line for line in probe}.values())
    assert int((~mated).sum()) == by_hand > 0
    assert not asked.close_set
    assert len(ijba.load(copied)) == 2


# --- golden lines -----------------------------------------------------------------------------------------------------


def test_golden_lines(root: Path) -> None:
    asked = ijba.verification(root)
    assert asked.faces.names[2:4] == ("img/533.JPG#22238", "img/8418.jpg#26806")
    assert asked.faces.files is not None
    assert asked.faces.files[4] == "frame/28337_00300.png"
    assert asked.faces.boxes is not None
    assert asked.faces.boxes[3].tolist() == [1320, 199, 1320 + 94, 199 + 110]
    assert asked.templates.ids == ("187", "188", "110", "111", "119")
    assert asked.templates.sizes.tolist() == [4, 1, 1, 1, 2]
    assert asked.templates.media.tolist() == [533, 8418, 28337, 28337, 8418, 5475, 5459, 29556, 29556]
    assert asked.templates.entries.tolist() == [2, 3, 4, 5, 3, 6, 7, 8, 9]  # template 188 shares a face with 187
    assert asked.first.tolist() == [0, 0, 0, 1]
    assert asked.second.tolist() == [1, 2, 4, 3]
    assert asked.same.tolist() == [True, False, False, False]
    assert asked.train is not None
    assert asked.train.ids == ("0",)
    search = ijba.identification(root)
    assert search.templates.ids == ("187", "188", "110", "111", "119")
    assert search.galleries[0].templates.tolist() == [0]
    assert search.probes.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("layout", ["", "split{n}", "IJB-A_{kind}_sets/split{n}"])
def test_layouts(tmp_path: Path, layout: str) -> None:
    for n in (1, 10):
        for kind, stems in (
            ("11", ("verify_metadata", "verify_comparisons")),
            ("1N", ("search_gallery", "search_probe")),
        ):
            write_ijba(tmp_path / "made", n)
            for stem in ("train", *stems):
                folder = tmp_path / layout.format(n=n, kind=kind)
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(tmp_path / "made" / f"{stem}_{n}.csv", folder / f"{stem}_{n}.csv")
    found = ijba.load(tmp_path)
    assert [(part.task, part.part) for part in found] == [
        ("verification", "split 1"),
        ("verification", "split 10"),
        ("identification", "split 1"),
        ("identification", "split 10"),
    ]
    assert all("2 of 10 splits; published figures are means over 10." in part.notes for part in found)
    assert [part.part for part in protocols.load("ijba", tmp_path, task="identify", split=10)] == ["split 10"]
    assert described(ijba.verification(tmp_path, 10)) == described(found[1])


# --- damage -----------------------------------------------------------------------------------------------------------

METADATA, COMPARISONS = "verify_metadata_1.csv", "verify_comparisons_1.csv"


def swap(one: int, other: int) -> Callable[[list[str]], None]:
    def change(lines: list[str]) -> None:
        lines[one - 1], lines[other - 1] = lines[other - 1], lines[one - 1]

    return change


def put(line: int, old: str, new: str) -> Callable[[list[str]], None]:
    def change(lines: list[str]) -> None:
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (METADATA, lambda lines: lines.clear(), r"verify_metadata_1.csv is empty"),
        (METADATA, lambda lines: lines.__delitem__(slice(1, None)), r"verify_metadata_1.csv, line 1: .*no rows"),
        (METADATA, put(1, "FACE_X", "FACE_Z"), r"line 1: the header has no column FACE_X"),
        (METADATA, put(1, "AGE,", "BGE,"), r"line 1: the header has no column AGE"),
        (METADATA, put(1, "TEMPLATE_ID,SUBJECT_ID", "SUBJECT_ID,TEMPLATE_ID"), r"line 1: the header is not"),
        (METADATA, put(3, ",1320", ""), r"line 3: 24 fields"),
        (METADATA, put(3, "1320", "13z0"), r"line 3: FACE_X is '13z0'"),
        (METADATA, put(3, "1320", ""), r"line 3: of FACE_X, .* some are empty"),
        (METADATA, put(3, "1320,199,94,110", "1320,199,0,110"), r"line 3: FACE_WIDTH and FACE_HEIGHT are"),
        (METADATA, put(3, "1320", "1320.0"), r"line 3: FACE_X is 1320.0, which the official files write another way"),
        (METADATA, put(3, "187,", "0187,"), r"line 3: TEMPLATE_ID is '0187'"),
        (METADATA, put(3, "187,", ","), r"line 3: TEMPLATE_ID is empty"),
        (METADATA, put(3, "187,101", "187,102"), r"line 6: face img/8418.jpg#26806 has SUBJECT_ID '101'"),
        (METADATA, swap(3, 7), r"line 4: template 187 goes on here, after others, from line 2 on"),
        (METADATA, lambda lines: lines.insert(3, lines[2]), r"line 4: template 187 has face img/8418.jpg#26806 twice"),
        (METADATA, put(6, "26806", "22238"), r"line 6: SIGHTING_ID 22238 has FILE .* in line 2"),
        (METADATA, put(6, "1320", "1321"), r"line 6: face img/8418.jpg#26806 has FACE_X '1321' here"),
        (METADATA, put(6, "101,", "1037,"), r"line \d: "),
        (METADATA, put(6, "8418,26806", "8419,26806"), r"line 6: FILE img/8418.jpg has MEDIA_ID 8419"),
        (METADATA, put(4, "8484,300", "8484,301"), r"line 4: FRAME 301 and MEDIA_ID 28337 do not fit"),
        (METADATA, put(4, "png,28337", "png,28338"), r"line 4: FRAME 300 and MEDIA_ID 28338 do not fit"),
        (METADATA, put(3, "26806,,", "26806,7,"), r"line 3: FRAME is 7, but img/8418.jpg is a still"),
        (METADATA, put(3, "img/8418.jpg", "imh/8418.jpg"), r"line 3: FILE is 'imh/8418.jpg'"),
        (METADATA, put(3, "img/8418.jpg", "../8418.jpg"), r"line 3: FILE is"),
        (METADATA, put(3, "1367.181818,", ","), r"line 3: one of RIGHT_EYE_X and RIGHT_EYE_Y is empty"),
        (METADATA, put(3, "1,1,1,1,1,1,4,0", "1,1,1,2,1,1,4,0"), r"line 3: INDOOR is 2, outside 0 to 1"),
        (METADATA, put(3, "1,1,1,1,1,1,4,0", "1,1,1,1,0,1,4,0"), r"line 3: SUBJECT_ID 101 has GENDER 0 here and"),
        (METADATA, put(3, "1,1,1,1,1,1,4,0", "1,1,1,1,1,7,4,0"), r"line 3: SKIN_TONE is 7, outside 1 to 6"),
        (METADATA, put(3, "1,1,1,1,1,1,4,0", "1,1,1,1,1,1,6,0"), r"line 3: AGE is 6, outside 0 to 5"),
        (METADATA, put(3, "1,1,1,1,1,1,4,0", '1,1,1,1,1,1,4,"0"'), r"line 3"),
        (METADATA, lambda lines: lines.insert(3, ""), r"line 4: a blank line"),
        ("train_1.csv", put(2, "0,1673", "187,1673"), r"line 2: template 187 is in|line 3"),
        (COMPARISONS, put(2, "110", "112"), r"verify_comparisons_1.csv, line 2: template 112 is in none"),
        (COMPARISONS, put(2, "110", "187"), r"line 2: template 187 is compared with itself"),
        (COMPARISONS, put(2, "110", "188"), r"line 2: the comparison of 187 and 188 is in line 1 already; remove"),
        (COMPARISONS, put(2, "187,110", "188,187"), r"line 2: the comparison of 188 and 187 is in line 1 already"),
        (COMPARISONS, put(2, ",", ";"), r"line 2: 1 fields"),
        (COMPARISONS, put(2, "110", "110,1"), r"line 2: 3 fields"),
        (COMPARISONS, put(2, "110", "11O"), r"line 2: .*11O"),
        (COMPARISONS, lambda lines: lines.insert(0, "ENROLL_TEMPLATE_ID,VERIF_TEMPLATE_ID"), r"line 1"),
    ],
)  # fmt: skip
def test_damage_is_named(root: Path, file: str, change: Callable[[list[str]], None], message: str) -> None:
    lines = (root / file).read_text().splitlines()
    change(lines)
    (root / file).write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(ProtocolError, match=message) as caught:
        ijba.verification(root)
    assert ";" in str(caught.value)  # the cure
    assert file in str(caught.value)


@pytest.mark.parametrize("file", ["train_1.csv", METADATA, COMPARISONS])
def test_a_missing_or_truncated_file(root: Path, file: str) -> None:
    path = root / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ProtocolError, match=rf"{file}, line \d+: no line end, so that the line may be cut short"):
        ijba.verification(root)
    path.write_bytes(whole[:-2])
    with pytest.raises(ProtocolError, match=rf"{file}, line \d+: "):
        ijba.verification(root)
    path.unlink()
    with pytest.raises(ProtocolError, match=file):
        ijba.verification(root)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("search_probe_1.csv", put(2, "188,", "187,"), r"line 2: template 187 is in search_gallery_1.csv"),
        ("search_probe_1.csv", put(3, "110,1037", "110,1673"), r"line 3: subject 1673 is on the training side too"),
        ("search_gallery_1.csv", put(3, "1320", "1321"), r"search_probe_1.csv, line 2: face .* FACE_X"),
    ],
)  # fmt: skip
def test_damage_to_a_search(root: Path, file: str, change: Callable[[list[str]], None], message: str) -> None:
    edit(root / file, change)
    with pytest.raises(ProtocolError, match=message):
        ijba.identification(root)


@pytest.mark.parametrize("file", [METADATA, COMPARISONS])
def test_a_one_character_change_is_another_trial_or_an_error(root: Path, file: str) -> None:
    """Attributes that no trial uses change the sha256 of the file, which is part of the signature."""
    path = root / file
    original = path.read_text()
    asked = ijba.verification(root)
    trials = described(asked)
    lines = original.splitlines()
    attributes = IJBA_HEADER.split(",").index("RIGHT_EYE_X")
    outcomes = {"error": 0, "trial": 0, "signature": 0}
    rng = random.Random(4)
    for at, line in enumerate(lines):
        fields = line.split(",")
        edits = [(n, new) for n, field in enumerate(fields) for new in one_character_edits(field) if new != field]
        for n, new in rng.sample(edits, min(len(edits), 60)):
            if new in ("\n", "\r"):
                continue
            changed = ",".join([*fields[:n], new, *fields[n + 1 :]])
            path.write_text("".join(f"{text}\n" for text in [*lines[:at], changed, *lines[at + 1 :]]))
            try:
                other = ijba.verification(root)
            except ProtocolError:
                outcomes["error"] += 1
                continue
            if described(other) != trials:
                outcomes["trial"] += 1
            else:
                assert file == METADATA, (line, n, new)
                assert n >= attributes, (line, n, new)
                assert other.files != asked.files
                outcomes["signature"] += 1
    assert outcomes["error"] > 0
    assert outcomes["trial"] > 0


def test_reordered_rows_within_a_template_and_templates_as_a_whole_are_the_same_trials(root: Path) -> None:
    path = root / METADATA
    lines = path.read_text().splitlines()
    asked = ijba.verification(root)
    write_lines(path, [lines[0], *lines[6:], *lines[4:0:-1], lines[5]])
    other = ijba.verification(root)

    def pairs(of: ijba.Verification) -> list[tuple[str, str, bool]]:
        ids = of.templates.ids
        return [(ids[a], ids[b], bool(s)) for a, b, s in zip(of.first, of.second, of.same, strict=True)]

    def members(of: ijba.Verification) -> dict[str, list[str]]:
        blocks = np.split(of.templates.entries, of.templates.offsets[1:-1])
        return {t: sorted(of.faces.names[e] for e in block) for t, block in zip(of.templates.ids, blocks, strict=True)}

    assert pairs(asked) == pairs(other)
    assert members(asked) == members(other)


def test_templates_that_no_comparison_uses_are_noted(root: Path) -> None:
    edit(root / COMPARISONS, lambda lines: lines.pop())
    asked = ijba.verification(root)
    assert len(asked.templates) == 5
    assert "1 of 5 templates are in no comparison." in asked.notes


def test_a_second_gallery_template_of_a_subject_is_noted(root: Path) -> None:
    lines = (root / "search_probe_1.csv").read_text().splitlines()
    edit(root / "search_gallery_1.csv", lambda rows: rows.append(lines.pop(1)))
    write_lines(root / "search_probe_1.csv", lines)
    asked = ijba.identification(root)
    assert asked.galleries[0].templates.tolist() == [0, 1]
    assert asked.notes == ("1 gallery templates are of a subject that has one already.",)


@pytest.mark.parametrize("split", [0, 11, True, "1", 1.0])
def test_no_such_split(root: Path, split: int) -> None:
    for call in (ijba.verification, ijba.identification):
        with pytest.raises(InputError, match="splits 1 to 10"):
            call(root, split)
    with pytest.raises(InputError, match="splits 1 to 10"):
        ijba.load(root, split=split)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"IJB-A_11_sets/split1/verify_metadata_1\.csv or .*search_gallery_1\.csv"):
        ijba.load(tmp_path)
    with pytest.raises(ProtocolError, match=r"split3/verify_metadata_3\.csv or verify_metadata_3\.csv"):
        ijba.verification(tmp_path, 3)
    with pytest.raises(ProtocolError, match="no folder"):
        ijba.verification(tmp_path / "absent")
    with pytest.raises(InputError, match="no task"):
        ijba.load(tmp_path, task="rank")  # type: ignore[arg-type]
