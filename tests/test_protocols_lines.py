"""Text files and tables of protocols: strict, and errors that name the line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from faceset.errors import ProtocolError
from faceset.evaluation.protocols import tables
from faceset.evaluation.protocols.lines import find_file, first_repeat, read_text
from faceset.evaluation.protocols.tables import IntegerFile, read_csv, read_integers


def put(folder: Path, data: bytes, name: str = "list.txt") -> Path:
    (folder / name).write_bytes(data)
    return folder


def test_lines_hash_and_count(tmp_path: Path) -> None:
    data = b"a b\nc d\n"
    file = read_text(put(tmp_path, data), "list.txt")
    assert file.lines == ("a b", "c d")
    assert file.ended
    assert file.record().to_dict() == {"name": "list.txt", "sha256": hashlib.sha256(data).hexdigest(), "lines": 2}
    assert file.record(headers=1).lines == 1
    assert list(file.rows(" ", 2)) == [(1, ["a", "b"]), (2, ["c", "d"])]
    assert list(file.rows(" ", (1, 2), first=2)) == [(2, ["c", "d"])]


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfa b\nc d\n", b"a b\r\nc d\r\n", b"a b\nc d", b"a b\r\nc d"])
def test_byte_order_mark_crlf_and_no_last_line_end_are_the_same_lines(tmp_path: Path, data: bytes) -> None:
    file = read_text(put(tmp_path, data), "list.txt")
    assert file.lines == ("a b", "c d")
    assert file.ended == data.endswith(b"\n")


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"a b\n\nc d\n", 2, "a blank line where 2 fields separated by ' ' are due"),
        (b"a b\nc d\n\n", 3, "a blank line"),
        (b"a b\nc d e\n", 2, "3 fields where 2"),
        (b"a b\nc\n", 2, "1 fields where 2"),
        (b"a b\nc \n", 2, "field 2 is empty"),
        (b"a b\n c\n", 2, "field 1 is empty"),
        (b"a b\nc\td e\n", 2, None),
        (b"a b\nc\t d\n", 2, "blanks around field 1"),
        ("a b\n\u00a0c d\n".encode(), 2, "blanks around field 1"),
        (b"a b\nc d\x00\n", 2, "a control character"),
        (b"a b\rc d\n", 1, "a control character"),
        (b"a b\nc d\r", 2, "a control character"),
        (b"\xef\xbb\xbf\xef\xbb\xbfa b\n", 1, "a control character"),
        (b"a b\nc \xff\n", 2, "no valid UTF-8"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path: Path, data: bytes, line: int, what: str | None) -> None:
    if what is None:  # a tab inside a field is part of it
        assert list(read_text(put(tmp_path, data), "list.txt").rows(" ", 2))[1] == (2, ["c\td", "e"])
        return
    with pytest.raises(ProtocolError, match=rf"^list\.txt, line {line}: .*{re.escape(what)}.*; fetch"):
        list(read_text(put(tmp_path, data), "list.txt").rows(" ", 2))


def test_a_last_line_that_may_be_cut_short(tmp_path: Path) -> None:
    read_text(put(tmp_path, b"a\nb\n"), "list.txt").check_ended()
    with pytest.raises(ProtocolError, match="line 2: no line end, so that the line may be cut short"):
        read_text(put(tmp_path, b"a\nb"), "list.txt").check_ended()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match=r"nowhere is no folder; give the folder that holds a\.txt"):
        find_file(tmp_path / "nowhere", "a.txt", "b.txt")
    with pytest.raises(ProtocolError, match=r"does not hold a\.txt or b\.txt; copy"):
        find_file(tmp_path, "a.txt", "b.txt")
    (tmp_path / "a.txt").mkdir()
    put(tmp_path, b"1", "b.txt")
    assert find_file(tmp_path, "a.txt", "b.txt") == "b.txt"
    for data in (b"", b"\n", b" \r\n"):
        with pytest.raises(ProtocolError, match=r"list\.txt is empty"):
            read_text(put(tmp_path, data), "list.txt")
        with pytest.raises(ProtocolError, match=r"list\.txt is empty"):
            read_integers(tmp_path, "list.txt", 1)
    with pytest.raises(ProtocolError, match=r"does not hold gone\.txt"):
        read_integers(tmp_path, "gone.txt", 1)


@pytest.mark.parametrize(
    "text", ["01", "+1", "-0", "1_0", " 1", "1 ", "1.0", "1e3", "", "\uff11", "0x1", "9" * 30, "²"]
)
def test_whole_numbers_have_one_form(tmp_path: Path, text: str) -> None:
    file = read_text(put(tmp_path, b"x\n"), "list.txt")
    with pytest.raises(ProtocolError, match=r"list\.txt, line 1: the id is "):
        file.integer(1, text, "the id")


def test_whole_numbers_have_bounds(tmp_path: Path) -> None:
    file = read_text(put(tmp_path, b"x\n"), "list.txt")
    assert file.integer(1, "0", "n") == 0
    assert file.integer(1, "2147483647", "n") == 2147483647
    assert file.integer(1, "-5", "n", low=-5) == -5
    for text in ("-1", "2147483648"):
        with pytest.raises(ProtocolError, match="outside 0 to 2147483647"):
            file.integer(1, text, "n")


@pytest.mark.parametrize("text", ["nan", "inf", "1_0.5", "+1.5", "1.", ".5", "00.5", "1e999", "", "1,5", "\uff11.5"])
def test_decimals_have_a_plain_form(tmp_path: Path, text: str) -> None:
    file = read_text(put(tmp_path, b"x\n"), "list.txt")
    with pytest.raises(ProtocolError, match="line 1: x is .* no finite decimal number"):
        file.decimal(1, text, "x")
    with pytest.raises(ProtocolError, match="line 8: x is .* no finite decimal number"):
        file.decimals([["1.5", "2"], ["3", text]], 7, "x")


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2), max_size=5))
def test_decimals_are_read_exactly(tmp_path_factory: pytest.TempPathFactory, values: list[list[float]]) -> None:
    file = read_text(put(tmp_path_factory.getbasetemp(), b"x\n", "exact.txt"), "exact.txt")
    texts = [[repr(value).replace("e+", "e") for value in row] for row in values]
    np.testing.assert_array_equal(file.decimals(texts, 1, "x").reshape(-1, 2), np.array(values).reshape(-1, 2))


def slow(folder: Path, name: str, columns: int) -> IntegerFile:
    """The definition: every line, every field, one by one."""
    file = read_text(folder, name)
    rows = [[file.integer(n, part, "field") for part in parts] for n, parts in file.rows(" ", columns)]
    return IntegerFile(name, file.sha256, np.array(rows, dtype=np.int64))


def outcome(read: Callable[[Path, str, int], IntegerFile], folder: Path) -> object:
    """The values, or the file and line of the error."""
    try:
        return read(folder, "list.txt", 2).values.tolist()
    except ProtocolError as error:
        return str(error).split(":")[0]


numbers = st.one_of(st.integers(0, 12), st.integers(0, 10**9 - 1), st.just(0), st.just(10**9 - 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=20),
    ended=st.booleans(),
    header=st.booleans(),
)
def test_the_fast_path_reads_what_was_written(
    tmp_path: Path, rows: list[tuple[int, int, int]], ended: bool, header: bool
) -> None:
    data = "\n".join(" ".join(map(str, row)) for row in [*([tuple("abc")] if header else []), *rows])
    data += "\n" if ended else ""
    put(tmp_path, data.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "CHUNK", 40)  # blocks end inside lines and numbers
        fast = tables._parse_file(tmp_path / "list.txt", 3, ord(" "), "a b c" if header else "")
    assert fast is not None
    np.testing.assert_array_equal(fast[1], rows)
    assert fast[0] == hashlib.sha256(data.encode()).hexdigest()
    assert fast[2] == 1 + header


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(
    rows=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4),
    at=st.integers(0, 60),
    new=st.sampled_from([b"", b"0", b"1", b" ", b"\n", b"\r", b"\t", b"-", b"+", b"x", b"\xef\xbb\xbf", b"_", b"."]),
    replace=st.booleans(),
)
@example(rows=[(1, 1000000000 - 1)], at=2, new=b"9", replace=False)  # ten digits: left to the slow reader
@example(rows=[(1, 2)], at=0, new=b"\xef\xbb\xbf", replace=False)
def test_the_fast_path_takes_nothing_that_the_slow_one_refuses(
    tmp_path: Path, rows: list[tuple[int, int]], at: int, new: bytes, replace: bool
) -> None:
    good = "".join(f"{a} {b}\n" for a, b in rows).encode()
    at %= len(good)
    put(tmp_path, good[:at] + new + good[at + replace :])
    assert outcome(read_integers, tmp_path) == outcome(slow, tmp_path)


def test_crlf_and_long_numbers_are_read_too(tmp_path: Path) -> None:
    put(tmp_path, b"1 2147483647\r\n3 4\r\n")
    file = read_integers(tmp_path, "list.txt", 2)
    assert file.values.tolist() == [[1, 2147483647], [3, 4]]
    assert file.record().lines == 2
    assert str(file.error(1, "no such template")).startswith("list.txt, line 2: no such template; fetch")


def test_a_header_may_stand_above_the_numbers(tmp_path: Path) -> None:
    for end in (b"\n", b"\r\n"):  # the fast way and the slow one
        file = read_integers(put(tmp_path, end.join([b"A B", b"1 2", b"3 4", b""])), "list.txt", 2, header="A B")
        assert file.values.tolist() == [[1, 2], [3, 4]]
        assert file.record().lines == 2
        assert str(file.error(1, "bad")).startswith("list.txt, line 3: bad")
        assert read_integers(put(tmp_path, b"1 2" + end), "list.txt", 2, header="A B").line(0) == 1
        with pytest.raises(ProtocolError, match="line 1: a header and no rows"):
            read_integers(put(tmp_path, b"A B" + end), "list.txt", 2, header="A B")
        with pytest.raises(ProtocolError, match="line 1: field 1 is 'A'"):
            read_integers(put(tmp_path, b"A C" + end + b"1 2" + end), "list.txt", 2, header="A B")


def test_a_megabyte_line_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK", 64)
    with pytest.raises(ProtocolError, match="line 2: field 2 is '1111"):
        read_integers(put(tmp_path, b"1 2\n1 " + b"1" * 1000 + b"\n"), "list.txt", 2)


def test_csv(tmp_path: Path) -> None:
    put(tmp_path, b"ID,FILE,AGE\n1,a.jpg,\n2,b.jpg,3\n")
    csv = read_csv(tmp_path, "list.txt", ["FILE", "ID"])
    assert len(csv) == 2
    assert csv["ID"] == ("1", "2")
    assert csv["AGE"] == ("", "3")
    assert csv.record().lines == 2
    assert str(csv.error(1, "bad")).startswith("list.txt, line 3: bad; ")


@pytest.mark.parametrize(
    ("data", "line", "what"),
    [
        (b"ID,NAME\n1,a\n", 1, "the header has no column FILE, AGE"),
        (b"ID,FILE,AGE,ID\n1,a,2,3\n", 1, "column 'ID' twice"),
        (b"ID,FILE,AGE\n", 1, "a header and no rows"),
        (b"ID,FILE,AGE\n1,a,2\n1,a\n", 3, "2 fields where 3"),
        (b'ID,FILE,AGE\n1,"a",2\n', 2, "holds a quote"),
        (b"ID,FILE,AGE\n1, a,2\n", 2, "blanks around field 2"),
        (b"ID,FILE,AGE\n1,a,2\n\n1,a,2\n", 3, "a blank line"),
    ],
)
def test_csv_damage(tmp_path: Path, data: bytes, line: int, what: str) -> None:
    with pytest.raises(ProtocolError, match=rf"list\.txt, line {line}: .*{re.escape(what)}"):
        read_csv(put(tmp_path, data), "list.txt", ["ID", "FILE", "AGE"])


@given(st.lists(st.integers(0, 6), max_size=8))
def test_first_repeat(keys: list[int]) -> None:
    want = next(((keys.index(k), at) for at, k in enumerate(keys) if k in keys[:at]), None)
    assert first_repeat(keys) == want
    assert first_repeat(np.array(keys, dtype=np.int64)) == want
