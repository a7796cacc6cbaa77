"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceset import settings
from faceset.errors import InputError

DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_table_in_the_docs_is_the_table_in_the_code() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    for name, meaning in settings.VARIABLES.items():
        assert f"| `{name}` | {meaning} |" in text


def test_every_variable_that_the_package_reads_is_in_the_table() -> None:
    source = Path(settings.__file__).parent
    read = set()
    for path in source.rglob("*.py"):
        for word in path.read_text(encoding="utf-8").replace("`", '"').replace("'", '"').split('"'):
            if word.startswith("FACESET_") and word.isupper() and " " not in word:
                read.add(word.split("=")[0])
    assert read == set(settings.VARIABLES)


def test_cache_dir_follows_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACESET_CACHE", str(tmp_path))
    assert settings.cache_dir() == tmp_path
    monkeypatch.delenv("FACESET_CACHE")
    assert settings.cache_dir().name == "faceset"


@pytest.mark.parametrize(("text", "value"), [("", False), ("0", False), ("no", False), ("1", True), ("TRUE", True)])
def test_flags(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("FACESET_OFFLINE", text)
    assert settings.offline() is value


def test_a_wrong_flag_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACESET_COMMERCIAL", "maybe")
    with pytest.raises(InputError, match="FACESET_COMMERCIAL='maybe' is neither yes nor no; set it to 1 or 0"):
        settings.commercial_only()


@pytest.mark.parametrize("text", ["-1", "two", "1.5"])
def test_a_wrong_count_names_itself(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FACESET_THREADS", text)
    with pytest.raises(InputError, match="FACESET_THREADS=.* is not a whole number of at least 0"):
        settings.threads()


@pytest.mark.parametrize(("text", "name"), [("", "cpu"), ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:03", "cuda:3")])
def test_a_device_has_one_name(monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> None:
    monkeypatch.setenv("FACESET_DEVICE", text)
    assert settings.device() == name


def test_a_gpu_takes_more_faces_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.batch() == 32
    monkeypatch.setenv("FACESET_DEVICE", "cuda:1")
    assert settings.batch() == 128
    monkeypatch.setenv("FACESET_BATCH", "16")
    assert settings.batch() == 16
    monkeypatch.setenv("FACESET_BATCH", "0")
    with pytest.raises(InputError, match="FACESET_BATCH='0' is not a whole number of at least 1"):
        settings.batch()
