"""The import arrows run one way, and importing the package is inert."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import faceset

SOURCE = Path(faceset.__file__).parent
ORDER = [
    "errors",
    "lazy",
    "settings",
    "writing",
    "types",
    "media",
    "degradations",
    "packs",
    "detection",
    "alignment",
    "embedding",
    "tracking",
    "pipeline",
    "feature_table",
    "features",
    "extraction",
    "aggregation",
    "metrics",
    "bootstrap",
    "scoring",
    "calibration",
    "templates",
    "people",
    "gallery",
    "enrolment",
    "parts",
    "recognizer",
    "demo",
    "evaluation",
    "service",
    "training",
    "cli",
]


def _module_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.split(".")[1] for name in found if name.startswith("faceset.")}


def test_every_module_has_a_place_in_the_order() -> None:
    modules = {_module_of(path) for path in SOURCE.rglob("*.py")} - {"__init__", "__main__"}
    assert modules == set(ORDER)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_modules_above_it(path: Path) -> None:
    own = _module_of(path)
    if own in ("__init__", "__main__"):
        return
    wrong = {name for name in _imports(path) if name in ORDER and ORDER.index(name) > ORDER.index(own)}
    assert not wrong, f"{own} must not import {wrong}"


def test_no_relative_imports() -> None:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_importing_faceset_is_inert() -> None:
    code = (
        "import sys, faceset; "
        "heavy = {'numpy', 'torch', 'cv2', 'onnxruntime', 'onnx', 'dlib', 'av', 'sqlalchemy', 'PIL', 'scipy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""


def test_public_names_resolve_and_are_sorted() -> None:
    assert faceset.__all__ == sorted(faceset.__all__)
    for name in faceset.__all__:
        assert getattr(faceset, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = faceset.nonsense


def test_no_file_is_long() -> None:
    long = {str(p.relative_to(SOURCE)) for p in SOURCE.rglob("*.py") if len(p.read_text().splitlines()) > 400}
    assert not long
