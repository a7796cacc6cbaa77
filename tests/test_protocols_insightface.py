"""IJB-B and IJB-C by the meta files of InsightFace."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ijb_files import MadeIjb, write_insightface
from protocol_files import one_character_edits, write_lines

from faceset.errors import InputError, ProtocolError
from faceset.evaluation import protocols
from faceset.evaluation.protocols import ijbb, ijbc, insightface
from faceset.evaluation.trials import Identification, TemplateList, Verification

# The first two lines of face_tid_mid follow from the first two rows of NIST's gallery G1, which stand below as in
# github.com/c-mengyi/C2F-GDLR (IJBC/meta/ijbc_1N_gallery_G1.csv, commit 26791131): template 1, sightings 69544 and
# 3720. "1.jpg 1 69544", the first pair "1 11065 1" and the line of five points are quoted in comments of
# github.com/deepinsight/insightface (recognition/_evaluation_/ijb/ijb_evals.py, commit 33cb7688). The other lines are
# made up in that form.
HEADER = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"
POINTS = "46.060 62.026 87.785 60.323 68.851 77.656 52.162 99.875 86.450 98.648 0.999"
FILES = {
    "ijbc_face_tid_mid.txt": ["1.jpg 1 69544", "2.jpg 1 3720", "3.jpg 2 7907", "4.jpg 11065 11", "5.jpg 11066 12"],
    "ijbc_name_5pts_score.txt": [f"{n}.jpg {POINTS[:-1]}{10 - n}" for n in range(1, 6)],
    "ijbc_template_pair_label.txt": ["1 11065 1", "2 11066 1", "1 11066 0"],
    "ijbc_1N_gallery_G1.csv": [
        HEADER,
        "1,1,img/116262.jpg,69544,268,32,40,47",
        "1,1,img/4702.jpg,3720,93,84,76,100",
    ],
    "ijbc_1N_gallery_G2.csv": [HEADER, "2,4,img/4781.jpg,7907,2694,785,552,681"],
    "ijbc_1N_probe_mixed.csv": [HEADER, "11065,1,img/1.jpg,11,1,2,3,4", "11066,4,frames/2_3.png,12,1,2,3,4"],
}
LISTS = [name for name in FILES if "1N" in name]


def write(root: Path, changed: dict[str, list[str] | None] | None = None) -> Path:
    for name, lines in {**FILES, **(changed or {})}.items():
        if lines is not None:
            write_lines(root / "meta" / name, lines)
    return root


def members(templates: TemplateList) -> list[tuple[str, str, list[int], list[int]]]:
    """(id, subject, entries, media) of each template."""
    return [
        (
            templates.ids[t],
            templates.subject.names[templates.subject.codes[t]],
            templates.entries[templates.offsets[t] : templates.offsets[t + 1]].tolist(),
            templates.media[templates.offsets[t] : templates.offsets[t + 1]].tolist(),
        )
        for t in range(len(templates))
    ]


def test_the_official_form(tmp_path: Path) -> None:
    asked = ijbc.verification(write(tmp_path))
    assert asked.faces.names == ("1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg")
    assert asked.faces.files is not None
    assert asked.faces.files[0] == "loose_crop/1.jpg"
    assert asked.faces.landmarks is not None
    assert asked.faces.scores is not None
    np.testing.assert_array_equal(
        asked.faces.landmarks[0],
        [[46.06, 62.026], [87.785, 60.323], [68.851, 77.656], [52.162, 99.875], [86.45, 98.648]],
    )
    np.testing.assert_array_equal(asked.faces.scores, [0.999, 0.998, 0.997, 0.996, 0.995])
    assert members(asked.templates) == [
        ("1", "1", [0, 1], [69544, 3720]),
        ("2", "4", [2], [7907]),
        ("11065", "1", [3], [11]),
        ("11066", "4", [4], [12]),
    ]
    assert (asked.first.tolist(), asked.second.tolist(), asked.same.tolist()) == (
        [0, 1, 0],
        [2, 3, 3],
        [True, True, False],
    )
    assert asked.folds is None
    assert [(file.name, file.lines) for file in asked.files] == [
        ("meta/ijbc_face_tid_mid.txt", 5),
        ("meta/ijbc_name_5pts_score.txt", 5),
        ("meta/ijbc_template_pair_label.txt", 3),
        ("meta/ijbc_1N_gallery_G1.csv", 2),
        ("meta/ijbc_1N_gallery_G2.csv", 1),
        ("meta/ijbc_1N_probe_mixed.csv", 2),
    ]
    assert asked.notes == (
        "5 faces; the official files have 469375",
        "4 templates; the official files have 23124",
        "3 pairs; the official files have 15658489",
    )


def test_search_keeps_the_galleries_apart(tmp_path: Path) -> None:
    asked = ijbc.identification(write(tmp_path))
    assert [(gallery.name, gallery.templates.tolist()) for gallery in asked.galleries] == [("G1", [0]), ("G2", [1])]
    assert asked.probes.tolist() == [2, 3]
    assert not asked.close_set
    assert [asked.templates.subject.names[code] for code in asked.templates.subject.codes] == ["1", "4", "1", "4"]
    assert len(asked.files) == 5  # without the pairs


def test_files_may_lie_in_the_root(tmp_path: Path) -> None:
    for name, lines in FILES.items():
        write_lines(tmp_path / name, lines)
    assert ijbc.verification(tmp_path).files[0].name == "ijbc_face_tid_mid.txt"
    assert ijbc.identification(tmp_path).probes.size == 2


@pytest.mark.parametrize("edition", ["ijbb", "ijbc"])
@pytest.mark.parametrize("one_to_many", [True, False])
def test_what_was_written_is_read(tmp_path: Path, edition: str, one_to_many: bool) -> None:
    made = write_insightface(tmp_path, 70, 300, 12, 400, seed=3, edition=edition, one_to_many=one_to_many)
    experiments = protocols.load(edition, tmp_path)
    asked = experiments[0]
    assert isinstance(asked, Verification)
    assert asked.protocol == edition
    assert asked.faces.names == made.names
    assert asked.templates.ids == tuple(map(str, made.ids))
    check_against(made, asked)
    assert len(experiments) == 1 + one_to_many
    if one_to_many:
        search = experiments[1]
        assert isinstance(search, Identification)
        assert [g.name for g in search.galleries] == (["S1", "S2"] if edition == "ijbb" else ["G1", "G2"])
        assert [g.templates.tolist() for g in search.galleries] == [list(range(made.g1)), list(range(made.g1, 12))]
        assert search.probes.tolist() == list(range(12, 70))
        assert search.faces is asked.faces
    else:  # every probe meets its own gallery template, so that all people are found again
        assert asked.templates.subjects == 12
        assert "12 in all" in asked.notes[-1]


def check_against(made: MadeIjb, asked: Verification) -> None:
    """Line by line, as plain Python."""
    entries: dict[int, list[int]] = {}
    for face, template in enumerate(made.template.tolist()):
        entries.setdefault(template, []).append(face)
    people: dict[str, int] = {}
    for t, (_, subject, faces, media) in enumerate(members(asked.templates)):
        assert faces == entries[t]
        assert media == [int(made.media[face]) for face in faces]
        assert people.setdefault(subject, int(made.subject[t])) == made.subject[t]
    assert len(set(people.values())) == len(people)
    np.testing.assert_array_equal(asked.first, made.first)
    np.testing.assert_array_equal(asked.second, made.second)
    np.testing.assert_array_equal(asked.same, made.same)


def state(root: Path) -> list[Any]:
    """All that a result depends on."""
    found: list[Any] = []
    for asked in ijbc.load(root):
        faces, templates = asked.faces, asked.templates
        found += [faces.names, members(templates)]
        found += [None if column is None else column.tolist() for column in (faces.landmarks, faces.scores)]
        if isinstance(asked, Verification):
            ids = np.array(templates.ids)
            found += [ids[asked.first].tolist(), ids[asked.second].tolist(), asked.same.tolist()]
        else:
            found += [[g.templates.tolist() for g in asked.galleries], asked.probes.tolist()]
    return found


@pytest.mark.parametrize(
    ("name", "line", "fields"),
    [
        ("ijbc_face_tid_mid.txt", 1, 99),
        ("ijbc_face_tid_mid.txt", 4, 99),
        ("ijbc_name_5pts_score.txt", 2, 3),
        ("ijbc_template_pair_label.txt", 0, 99),
        ("ijbc_template_pair_label.txt", 2, 99),
        ("ijbc_1N_gallery_G1.csv", 1, 2),
        ("ijbc_1N_gallery_G2.csv", 1, 2),
        ("ijbc_1N_probe_mixed.csv", 2, 2),
    ],
)
def test_one_character_makes_another_trial_or_an_error(tmp_path: Path, name: str, line: int, fields: int) -> None:
    before = state(write(tmp_path))
    separator = "," if name.endswith("csv") else " "
    kept = FILES[name][line].split(separator)
    head, tail = separator.join(kept[:fields]), "".join(separator + field for field in kept[fields:])
    errors = []
    for edited in dict.fromkeys(one_character_edits(head)):
        if "5pts" in name and _same_numbers(edited, head):
            continue  # 46.060 may be written 46.06
        lines = [*FILES[name]]
        lines[line] = edited + tail
        write_lines(tmp_path / "meta" / name, lines)
        try:
            assert state(tmp_path) != before, edited
        except ProtocolError as error:
            errors.append(str(error))
    assert errors
    assert all("meta/ijbc_" in error and ", line " in error for error in errors)


def _same_numbers(edited: str, head: str) -> bool:
    try:
        return edited.split(" ")[0] == head.split(" ")[0] and [*map(float, edited.split(" ")[1:])] == [
            *map(float, head.split(" ")[1:])
        ]
    except ValueError:
        return False


def edit(name: str, line: int, text: str | None) -> dict[str, list[str] | None]:
    """A file with one line replaced, taken out (None) or, behind its end, added."""
    lines = [*FILES[name]]
    lines[line - 1 : line] = [] if text is None else [text]
    return {name: lines}


FACES, POINTS_FILE, PAIRS = list(FILES)[:3]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (edit(PAIRS, 4, "1 11065 1"), r"label.txt, line 4: the same pair as line 1; fetch the official file anew"),
        (edit(PAIRS, 4, "11065 1 1"), r"label.txt, line 4: the same pair as line 1"),
        (
            edit(PAIRS, 2, "2 3 1"),
            r"label.txt, line 2: template 3 has no faces in meta/ijbc_face_tid_mid.txt; fetch both",
        ),
        (edit(PAIRS, 2, "900000 2 1"), r"label.txt, line 2: template 900000 has no faces"),
        (edit(PAIRS, 3, "1 11066 2"), r"label.txt, line 3: the label is 2, neither 0 nor 1"),
        (edit(PAIRS, 3, "1 11066 1"), r"label.txt, line 3: the label is 1, but .* 1 is of subject 1 and .* 11066 of 4"),
        (edit(PAIRS, 3, "2 2 1"), r"label.txt, line 3: template 2 is paired with itself"),
        (edit(FACES, 3, "3.jpg 2"), r"mid.txt, line 3: 2 fields where 3 fields"),
        (edit(FACES, 3, "3.jpg 2 07"), r"mid.txt, line 3: the medium id is '07'"),
        (edit(FACES, 3, "3.jpg two 7"), r"mid.txt, line 3: the template id is 'two'"),
        (edit(FACES, 3, "../3.jpg 2 7"), r"mid.txt, line 3: '../3.jpg' is no name of a picture"),
        (edit(FACES, 2, "1.jpg 1 69544"), r"mid.txt, line 2: 1.jpg is in template 1 since line 1"),
        (edit(FACES, 3, "1.jpg 2 5"), r"mid.txt, line 3: 1.jpg is of medium 5, but in line 1 of 69544"),
        (
            edit(FACES, 6, "6.jpg 77 5") | edit(POINTS_FILE, 6, f"6.jpg {POINTS}"),
            r"mid.txt, line 6: template 77 is in none",
        ),
        (
            edit(POINTS_FILE, 4, None),
            r"score.txt, line 4: '5.jpg' where line 4 of meta/ijbc_face_tid_mid.txt has '4.jpg'",
        ),
        (edit(POINTS_FILE, 5, None), r"score.txt, line 4: the file has 4 lines, but meta/ijbc_face_tid_mid.txt has 5"),
        (edit(POINTS_FILE, 6, f"6.jpg {POINTS}"), r"score.txt, line 6: the file has 6 lines"),
        (edit(POINTS_FILE, 2, f"2.jpg {POINTS[:-5]}"), r"score.txt, line 2"),
        (edit(POINTS_FILE, 2, "2.jpg " + POINTS.replace("46.060", "nan")), r"score.txt, line 2: .* 'nan'"),
        (edit(POINTS_FILE, 2, "2.jpg " + POINTS.replace("0.999", "9.999")), r"score.txt, line 2: the score is 9.999"),
        (
            edit(LISTS[0], 3, "1,2,img/4702.jpg,3720,9,8,7,1"),
            r"G1.csv, line 3: template 1 is of subject 2, but in line 2 of 1",
        ),
        (edit(LISTS[0], 3, "1,1"), r"G1.csv, line 3: 2 fields where the header has 8"),
        (edit(LISTS[0], 4, "8,8,img/1.jpg,1,1,1,1,1"), r"G1.csv, line 4: template 8 has no faces in"),
        (edit(LISTS[1], 3, "1,1,img/1.jpg,1,1,1,1,1"), r"G2.csv, line 3: template 1 is in another list too"),
        (edit(LISTS[2], 3, "11066,x,f,1,1,1,1,1"), r"mixed.csv, line 3: SUBJECT_ID is 'x'"),
        (edit(LISTS[2], 1, HEADER.replace("SUBJECT", "PERSON")), r"mixed.csv, line 1: .* SUBJECT_ID 0 times"),
        (edit(LISTS[2], 1, HEADER.replace("FILENAME", "SUBJECT_ID")), r"mixed.csv, line 1: .* SUBJECT_ID 2 times"),
        ({LISTS[2]: [HEADER]}, r"mixed.csv, line 1: a header and no rows"),
        ({LISTS[2]: None}, r"does not hold meta/ijbc_1N_probe_mixed.csv or ijbc_1N_probe_mixed.csv; copy"),
        ({PAIRS: None}, r"does not hold meta/ijbc_template_pair_label.txt or"),
    ],
)
def test_damage_is_named(tmp_path: Path, changed: dict[str, list[str] | None], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        ijbc.verification(write(tmp_path, changed))


def test_a_gallery_holds_a_subject_once(tmp_path: Path) -> None:
    changed = edit(LISTS[0], 4, "11066,1,f,1,1,1,1,1") | edit(LISTS[2], 3, None)
    with pytest.raises(
        ProtocolError, match=r"G1.csv, line 4: subject 1 has a second template, 11066, after 1; a gallery"
    ):
        ijbc.identification(write(tmp_path, changed))


def test_a_picture_of_several_templates_is_one_face(tmp_path: Path) -> None:
    changed = edit(FACES, 6, "1.jpg 11065 69544") | edit(POINTS_FILE, 6, f"1.jpg {POINTS}")
    asked = ijbc.verification(write(tmp_path, changed))
    assert asked.faces.names == ("1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg")
    assert members(asked.templates)[2] == ("11065", "1", [3, 0], [11, 69544])
    assert asked.faces.landmarks is not None
    assert asked.faces.landmarks.shape == (5, 5, 2)
    assert asked.faces.scores is not None
    assert asked.faces.scores.tolist() == [0.999, 0.998, 0.997, 0.996, 0.995]
    assert "1 templates have another number of faces than rows in the lists of 1:N" not in asked.notes
    search = ijbc.identification(tmp_path)
    assert "1 templates have another number of faces than rows in the lists of 1:N" in search.notes
    write(tmp_path, changed | {POINTS_FILE: [*FILES[POINTS_FILE], f"1.jpg {POINTS[:-1]}8"]})
    with pytest.raises(ProtocolError, match=r"score.txt, line 6: points or score of 1.jpg differ from those in line 1"):
        ijbc.verification(tmp_path)


def test_a_name_with_a_tab(tmp_path: Path) -> None:
    changed = edit(FACES, 2, "2\t.jpg 1 3720") | edit(POINTS_FILE, 2, f"2\t.jpg {POINTS}")
    assert ijbc.verification(write(tmp_path, changed)).faces.names[1] == "2\t.jpg"


def test_without_points_there_are_no_landmarks(tmp_path: Path) -> None:
    asked = ijbc.verification(write(tmp_path, {POINTS_FILE: None}))
    assert asked.faces.landmarks is None
    assert asked.faces.scores is None
    assert asked.notes[0] == "ijbc_name_5pts_score.txt is not there: no landmarks and no detector scores"


def without_lists(root: Path, pairs: list[str], templates: int) -> Path:
    """Templates 1 .. templates of one face each, and pairs; no list says who they are of."""
    write_lines(root / "meta" / FACES, [f"{t}.jpg {t} {t}" for t in range(1, templates + 1)])
    write_lines(root / "meta" / PAIRS, pairs)
    return root


def test_people_are_joined_by_genuine_pairs(tmp_path: Path) -> None:
    # 1 - 5 - 3 - 2 in a chain, 4 - 6; 7 has no genuine pair
    pairs = ["5 1 1", "3 5 1", "2 3 1", "4 6 1", "1 4 0", "7 2 0", "6 7 0"]
    asked = ijbc.verification(without_lists(tmp_path, pairs, 7))
    subjects = [asked.templates.subject.names[code] for code in asked.templates.subject.codes]
    assert subjects == ["1", "1", "1", "4", "1", "4", "7"]
    assert "the files name no people (ijbc_1N_gallery_G1.csv" in asked.notes[-1]
    assert "one person (3 in all)" in asked.notes[-1]
    with pytest.raises(ProtocolError, match="does not hold meta/ijbc_1N_gallery_G1.csv"):
        ijbc.identification(tmp_path)
    assert len(ijbc.load(tmp_path)) == 1


def test_a_long_chain_is_one_person(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(np.arange(1, 301))
    pairs = [f"{a} {b} 1" for a, b in pairwise(order)]
    assert ijbc.verification(without_lists(tmp_path, pairs, 300)).templates.subjects == 1


def test_labels_that_contradict_each_other(tmp_path: Path) -> None:
    root = without_lists(tmp_path, ["1 2 1", "2 3 1", "4 1 0", "3 1 0"], 4)
    with pytest.raises(
        ProtocolError, match=r"label.txt, line 4: templates 3 and 1 are two people, but genuine pairs join"
    ):
        ijbc.verification(root)


def test_templates_without_pairs_are_noted(tmp_path: Path) -> None:
    asked = ijbc.verification(without_lists(tmp_path, ["1 2 1", "1 3 0"], 5))
    assert "2 templates have faces but are in no pair" in asked.notes


def test_ids_far_apart(tmp_path: Path) -> None:
    write_lines(tmp_path / "meta" / FACES, ["a.jpg 5 1", "b.jpg 2000000000 1", "c.jpg 70 2"])
    write_lines(tmp_path / "meta" / PAIRS, ["5 2000000000 1", "2000000000 70 0"])
    asked = ijbc.verification(tmp_path)
    assert asked.templates.ids == ("5", "70", "2000000000")
    assert (asked.first.tolist(), asked.second.tolist()) == ([0, 2], [2, 1])
    write_lines(tmp_path / "meta" / PAIRS, ["5 2000000000 1", "71 70 0"])
    with pytest.raises(ProtocolError, match=r"line 2: template 71 has no faces"):
        ijbc.verification(tmp_path)


def test_lists_alone_give_the_search_alone(tmp_path: Path) -> None:
    (asked,) = ijbc.load(write(tmp_path, {PAIRS: None}))
    assert isinstance(asked, Identification)


@pytest.mark.parametrize("which", [ijbb, ijbc])
def test_an_empty_folder_names_both_forms(tmp_path: Path, which: Any) -> None:
    calls: list[Callable[[Path], Any]] = [which.verification, which.identification, which.load]
    for call in calls:
        with pytest.raises(
            ProtocolError, match=r"does not hold meta/ijb._face_tid_mid.txt \(InsightFace\) or ijb._1N_"
        ):
            call(tmp_path)


def test_form_and_task_are_checked(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match="no form 'bob'; choose one of insightface, nist"):
        ijbc.load(tmp_path, form="bob")
    with pytest.raises(InputError, match="no task 'guess'"):
        ijbc.load(tmp_path, task="guess")
    with pytest.raises(ProtocolError, match="does not hold ijbc_1N_gallery_G1.csv and the other CSV files of NIST"):
        ijbc.load(tmp_path, form="nist")
    with pytest.raises(ProtocolError, match="does not hold meta/ijbb_face_tid_mid.txt or"):
        ijbb.load(tmp_path, form="insightface")


def test_nist_files_are_read_by_their_own_reader(tmp_path: Path) -> None:
    for name in LISTS:
        write_lines(tmp_path / "protocols" / name, FILES[name])
    write_lines(tmp_path / "protocols" / "ijbc_11_G1_G2_matches.csv", ["1,11065", "2,11066", "1,11066"])
    asked = ijbc.verification(tmp_path)
    assert asked.settings["form"] == "nist"
    assert asked.same.tolist() == [True, True, False]
    assert ijbc.identification(tmp_path).settings["form"] == "nist"
    write(tmp_path)  # both: a choice
    assert ijbc.verification(tmp_path).settings["form"] == "insightface"
    assert ijbc.verification(tmp_path, form="nist").settings["form"] == "nist"


def test_editions_know_their_size() -> None:
    """Counts of the official files: nan.md 4.2; those of IJB-B as printed in comments of InsightFace's script."""
    assert insightface.IJBB[2:] == (227630, 12115, 8010270)
    assert insightface.IJBC[2:] == (469375, 23124, 15658489)
