"""Where models run, as the command line and the service's worker are told, and where training computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from faceset.cli.app import app
from faceset.errors import InputError
from faceset.packs import cuda
from faceset.service.child import environment
from faceset.training import device as devices
from faceset.training.distributed import Workers, _own_gpu, workers

CPU = torch.device("cpu")
NO_GPU = not torch.cuda.is_available()


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Gives FACESET_DEVICE back after the test, whatever the command line did to it."""
    monkeypatch.setenv("FACESET_DEVICE", "cpu")
    return monkeypatch


# --------------------------------------------------------------------------------------------------- ONNX Runtime's


@pytest.mark.skipif(cuda.PROVIDER in onnxruntime.get_available_providers(), reason="ONNX Runtime is built for CUDA")
def test_the_command_line_refuses_a_gpu_that_cannot_be_used(tmp_path: Path, models_dir: Path) -> None:
    """The whole program: a model is about to run, and the CPU does not take its place."""
    picture = tmp_path / "a.png"
    from PIL import Image

    Image.new("RGB", (200, 200), "grey").save(picture)
    done = subprocess.run(
        [sys.executable, "-m", "faceset", "--device", "cuda", "verify", str(picture), str(picture)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: device cuda:0 cannot be used: the installed onnxruntime")
    assert len(done.stderr.splitlines()) == 1


def test_the_option_is_checked_and_wins_over_the_variable(kept: pytest.MonkeyPatch) -> None:
    kept.setenv("FACESET_DEVICE", "cuda:5")
    assert CliRunner().invoke(app, ["--device", "cpu", "models", "list"]).exit_code == 0
    assert os.environ["FACESET_DEVICE"] == "cpu"
    refused = CliRunner().invoke(app, ["--device", "npu", "models", "list"])
    assert isinstance(refused.exception, InputError)
    assert str(refused.exception) == "--device='npu' is no device that models run on; use cpu, cuda or cuda:0"


def test_the_worker_of_the_service_runs_where_the_server_does(kept: pytest.MonkeyPatch) -> None:
    kept.setenv("FACESET_DEVICE", "cuda:1")
    kept.setenv("CUDA_VISIBLE_DEVICES", "2,3")  # without it the worker would count other GPUs
    known = environment()
    assert known["FACESET_DEVICE"] == "cuda:1"
    assert known["CUDA_VISIBLE_DEVICES"] == "2,3"


# --------------------------------------------------------------------------------------------------------- torch's


def test_the_cpu_is_always_there() -> None:
    assert devices.choose("cpu") == CPU
    assert devices.choose("cpu:0") == CPU
    assert devices.choose().type == ("cpu" if NO_GPU else "cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "nonsense"])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"device '{name}' is not known to torch; use cpu, cuda or cuda:0"):
        devices.choose(name)


@pytest.mark.parametrize("name", ["meta", "xla"])
def test_a_device_that_cannot_train_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"device '{name}' cannot train here"):
        devices.choose(name)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    why = r"\((this torch is built without CUDA|torch finds no NVIDIA GPU or driver)\)" if NO_GPU else "the GPUs are"
    with pytest.raises(InputError, match=f"device 'cuda:99' is not there.*{why}"):
        devices.choose("cuda:99")
    with pytest.raises(InputError, match="device 'cuda:99' is not there"), workers("cuda:99"):
        pass


def test_a_precision_is_named() -> None:
    assert devices.precision(CPU, "fp32") == "fp32"
    assert devices.precision(CPU, "bf16") == "bf16"
    assert devices.precision(CPU) in ("fp32", "bf16")
    assert devices.precision(torch.device("meta")) == "fp32"
    with pytest.raises(InputError, match="precision 'fp16' is not known; use auto, fp32, bf16"):
        devices.precision(CPU, "fp16")


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="reads /proc")
def test_auto_is_bf16_on_a_cpu_that_multiplies_it() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    assert (devices.precision(CPU) == "bf16") == ("avx512_bf16" in flags or "amx_bf16" in flags)


def test_bf16_rounds_the_products_and_nothing_else() -> None:
    """Each product to 8 bits: 1 + 2^-9 is 1 there, and stays itself in float32."""
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    x = torch.tensor([[1.0 + 2.0**-9]])
    with devices.autocast(CPU, "bf16"):
        rounded = layer(x)
    with devices.autocast(CPU, "fp32"):
        exact = layer(x)
    assert (rounded.dtype, float(rounded.detach())) == (torch.bfloat16, 1.0)
    assert (exact.dtype, float(exact.detach())) == (torch.float32, 1.0 + 2.0**-9)
    rounded.float().sum().backward()
    assert layer.weight.dtype == torch.float32
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_tf32_leaves_everything_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    with devices.tf32(CPU):
        assert torch.get_float32_matmul_precision() == before[0]
    with devices.tf32(torch.device("cuda")):  # settings alone: needs no GPU
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("high", True)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch's own
def test_compiling_is_left_alone_on_the_cpu() -> None:
    layer = nn.Linear(2, 2)
    assert devices.compiled(layer) is layer
    assert devices.compiled(layer, "off") is layer
    forced = devices.compiled(layer, "on")
    assert forced is not layer
    assert [p.data_ptr() for p in forced.parameters()] == [p.data_ptr() for p in layer.parameters()]
    with pytest.raises(InputError, match="compile 'max' is not known; use auto, on, off"):
        devices.compiled(layer, "max")


def test_channels_last_changes_the_layout_and_no_number() -> None:
    net = nn.Conv2d(3, 5, 3)
    x = torch.randn(2, 3, 6, 4)
    expected = net(x)
    assert devices.channels_last(net) is net
    laid = devices.channels_last(x)
    assert laid.stride() == (72, 1, 12, 3)
    assert torch.equal(laid, x)
    assert net.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(net(laid), expected, atol=1e-6)


# --------------------------------------------------------------------------------------------------- several processes


def test_each_process_has_its_own_gpu() -> None:
    assert _own_gpu(torch.device("cuda"), 1, 2) == torch.device("cuda:1")
    with pytest.raises(InputError, match="process 2 finds no GPU of its own, there are 2; start 2 processes"):
        _own_gpu(torch.device("cuda"), 2, 2)
    with pytest.raises(InputError, match="device cuda:0 is one GPU for several processes; leave the number out"):
        _own_gpu(torch.device("cuda:0"), 0, 2)


def test_one_process_alone_agrees_with_itself() -> None:
    alone, layer = Workers(0, 1, CPU), nn.Linear(1, 1)
    assert alone.wrap(layer, static=True) is layer
    assert alone.mean(2.5) == 2.5


PROGRAM = """
import sys, torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from faceset.training.distributed import workers

class Work(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.idle, self.frozen = nn.Linear(2, 2, bias=False), nn.Linear(2, 2), nn.Linear(2, 2)
        self.frozen.requires_grad_(False)
    def forward(self, x):
        return checkpoint(self.used, checkpoint(self.used, x, use_reentrant=False), use_reentrant=False).sum()

with workers("cpu") as team:
    assert team.mean(float(team.rank)) == 0.5, team.mean(float(team.rank))
    torch.manual_seed(0)
    work, twin = Work(), Work()
    twin.load_state_dict(work.state_dict())
    x = torch.arange(8.0).reshape(2, 2, 2)
    wrapped = team.wrap(work, static=True)
    for _ in range(3):
        work.zero_grad()
        wrapped(x[team.rank]).backward()
    ((twin(x[0]) + twin(x[1])) / 2).backward()
    assert torch.allclose(work.used.weight.grad, twin.used.weight.grad), work.used.weight.grad
    assert work.idle.weight.grad is None or not work.idle.weight.grad.any()
"""


def test_two_processes_average_gradients_through_checkpoints(tmp_path: Path) -> None:
    """The same module twice in a graph that is computed again in the backward pass, with an idle and a frozen part."""
    program = tmp_path / "work.py"
    program.write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
