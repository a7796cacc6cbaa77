"""The demonstration from end to end with the real models: right answers, and other ones when the clips change."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceset.demo import questions
from faceset.demo.clips import Clip, Shown
from faceset.demo.questions import Row
from faceset.demo.run import DemoResult, ask, run_demo
from faceset.demo.writer import write_video
from faceset.errors import InputError
from faceset.gallery import Gallery
from faceset.recognizer import Recognizer

COLLINS, HOPPER = "Eileen Collins", "Grace Hopper"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(keep_crops=True, fps=3)


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def result(
    recognizer: Recognizer, steps: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> DemoResult:
    folder = tmp_path_factory.mktemp("demo")
    return run_demo(folder, seconds=1.4, recognizer=recognizer, hook=lambda *step: steps.append(step))


def rows_of(rows: tuple[Row, ...], step: str, file: str = "") -> list[Row]:
    return [row for row in rows if row.step == step and row.question.startswith(file)]


def test_every_answer_is_right(result: DemoResult) -> None:
    wrong = [row for row in result.rows if not row.ok]
    assert not wrong
    assert result.correct == result.total == len(result.rows)


def test_it_asks_what_it_should(result: DemoResult) -> None:
    assert [c.path.stem for c in result.clips] == [f"{n}-{i}" for n in ("collins", "hopper") for i in (1, 2, 3)] + [
        "meeting"
    ]
    assert [report.name for report in result.enrolled] == [COLLINS, HOPPER]
    assert [report.added for report in result.enrolled] == [("collins-1.mp4",), ("hopper-1.mp4",)]
    assert not any(report.looks_like for report in result.enrolled)
    verified = rows_of(result.rows, "verify")
    assert sorted(row.truth for row in verified) == ["different"] * 4 + ["same"] * 2
    assert not any("-1.mp4" in row.question for row in result.rows)  # what was enrolled is never a question
    for file in ("collins-2", "collins-3"):
        assert {row.answer for row in rows_of(result.rows, "identify", file)} == {COLLINS}
    for file in ("hopper-2", "hopper-3"):
        assert {row.answer for row in rows_of(result.rows, "identify", file)} == {HOPPER}
        left_out = rows_of(result.rows, f"identify, {HOPPER} left out", file)
        assert {(row.answer, row.truth) for row in left_out} == {("unknown", "unknown")}
    meeting = rows_of(result.rows, "identify", "meeting")
    assert len(meeting) >= 4  # each alone, then both
    assert {row.answer for row in meeting} >= {COLLINS, HOPPER}
    left_out = rows_of(result.rows, f"identify, {HOPPER} left out", "meeting")
    assert {row.answer for row in left_out} == {COLLINS, "unknown"}


def test_answers_come_with_scores_thresholds_and_faces(result: DemoResult, recognizer: Recognizer) -> None:
    for row in result.rows:
        assert row.score is not None
        assert row.threshold > recognizer.threshold.value  # many faces, calibrated
        assert row.threshold_source.startswith("FAR 0.001" if row.step == "verify" else "FPIR 0.01 among ")
        assert row.faces > 0
        accepted = row.answer not in ("different", "unknown")
        assert accepted == (row.score >= row.threshold)
    assert result.threshold_source == result.rows[0].threshold_source
    assert result.aggregator == recognizer.aggregator.name


def test_the_sheet_is_a_picture_of_one_set(result: DemoResult) -> None:
    with PillowImage.open(result.sheet) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 400
        assert sheet.height > 200


def test_progress_and_the_record(result: DemoResult, steps: list[tuple[str, int, int]]) -> None:
    said = [what for what, _, _ in steps]
    assert said[0] == "rendering collins-1.mp4"
    assert said[-1] == "drawing the contact sheet"
    assert all(0 <= done < total for _, done, total in steps)
    assert [(d, n) for w, d, n in steps if not w.startswith("rendering")] == [(i, 12) for i in range(12)]
    record = json.loads(json.dumps(result.to_dict()))
    assert record["correct"] == record["total"] == len(record["rows"])
    assert all(row["ok"] for row in record["rows"])
    assert set(record["seconds"]) == {"rendering", "answering"}


def test_swapped_clips_change_the_answers(result: DemoResult, recognizer: Recognizer) -> None:
    # The truth still says who was rendered into which file, so exactly the questions about the two files go wrong.
    files = [result.folder / "clips" / name for name in ("collins-2.mp4", "hopper-2.mp4")]
    contents = [file.read_bytes() for file in files]
    try:
        files[0].write_bytes(contents[1])
        files[1].write_bytes(contents[0])
        swapped = run_demo(result.folder, reuse=True, recognizer=recognizer)
    finally:
        files[0].write_bytes(contents[0])
        files[1].write_bytes(contents[1])
    assert [report.added for report in swapped.enrolled] == [("collins-1.mp4",), ("hopper-1.mp4",)]  # new galleries
    assert rows_of(swapped.rows, "identify", "collins-2")[0].answer == HOPPER
    assert rows_of(swapped.rows, "identify", "hopper-2")[0].answer == COLLINS
    for row in swapped.rows:
        touched = ("collins-2" in row.question) != ("hopper-2" in row.question)
        assert row.ok != touched, row
    assert swapped.correct < swapped.total
    before = {row.question: row.answer for row in rows_of(result.rows, "verify")}
    after = {row.question: row.answer for row in rows_of(swapped.rows, "verify")}
    assert before.keys() == after.keys()
    assert sum(before[q] != after[q] for q in before) == 4


def test_what_was_not_seen_counts_as_wrong(recognizer: Recognizer, result: DemoResult, tmp_path: Path) -> None:
    write_video(tmp_path / "grey.mp4", [np.full((96, 96, 3), 120, np.uint8)] * 10, (96, 96), 25)
    empty = Clip(tmp_path / "grey.mp4", 25, ((Shown(COLLINS, (0, 0, 50, 50)),),) * 10)
    (row,) = questions.verify(recognizer, [empty, result.clips[1]])
    assert not row.ok
    assert row.answer.startswith("no answer: ")
    assert (row.truth, row.score, row.faces) == ("same", None, 0)
    with Gallery(tmp_path / "empty.db") as gallery:
        (row,) = questions.identify(recognizer, gallery, empty, "identify")
    assert (row.question, row.answer, row.truth) == (f"grey.mp4: is {COLLINS} seen?", "nobody seen", "unknown")
    assert not row.ok


def test_too_few_clips_are_refused(recognizer: Recognizer, result: DemoResult, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"two clips of each alone, but the clips show .*'Grace Hopper'"):
        ask(result.clips[:4], tmp_path, recognizer)
    with pytest.raises(InputError, match=r"show \['Eileen Collins'\], of whom \['Eileen Collins'\] twice"):
        ask(result.clips[:3], tmp_path, recognizer)
