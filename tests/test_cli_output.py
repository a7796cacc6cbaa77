"""What is printed: no name of a file or person reaches a terminal as anything but text."""

from __future__ import annotations

import csv
import io
import json
import logging

import pytest

from faceset.cli import output

EVIL = "a\x1b[31m\x07\x9b2J\u202egpj.exe\udce9\nb\tc"
PLAIN = r"a\x1b[31m\x07\x9b2J\u202egpj.exe\xe9\nb\tc"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain() -> None:
    assert output.plain(EVIL) == PLAIN
    assert output.plain("Zo\u00eb \u0646\u0648\u0631 \u738b [red] C:\\x \U0001f469\u200d\U0001f52c") == (
        "Zo\u00eb \u0646\u0648\u0631 \u738b [red] C:\\x \U0001f469\u200d\U0001f52c"
    )
    assert output.plain("\ud834\u2028\u2066\r") == r"\ud834\u2028\u2066\r"


def test_counted() -> None:
    assert [output.counted(n, "face") for n in (0, 1, 2)] == ["0 faces", "1 face", "2 faces"]
    assert [output.counted(n, "person", "people") for n in (1, 2)] == ["1 person", "2 people"]


def test_lines_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(EVIL)
    output.remark(EVIL, quiet=False)
    with output.warnings_shown(quiet=False):
        logging.getLogger("faceset.media").warning("skipped %s", EVIL)
    done = capsys.readouterr()
    assert done.out == f"{PLAIN}\n"
    assert done.err == f"{PLAIN}\nskipped {PLAIN}\n"


def test_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    records = [{"media": EVIL, "score": 0.92894, "end": 1.5}, {"media": "b", "score": None, "end": 2.25}]
    columns = ["media", "score", "end"]
    output.emit(as_json=False, as_csv=False, title=f"[red]{EVIL}", records=records, columns=columns)
    table = capsys.readouterr().out
    lines = table.splitlines()
    assert lines[0].strip() == f"[red]{PLAIN}"
    assert [c.strip() for c in lines[4].strip("\u2502").split("\u2502")] == [PLAIN, "0.9289", "1.500"]
    assert [c.strip() for c in lines[5].strip("\u2502").split("\u2502")] == ["b", "-", "2.250"]
    assert len(lines) == 7


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("0", 200), ("wide", 200), ("", 200)])
def test_the_width_of_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    output.print_table("t", ["name"], [["x" * 300]])
    assert max(map(len, capsys.readouterr().out.splitlines())) == width


def test_csv(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[EVIL, 0.5, None, ["a", "b"], True]]
    output.print_csv(["a", "b", "c", "d", "e"], rows)
    piped = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert piped[1] == [EVIL.replace("\udce9", r"\xe9"), "0.5", "", "a; b", "True"]
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    output.print_csv(["a"], [[EVIL]])
    assert terminal.getvalue() == f"a\n{PLAIN}\n"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"name": EVIL})
    text = capsys.readouterr().out
    text.encode()
    assert not {c for c in text if c in EVIL and ord(c) not in range(32, 127)} - {"\n"}
    assert json.loads(text) == {"name": EVIL.replace("\udce9", "\ufffd")}
