"""One process serves one data folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from faceset.errors import InputError
from faceset.service.alone import alone


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX knows them")
def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    with alone(tmp_path / "people"):
        assert stat.S_IMODE((tmp_path / "people").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "people" / "lock").stat().st_mode) == 0o600


def test_a_second_service_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    data = tmp_path / "people"
    with alone(data):
        with pytest.raises(InputError, match="served by another process already; stop that one"), alone(data):
            pass
        second = (
            "import sys, pathlib\nfrom faceset.service.alone import alone\n"
            "with alone(pathlib.Path(sys.argv[1])):\n    pass"
        )
        answer = subprocess.run([sys.executable, "-c", second, str(data)], capture_output=True, text=True, check=False)
        assert answer.returncode != 0
        assert "served by another process already" in answer.stderr
    with alone(data):
        assert [path.name for path in data.iterdir()] == ["lock"]


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "people").write_text("")
    with pytest.raises(InputError, match="give a folder that can be written to"), alone(tmp_path / "people"):
        pass
