"""The command as a process: exit codes nobody can mistake for an answer, and nothing said to the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from portraits import collins, write

FACESET = [sys.executable, "-m", "faceset"]


def test_a_closed_pipe_is_neither_yes_nor_no() -> None:
    process = subprocess.Popen([*FACESET, "models", "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=60)
    assert process.returncode == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which only Linux has")
@pytest.mark.parametrize("words", [["models", "list"], ["models", "list", "--json"], ["--help"]])
def test_a_full_disk_is_a_failure_and_not_a_no(words: list[str]) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([*FACESET, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="reads a POSIX home")
def test_onnx_runtime_is_told_not_to_report(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    environment |= {"HOME": str(tmp_path / "home")}
    picture = write(collins(), tmp_path / "a.png")
    code = (
        f"import faceset, os; faceset.Recognizer().template({str(picture)!r}); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    assert not [p for p in (tmp_path / "home").rglob("*") if "onnxruntime" in p.name.lower() and p.is_dir()]


def test_a_threshold_that_is_none_is_refused(tmp_path: Path) -> None:
    picture = str(write(collins(), tmp_path / "a.png"))
    for value in ("2", "nan", "-5"):
        done = subprocess.run(
            [*FACESET, "verify", picture, picture, f"--threshold={value}"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "a threshold is a cosine in -1..1, but got" in done.stderr
