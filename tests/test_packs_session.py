"""ONNX Runtime sessions, on the CPU and where no GPU is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from oracles.small_models import channel_means

from faceset.errors import InputError, ModelFileError
from faceset.packs import cuda
from faceset.packs.image_model import ImageModel
from faceset.packs.session import open_session

NO_GPU = not Path("/dev/nvidiactl").exists()
CPU_BUILD = cuda.PROVIDER not in onnxruntime.get_available_providers()


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


def test_a_gpu_that_onnx_runtime_cannot_use_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    if not CPU_BUILD:
        pytest.skip("this ONNX Runtime is built for CUDA")
    with pytest.raises(InputError) as caught:
        open_session(path, what="means", device="cuda:99")
    assert str(caught.value) == (
        f"device cuda:99 cannot be used: the installed onnxruntime {onnxruntime.__version__} is built for the CPU "
        "alone; install the build for CUDA in its place: pip uninstall onnxruntime, then pip install "
        "'onnxruntime-gpu[cuda,cudnn]'"
    )
    monkeypatch.setenv("FACESET_DEVICE", "cuda")
    for use in (lambda: open_session(path, what="means"), lambda: ImageModel(path, (2, 2), what="means")):
        with pytest.raises(InputError, match=r"device cuda:0 cannot be used.*onnxruntime-gpu"):
            use()


@pytest.mark.skipif(CPU_BUILD, reason="this ONNX Runtime is built for the CPU")
def test_a_session_for_cuda_runs_on_the_gpu_or_not_at_all(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the CUDA build, whether there is a GPU or not."""
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 2, 2)
    if NO_GPU:
        with pytest.raises(InputError, match=r"means .*cannot run on cuda:0: (there is no NVIDIA driver|ONNX Runtime)"):
            open_session(path, what="means", device="cuda")
    else:
        session = open_session(path, what="means", device="cuda")
        assert cuda.on_gpu(session)
        assert session.run(None, {"image": image})[0].tolist() == [[1.5, 5.5, 9.5]]
        monkeypatch.setenv("FACESET_DEVICE", "cuda")
        assert ImageModel(path, (2, 2), what="means").batch == 128
    with pytest.raises(InputError, match="cannot run on cuda:99: "):
        open_session(path, what="means", device="cuda:99")
    (tmp_path / "no.onnx").write_bytes(b"plain text")
    with pytest.raises(ModelFileError, match=r"no\.onnx\) is no ONNX model"):
        open_session(tmp_path / "no.onnx", what="means", device="cuda")
    assert capfd.readouterr() == ("", "")  # the runtime prints nothing by itself


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CUDA", "tensorrt", "cuda:1:2"])
def test_a_device_of_no_such_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    with pytest.raises(InputError, match=f"device='{name}' is no device that models run on; use cpu, cuda or cuda:0"):
        open_session(path, what="means", device=name)
    monkeypatch.setenv("FACESET_DEVICE", name)
    with pytest.raises(InputError, match=f"FACESET_DEVICE='{name}' is no device"):
        open_session(path, what="means")


def test_cpu_asked_for_wins_over_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    monkeypatch.setenv("FACESET_DEVICE", "cuda")
    assert open_session(path, what="means", device="cpu").get_providers() == ["CPUExecutionProvider"]
    monkeypatch.setenv("FACESET_DEVICE", " cpu ")
    assert open_session(path, what="means").get_providers() == ["CPUExecutionProvider"]


def test_batches_are_as_large_as_the_setting_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = channel_means(tmp_path / "m.onnx", (2, 2))
    assert ImageModel(path, (2, 2), what="means").batch == 32
    monkeypatch.setenv("FACESET_BATCH", "7")
    assert ImageModel(path, (2, 2), what="means").batch == 7
