"""Celebrity-1000 by lists in MATLAB files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from faceset.errors import InputError, ProtocolError
from faceset.evaluation import protocols
from faceset.evaluation.protocols import celebrity1000
from faceset.evaluation.trials import TemplateList

# Rows of subject, video, sequence. Subject 3 has two videos in the gallery, the others one.
GALLERY = [[3, 1, 5], [3, 1, 4], [3, 7, 2], [12, 2, 1], [1000, 1, 1]]
PROBE = [[12, 3, 9], [3, 8, 1], [3, 8, 12], [12, 4, 1]]


def write(root: Path, which: str = "close", subjects: int = 100, **matrices: Any) -> Path:
    path = root / which / f"sub_video_seq_{subjects}.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"gallery": GALLERY, "probe": PROBE} | matrices
    savemat(path, {name: np.asarray(rows) for name, rows in given.items() if rows is not None})
    return root


def members(asked: Any, templates: TemplateList) -> dict[str, tuple[str, list[str]]]:
    """Template id -> subject and names of its sequences."""
    return {
        templates.ids[t]: (
            templates.subject.names[templates.subject.codes[t]],
            [asked.faces.names[e] for e in templates.entries[templates.offsets[t] : templates.offsets[t + 1]]],
        )
        for t in range(len(templates))
    }


def test_close_set_with_a_template_a_subject(tmp_path: Path) -> None:
    asked = celebrity1000.identification(write(tmp_path))
    assert members(asked, asked.templates) == {
        "gallery 0003": ("0003", ["0003/0001/4", "0003/0001/5", "0003/0007/2"]),
        "gallery 0012": ("0012", ["0012/0002/1"]),
        "gallery 1000": ("1000", ["1000/0001/1"]),
        "probe 0003/0008/1": ("0003", ["0003/0008/1"]),
        "probe 0003/0008/12": ("0003", ["0003/0008/12"]),
        "probe 0012/0003/9": ("0012", ["0012/0003/9"]),
        "probe 0012/0004/1": ("0012", ["0012/0004/1"]),
    }
    assert [g.templates.tolist() for g in asked.galleries] == [[0, 1, 2]]
    assert asked.probes.tolist() == [3, 4, 5, 6]
    assert asked.close_set
    assert asked.part == "close-set 100"
    assert asked.train is None
    assert asked.files[0].lines == 9
    assert asked.notes == ("the gallery has 3 subjects; the name of the list says 100",)
    # a video is a medium: equal where subject and video are
    media = dict(zip(asked.templates.entries.tolist(), asked.templates.media.tolist(), strict=True))
    videos = [asked.faces.names[entry].rsplit("/", 1)[0] for entry in sorted(media)]
    assert [media[a] == media[b] for a in media for b in media] == [
        videos[a] == videos[b] for a in media for b in media
    ]


@pytest.mark.parametrize(
    ("gallery", "probe", "ids"),
    [
        ("video", "sequence", ["gallery 0003/0001", "gallery 0003/0007", "gallery 0012/0002", "gallery 1000/0001"]),
        ("subject", "video", ["probe 0003/0008", "probe 0012/0003", "probe 0012/0004"]),
        ("sequence", "video", ["gallery 0003/0001/4", "gallery 0003/0001/5", "gallery 0003/0007/2"]),
    ],
)
def test_what_a_template_is_made_of(tmp_path: Path, gallery: str, probe: str, ids: list[str]) -> None:
    (asked,) = protocols.load("celebrity1000", write(tmp_path), gallery=gallery, probe=probe)
    assert set(ids) <= set(asked.templates.ids)
    assert asked.settings == {"set": "close", "subjects": 100, "gallery": gallery, "probe": probe}
    names = [name for _, of in members(asked, asked.templates).values() for name in of]
    assert len(names) == len(set(names)) == 9


def test_open_set(tmp_path: Path) -> None:
    train = [[50, 1, 2], [50, 1, 1], [51, 1, 1]]
    root = write(tmp_path, "open", 800, probe=[*PROBE, [77, 1, 1]], train=train)
    asked = celebrity1000.identification(root, set="open", subjects=800)
    assert not asked.close_set
    assert asked.part == "open-set 800"
    enrolled = {asked.templates.subject.codes[t] for t in asked.galleries[0].templates}
    mated = [asked.templates.subject.codes[t] in enrolled for t in asked.probes]
    assert mated == [True, True, True, True, False]
    assert asked.train is not None
    assert members(asked, asked.train)["train 0050/0001/1"] == ("0050", ["0050/0001/1"])
    assert len(asked.train) == 3
    # where everyone is enrolled there are ranks only
    assert celebrity1000.identification(write(tmp_path, "open"), set="open").close_set


def test_the_order_of_rows_and_the_type_of_numbers_do_not_matter(tmp_path: Path) -> None:
    a = celebrity1000.identification(write(tmp_path))
    b = celebrity1000.identification(
        write(tmp_path, gallery=np.array(GALLERY[::-1], np.float64), probe=np.array(PROBE[::-1], np.uint16))
    )
    assert a.faces.names == b.faces.names
    assert members(a, a.templates) == members(b, b.templates)
    assert a.templates.ids == b.templates.ids


def test_a_video_on_both_sides_is_noted(tmp_path: Path) -> None:
    asked = celebrity1000.identification(write(tmp_path, probe=[*PROBE, [3, 1, 77]]))
    assert asked.notes[-1] == "1 videos have sequences in the gallery and among the probes"


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ({"probe": [*PROBE, PROBE[1]]}, r"100.mat, row 5 of matrix probe: 0003/0008/1 is in row 2 already; fetch"),
        ({"gallery": [*GALLERY, GALLERY[0]]}, r"row 6 of matrix gallery: 0003/0001/5 is in row 1 already"),
        ({"probe": [*PROBE, GALLERY[3]]}, r"row 5 of matrix probe: 0012/0002/1 is in the gallery too, row 4"),
        ({"probe": [*PROBE, [4, 1, 1]]}, r"row 5 of matrix probe: subject 4 is not in the gallery of a close set"),
        ({"probe": [[3, 8, -1]]}, r"row 1 of matrix probe: -1 is no number of a list"),
        ({"probe": [[3, 8, 1.5]]}, r"row 1 of matrix probe: 1.5 is no number"),
        ({"probe": [[3, 8, 1], [3, float("nan"), 1]]}, r"row 2 of matrix probe: nan is no number"),
        ({"probe": [[3, 8]]}, r"matrix probe has shape \(1, 2\), but must be \(rows, 3\)"),
        ({"probe": np.empty((0, 3))}, r"matrix probe has shape \(0, 3\)"),
        ({"probe": ["a", "b"]}, r"probe is no matrix of numbers"),
        ({"probe": None}, r"100.mat has no matrix probe; fetch"),
    ],
)
def test_damage_is_named(tmp_path: Path, matrices: dict[str, Any], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        celebrity1000.identification(write(tmp_path, **matrices))


def test_a_training_subject_is_not_tested_in_open_set(tmp_path: Path) -> None:
    root = write(tmp_path, "open", train=[[50, 1, 1], [12, 9, 9]])
    with pytest.raises(ProtocolError, match=r"row 2 of matrix train: subject 12 is tested too, in an open set"):
        celebrity1000.identification(root, set="open")


def test_no_matlab_file(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="does not hold close/sub_video_seq_100.mat; copy"):
        celebrity1000.identification(tmp_path)
    path = write(tmp_path) / "close" / "sub_video_seq_100.mat"
    whole = path.read_bytes()
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM" + bytes(100))
    with pytest.raises(ProtocolError, match="is of MATLAB 7.3; save it anew with"):
        celebrity1000.identification(tmp_path)
    path.write_bytes(b"gallery,probe\n" * 20)
    with pytest.raises(ProtocolError, match="is no MATLAB file or is damaged"):
        celebrity1000.identification(tmp_path)
    rng = np.random.default_rng(0)
    for length in range(1, len(whole), 7):  # cut anywhere, and a byte changed anywhere: an error of ours, or trials
        changed = bytearray(whole)
        changed[int(rng.integers(128, len(whole)))] ^= int(rng.integers(1, 256))
        for damaged in (whole[:length], bytes(changed)):
            path.write_bytes(damaged)
            try:
                celebrity1000.identification(tmp_path)
            except ProtocolError as error:
                assert "sub_video_seq_100.mat" in str(error)  # noqa: PT017 - any other error fails the test


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"set": "half"}, "no set 'half'; choose one of close, open"),
        ({"subjects": 400}, "no subjects 400; choose one of 100, 200, 500, 1000"),
        ({"set": "open", "subjects": 500}, "no subjects 500; choose one of 100, 200, 400, 800"),
        ({"gallery": "frame"}, "no gallery 'frame'; choose one of subject, video, sequence"),
        ({"probe": "subject"}, "no probe 'subject'; choose one of sequence, video"),
        ({"task": "verify"}, "celebrity1000 has no task 'verify'"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        celebrity1000.load(tmp_path, **options)
