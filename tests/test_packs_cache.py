"""The cache of converted models."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from faceset.errors import ModelFileError
from faceset.packs import cache
from faceset.packs.cache import cached, write_atomic


class Builder:
    def __init__(self, data: bytes = b"weights") -> None:
        self.calls = 0
        self.data = data

    def __call__(self) -> bytes:
        self.calls += 1
        return self.data


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "converted"


def test_it_is_built_once_and_lies_in_the_cache(folder: Path) -> None:
    build = Builder()
    path = cached("net.onnx", "v1", build)
    assert path.parent == folder
    assert path.suffix == ".onnx"
    assert cached("net.onnx", "v1", build) == path
    assert (build.calls, path.read_bytes()) == (1, b"weights")
    assert sorted(p.name for p in folder.iterdir()) == [path.name, f"{path.name}.sha256"]  # nothing temporary is left


def test_another_version_is_another_file() -> None:
    first, second = cached("net.onnx", "v1", Builder(b"1")), cached("net.onnx", "v2", Builder(b"2"))
    assert (first.read_bytes(), second.read_bytes()) == (b"1", b"2")


@pytest.mark.parametrize("damage", [b"", b"weight", b"Weights"])
def test_a_damaged_file_is_built_again(damage: bytes) -> None:
    build = Builder()
    path = cached("net.onnx", "v1", build)
    path.write_bytes(damage)
    assert cached("net.onnx", "v1", build).read_bytes() == b"weights"
    assert build.calls == 2


def test_a_lost_or_garbled_digest_is_built_again() -> None:
    build = Builder()
    digest = Path(f"{cached('net.onnx', 'v1', build)}.sha256")
    digest.unlink()
    cached("net.onnx", "v1", build)
    digest.write_bytes(b"\xff\xfe")
    cached("net.onnx", "v1", build)
    assert build.calls == 3


def test_a_cache_that_cannot_be_written_is_replaced_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING, logger="faceset"):
        path = cached("net.onnx", "v1", Builder())
    assert path.read_bytes() == b"weights"
    assert "Set FACESET_CACHE to a folder that can be written" in caplog.text
    assert str(tmp_path / "file") in caplog.text


def test_when_nothing_can_be_written_the_error_names_both_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_process_folder", lambda: tmp_path / "file" / "deeper")
    with pytest.raises(ModelFileError, match=r"net\.onnx cannot be stored.*free some space, or set FACESET_CACHE"):
        cached("net.onnx", "v1", Builder())


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(tmp_path / "a.bin", b"data")
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_building_is_not_hidden(folder: Path) -> None:
    def fail() -> bytes:
        raise ModelFileError("the source is damaged")

    with pytest.raises(ModelFileError, match="the source is damaged"):
        cached("net.onnx", "v1", fail)
    assert not folder.exists()


def test_two_processes_at_once(folder: Path) -> None:
    code = (
        "from faceset.packs.cache import cached\n"
        "for i in range(30):\n"
        "    p = cached(f'n{i}.onnx', 'v', lambda: b'x' * 200_000)\n"
        "    assert p.read_bytes() == b'x' * 200_000\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)]
    errors = [p.communicate()[1] for p in running]
    assert [p.returncode for p in running] == [0, 0, 0], errors
    assert len(list(folder.iterdir())) == 60
