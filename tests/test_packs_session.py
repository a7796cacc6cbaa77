"""ONNX Runtime sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from oracles.small_models import channel_means

from faceset.errors import InputError, ModelFileError
from faceset.packs.session import open_session


def test_a_session_runs_from_a_file_and_from_bytes(tmp_path: Path) -> None:
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    for source in (path, str(path), path.read_bytes()):
        (found,) = open_session(source, what="means").run(None, {"image": image})
        assert found.tolist() == [[1.5, 5.5, 9.5]]


def test_settings_reach_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    monkeypatch.setenv("FACESET_THREADS", "1")
    session = open_session(path, what="means")
    assert session.get_session_options().intra_op_num_threads == 1
    assert session.get_providers() == ["CPUExecutionProvider"]
    monkeypatch.setenv("FACESET_THREADS", "many")
    with pytest.raises(InputError, match="FACESET_THREADS='many'"):
        open_session(path, what="means")


@pytest.mark.parametrize("content", [b"", b"plain text", "half"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | str, capfd: pytest.CaptureFixture[str]) -> None:
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    path.write_bytes(content if isinstance(content, bytes) else path.read_bytes()[:90])
    with pytest.raises(ModelFileError, match=r"embedder x \(.*m\.onnx\) is no ONNX model that onnxruntime.*damaged"):
        open_session(path, what="embedder x")
    with pytest.raises(ModelFileError, match=r"embedder x \(in memory\)"):
        open_session(path.read_bytes(), what="embedder x")
    assert capfd.readouterr().err == ""  # the runtime prints nothing by itself


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no\.onnx\) does not exist; import or pull"):
        open_session(tmp_path / "no.onnx", what="embedder x")
