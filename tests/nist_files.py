"""Small splits of IJB-A, and IJB-B and IJB-C in both of NIST's layouts. Golden lines are quoted from real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from protocol_files import write_lines

from faceset.evaluation.trials import Experiment, TemplateList, Verification

IJBA_HEADER = (
    "TEMPLATE_ID,SUBJECT_ID,FILE,MEDIA_ID,SIGHTING_ID,FRAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,RIGHT_EYE_X,RIGHT_EYE_Y,"
    "LEFT_EYE_X,LEFT_EYE_Y,NOSE_BASE_X,NOSE_BASE_Y,FACE_YAW,FOREHEAD_VISIBLE,EYES_VISIBLE,NOSE_MOUTH_VISIBLE,INDOOR,"
    "GENDER,SKIN_TONE,AGE,FACIAL_HAIR"
)

# Golden: IJB-A_11_sets/split1/train_1.csv, lines 2 and 3.
IJBA_TRAIN = (
    "0,1673,img/8565.jpg,8565,27394,,3155,527,571,565,,,3290,807,3238.25,903.25,,1,1,1,1,1,4,4,0",
    "0,1673,img/8559.jpg,8559,28222,,1188,460.125,166,205.875,1220.833333,573.5,1259.714286,561.2857143,1234.923077,"
    "614.8461538,,1,1,1,0,1,4,4,1",
)
# Golden: IJB-A_1N_sets/split1/search_gallery_1.csv, lines 2 to 5, as bob.db.ijba ships it; the same four lines are
# 10680 to 10683 of verify_metadata_1.csv.
IJBA_GALLERY = (
    "187,101,img/533.JPG,533,22238,,477.3333333,213,1285,1492.666667,1393.666667,953.3333333,1646.666667,992.2222222,"
    "1715.5,1180.5,,1,1,1,1,1,1,4,0",
    "187,101,img/8418.jpg,8418,26806,,1320,199,94,110,1367.181818,249.7272727,1395.363636,248.3636364,1383.538462,"
    "265.3846154,10.115,1,1,1,1,1,1,4,0",
    "187,101,frame/28337_00300.png,28337,8484,300,167.5714286,36.57142857,135.8571429,192.2857143,210.4,153.1,259.6,"
    "152.2,235.2727273,186.9090909,-3.08013,1,1,1,1,1,1,4,0",
    "187,101,frame/28337_00360.png,28337,8485,360,170,40,131.6666667,186.3333333,219.875,154.125,263.8,150.3,245.4166667,"
    "185.3333333,6.10734,1,1,1,1,1,1,4,0",
)
# Golden: search_probe_1.csv of the same, lines 2, 3, 11 and 12; subject 1037 is not in the gallery.
IJBA_PROBE = (
    "110,1037,img/5475.jpg,5475,30175,,1108.571429,267,651,738.4285714,1644.8,707.3,,,1736.75,809,,1,1,1,1,1,3,3,0",
    "111,1037,img/5459.jpg,5459,22329,,1830,945,238,310,1925.2,1130.2,1995.454545,1118.909091,1964.076923,1175.384615,"
    "-2.25337,1,1,1,0,1,3,3,0",
    "119,1037,frame/29556_00000.png,29556,7004,0,549.6666667,80,398,449.3333333,622.6,245.2,743.5,228.1,664.4,357.3,"
    "-24.1428,1,1,1,1,1,3,4,0",
    "119,1037,frame/29556_00060.png,29556,7005,60,603,22,408.7142857,498.2857143,670.6363636,264.6363636,793.1111111,"
    "246.2222222,685.5,332.5,-21.468,1,1,1,1,1,3,3,0",
)
# Made: another template of subject 101 that has a face of template 187.
IJBA_MATE = IJBA_GALLERY[1].replace("187,", "188,", 1)


def write_ijba(root: Path, split: int = 1, folder: str = "") -> Path:
    """Both parts of a split: 4 test templates, 9 rows, 3 comparisons (1 genuine); 1 gallery template, 4 probes."""
    test = (*IJBA_GALLERY, IJBA_MATE, *IJBA_PROBE)
    for name, rows in (
        ("train", IJBA_TRAIN),
        ("verify_metadata", test),
        ("search_gallery", IJBA_GALLERY),
        ("search_probe", (IJBA_MATE, *IJBA_PROBE)),
    ):
        write_lines(root / folder / f"{name}_{split}.csv", (IJBA_HEADER, *rows))
    write_lines(root / folder / f"verify_comparisons_{split}.csv", ("187,188", "187,110", "187,119", "188,111"))
    return root


CLASSIC_HEADER = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"
TESTS_HEADER = "TEMPLATE_ID,SUBJECT_ID,FILENAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT"

# Golden: IJBC/meta/ijbc_1N_gallery_G1.csv and _G2.csv of github.com/c-mengyi/C2F-GDLR, from line 2 on.
IJBC_G1 = (
    "1,1,img/116262.jpg,69544,268,32,40,47",
    "1,1,img/4702.jpg,3720,93,84,76,100",
    "2,4,img/4781.jpg,7907,2694,785,552,681",
)
IJBC_G2 = (
    "949,12444,img/113904.jpg,66888,116,73,330,461",
    "950,12445,img/112588.jpg,66461,560,223,94,91",
)
# Made, as NIST's mixed probes were not at hand: a video of three frames is one sighting; one probe is of a stranger.
IJBC_PROBE = (
    "11065,1,frames/500_1.png,80001,10,20,30,40",
    "11065,1,frames/500_2.png,80001,11,20,30,40",
    "11065,1,frames/500_3.png,80001,,,,",
    "11065,1,img/900.jpg,80002,5,6,70,80",
    "11066,12444,img/901.jpg,80003,1,2,30,40",
    "11067,77,img/902.jpg,80004,1,2,30,40",
)
IJBC_PAIRS = ("1,11065", "1,11066", "2,11067", "949,11066", "950,11065")


def _drop(line: str, at: int) -> str:
    fields = line.split(",")
    return ",".join(fields[:at] + fields[at + 1 :])


def write_classic(root: Path, edition: str = "ijbc", folder: str = "protocols") -> Path:
    """The four files of layout ``classic``."""
    one, two = ("G1", "G2") if edition == "ijbc" else ("S1", "S2")
    here = root / folder
    for name, rows in ((f"gallery_{one}", IJBC_G1), (f"gallery_{two}", IJBC_G2), ("probe_mixed", IJBC_PROBE)):
        write_lines(here / f"{edition}_1N_{name}.csv", (CLASSIC_HEADER, *rows))
    write_lines(here / f"{edition}_11_{one}_{two}_matches.csv", IJBC_PAIRS)
    return root


def write_tests(root: Path, folder: str = "protocols", metadata: bool = True) -> Path:
    """The same trials in layout ``tests``: no sightings in the tables, a header over the pairs."""
    here = root / folder
    g1, g2, probe = ([_drop(line, 3) for line in rows] for rows in (IJBC_G1, IJBC_G2, IJBC_PROBE))
    for name, rows in (
        ("test1/enroll_templates", [*g1, *g2]),
        ("test1/verif_templates", probe),
        ("test4/gallery_G1", g1),
        ("test4/gallery_G2", g2),
        ("test4/probes", probe),
    ):
        write_lines(here / f"{name}.csv", (TESTS_HEADER, *rows))
    write_lines(here / "test1/match.csv", ("ENROLL_TEMPLATE_ID,VERIF_TEMPLATE_ID", *IJBC_PAIRS))
    if metadata:
        rows = [_drop(line, 0) for line in (*IJBC_G1, *IJBC_G2, *IJBC_PROBE)]
        moved = [",".join((f[0], f[1], *f[3:], f[2], "1")) for f in (row.split(",") for row in rows)]
        header = "SUBJECT_ID,FILENAME,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT,SIGHTING_ID,GENDER"
        write_lines(here / "ijbc_metadata_with_age.csv", (header, *moved))
    return root


def described(experiment: Experiment) -> tuple[object, ...]:
    """All that makes the trials, as plain values: equal exactly if the trials are."""
    faces = experiment.faces
    boxes = [] if faces.boxes is None else [str(row) for row in faces.boxes.tolist()]
    parts: list[object] = [faces.names, faces.files, boxes, _described(experiment.templates)]
    parts.append(experiment.train and _described(experiment.train))
    if isinstance(experiment, Verification):
        parts += [experiment.first.tolist(), experiment.second.tolist(), experiment.same.tolist()]
    else:
        parts += [[(g.name, g.templates.tolist()) for g in experiment.galleries], experiment.probes.tolist()]
    return tuple(parts)


def _described(templates: TemplateList) -> tuple[object, ...]:
    subjects = np.array(templates.subject.names, dtype=object)[templates.subject.codes].tolist()
    return (
        templates.ids,
        subjects,
        *(a.tolist() for a in (templates.offsets, templates.entries, templates.media)),
    )
