"""The page: whole, well formed, on its own, and safe with names from anywhere."""

from __future__ import annotations

import base64
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sample_reports import outcome, report, search

from faceset.errors import InputError
from faceset.evaluation.page import check, page, write
from faceset.evaluation.results import Example, Metric

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=y>&amp;\x00\u202e"
PIXEL = "data:image/jpeg;base64,/9j/4AAQ"


class Reader(HTMLParser):
    """Checks that tags nest, and collects them with their attributes and the text of the page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def read(content: str) -> Reader:
    reader = Reader()
    reader.feed(content)
    reader.close()
    assert reader.open == []
    return reader


def test_all_parts_are_there_in_order() -> None:
    made = report(outcome(), outcome("nan", seed=1), search())
    content = page(made, command="faceset evaluate lfw lfw/ --features f.parquet")
    found = read(content)
    assert content.startswith("<!DOCTYPE html>\n")
    assert [a["id"] for t, a in found.tags if t == "section"] == [
        "results",
        "measured",
        "plots",
        "sizes",
        "pairs",
        "reproduce",
    ]
    assert [t for t, _ in found.tags].count("img") == 7
    for said in (
        "TAR@FAR=0.001",
        "99.13",
        "98.90 to 99.40",
        "3 templates failed to enrol",
        "over subjects, 200 resamples",
        "pairs.txt",
        "9 or more (100)",
        "fewer than 10 comparisons",
        "One person, lowest scores",
        "no score: not enrolled",
        "faceset evaluate lfw lfw/ --features f.parquet",
        '"media_first": false',
        "TPIR@FPIR=0.01",
    ):
        assert said in found.text, said


def test_the_page_needs_nothing_else() -> None:
    content = page(report(), thumbnails={"Ann/0.jpg": PIXEL})
    assert not re.search(r"https?://|//[a-z]|@import|<script|<link|<iframe|javascript:", content)
    for tag, attributes in read(content).tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        assert not {"srcset", "href", "action", "data"} & set(attributes)
        if "src" in attributes:
            assert (attributes["src"] or "").startswith("data:image/svg+xml;base64,")
            assert attributes["alt"]
    for address in re.findall(r"url\(([^)]*)\)", content):
        assert address.startswith("data:image/jpeg;base64,")
    assert "default-src 'none'" in content
    for drawn in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", content):
        svg = base64.b64decode(drawn).decode()
        assert not re.search(r"(href|src)=\"(?!#)", svg)
        assert "<script" not in svg


def test_names_from_anywhere_are_text() -> None:
    example = Example("missed", 0.1, HOSTILE, HOSTILE, HOSTILE, "Ann", (HOSTILE,), ("Ann/0.jpg",))
    strange = outcome(
        HOSTILE, HOSTILE, examples=(example,), metrics={HOSTILE: Metric(0.5, note=HOSTILE)}, counts={HOSTILE: 1}
    )
    made = report(strange, notes=(HOSTILE,), extra={HOSTILE: [HOSTILE]})
    content = page(made, thumbnails={HOSTILE: PIXEL}, command=HOSTILE)
    found = read(content)
    kinds = {tag for tag, _ in found.tags}
    assert "script" not in kinds
    assert all(not name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert "\x00" not in content
    assert "\u202e" not in content
    assert found.text.count("<script>alert('x')</script>") >= 6
    assert any(a.get("role") == "img" and "<script>" in (a.get("aria-label") or "") for _, a in found.tags)


def test_faces_are_shown_where_there_are_pictures() -> None:
    found = read(page(report(), thumbnails={"Ann/0.jpg": PIXEL}))
    shown = {a["aria-label"] for _, a in found.tags if a.get("role") == "img"}
    blank = [a for _, a in found.tags if a.get("class") == "face none"]
    assert shown == {"Ann/0.jpg"}
    assert blank
    assert "Bob/0.jpg" in found.text


def test_the_same_report_gives_the_same_page() -> None:
    assert page(report()) == page(report())


def test_splits_are_listed_one_by_one() -> None:
    made = report(*(outcome(part=f"split {k}", seed=k) for k in (1, 2)))
    text = read(page(made)).text
    assert "mean and standard deviation over 2 experiments" in text
    assert "mean, split 2" in text
    assert "± 0.05" in text  # of 99.03 and 98.93


def test_a_few_aggregators_stay_small() -> None:
    made = report(*(outcome(f"a{k}", seed=k, shift=2 + k / 10) for k in range(6)))
    assert len(page(made)) < 1_500_000


def test_a_page_is_whole_or_not_there(tmp_path: Path) -> None:
    place = tmp_path / "report.html"
    check(place)
    assert list(tmp_path.iterdir()) == []
    write(place, "old")
    check(place)
    assert place.read_text() == "old"
    write(place, "new")
    assert place.read_text() == "new"
    assert list(tmp_path.iterdir()) == [place]


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder; name a file"):
        check(tmp_path)
    with pytest.raises(InputError, match=r"is no regular file"):
        check(Path(os.devnull))
    with pytest.raises(InputError, match=r"nowhere.*cannot be written"):
        check(tmp_path / "nowhere" / "r.html")
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "nowhere" / "r.html", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "folder", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
