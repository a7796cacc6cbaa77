"""Weight files inside installed packages."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faceset.errors import ModelFileError
from faceset.packs import installed
from faceset.packs.installed import file_sha256, installed_file

FILES = [
    installed.DLIB_RESNET,
    installed.DLIB_POINTS,
    installed.MTCNN_PNET,
    installed.MTCNN_RNET,
    installed.MTCNN_ONET,
]


@pytest.mark.parametrize("file", FILES, ids=[f.relative for f in FILES])
def test_every_known_file_is_found_whole(file: installed.InstalledFile) -> None:
    path = installed_file(*file)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def test_finding_a_file_does_not_import_its_package() -> None:
    code = (
        "import sys; from faceset.packs import installed as i; i.installed_file(*i.DLIB_POINTS); "
        "i.installed_file(*i.MTCNN_PNET); "
        "print([m for m in ('face_recognition_models', 'mtcnn', 'tensorflow', 'pkg_resources') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "some_weights_pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "w.bin").write_bytes(b"abc")
    monkeypatch.syspath_prepend(tmp_path)
    return folder.name


def test_the_bytes_are_checked(package: str) -> None:
    # sha256 of "abc": FIPS 180-2, appendix B.1
    right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert installed_file(package, "w.bin", right).name == "w.bin"
    with pytest.raises(ModelFileError, match=rf"w\.bin is damaged.*{right}.*pip install --force-reinstall"):
        installed_file(package, "w.bin", "0" * 64)


def test_a_missing_file_and_a_missing_package_are_named(package: str) -> None:
    with pytest.raises(ModelFileError, match=r"no\.bin is missing from the installed package 'some_weights_pkg'.*pip"):
        installed_file(package, "no.bin", "0" * 64)
    with pytest.raises(ModelFileError, match=r"package 'not_there_pkg', which holds a\.bin, is not installed.*pip"):
        installed_file("not_there_pkg", "a.bin", "0" * 64)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=re.escape(str(tmp_path))):
        file_sha256(tmp_path)
