"""The registry of protocols."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from protocol_files import lfw_lines, write_lines

from faceset.errors import InputError, ProtocolError
from faceset.evaluation import protocols
from faceset.evaluation.trials import Verification


def test_names_are_sorted_and_each_is_a_module_in_the_folder() -> None:
    assert list(protocols.names()) == sorted(protocols.names())
    folder = Path(protocols.__file__).parent
    assert all((folder / f"{name}.py").is_file() for name in protocols.names())


@pytest.mark.parametrize("name", protocols.names())
def test_every_protocol_has_the_same_face(name: str, tmp_path: Path) -> None:
    module = protocols.get(name)
    assert module.TITLE
    assert module.LAYOUT.strip() == module.LAYOUT
    first, *rest = inspect.signature(module.load).parameters.values()
    assert first.name == "root"
    assert all(keyword.kind is keyword.KEYWORD_ONLY for keyword in rest)
    assert protocols.options(name)["task"] is None
    assert hasattr(module, "verification") or hasattr(module, "identification")
    assert getattr(protocols, name) is module
    with pytest.raises(ProtocolError):  # an empty folder holds no protocol
        protocols.load(name, tmp_path)
    with pytest.raises(ProtocolError, match=f"nowhere is no folder; for {name} give one that holds") as caught:
        protocols.load(name, tmp_path / "nowhere")
    assert "\n" not in str(caught.value)  # an error is one line
    with pytest.raises(InputError, match=f"protocol {name} has no option 'nonsense'; it has task"):
        protocols.load(name, tmp_path, nonsense=1)


@pytest.mark.parametrize("task", protocols.TASKS)
@pytest.mark.parametrize("name", protocols.names())
def test_every_protocol_knows_the_tasks(name: str, task: str, tmp_path: Path) -> None:
    lacks = not hasattr(protocols.get(name), {"verify": "verification", "identify": "identification"}[task])
    if lacks:
        with pytest.raises(InputError, match=f"{name} has no task '{task}'"):
            protocols.load(name, tmp_path, task=task)
    else:
        with pytest.raises(ProtocolError):  # the folder is empty
            protocols.load(name, tmp_path, task=task)


def test_load_passes_options_on(tmp_path: Path) -> None:
    write_lines(tmp_path / "lists" / "mine.txt", lfw_lines(2, 3))
    (asked,) = protocols.load("lfw", str(tmp_path), task="verify", pairs="lists/mine.txt")
    assert isinstance(asked, Verification)
    assert asked.same.size == 12
    assert asked.files[0].name == "lists/mine.txt"


def test_what_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no protocol 'megaface'; choose one of .*ijba.*ytf"):
        protocols.load("megaface", tmp_path)
    with pytest.raises(InputError, match="no task 'guess'; choose one of verify, identify"):
        protocols.load("lfw", tmp_path, task="guess")
    with pytest.raises(InputError, match="no protocol '__init__'"):
        protocols.get("__init__")
    with pytest.raises(AttributeError, match="no attribute 'megaface'"):
        _ = protocols.megaface


def test_the_import_is_light() -> None:
    code = (
        "import sys; from faceset.evaluation import protocols; protocols.get('lfw'); protocols.get('ytf'); "
        "heavy = {'torch', 'cv2', 'onnxruntime', 'onnx', 'dlib', 'av', 'sqlalchemy', 'PIL', 'scipy', 'pyarrow'}; "
        "print(sorted(heavy & set(sys.modules)), 'faceset.evaluation.protocols.ijba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
