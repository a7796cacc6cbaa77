"""ONNX Runtime on an NVIDIA GPU: its provider, and why there is none.

ONNX Runtime itself goes on with the CPU when the GPU cannot be used, and says so only on standard error.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime as ort

PROVIDER = "CUDAExecutionProvider"
_DRIVER = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")
_LIBRARY = {"win32": "onnxruntime_providers_cuda.dll"}.get(sys.platform, "libonnxruntime_providers_cuda.so")


def provider(index: int) -> tuple[str, dict[str, str]]:
    """Name and options of the provider for GPU number ``index``.

    Products are exact float32 (no TF32), so that a face gives the features it gives on the CPU but for the last digits.
    The convolution algorithm is looked up, not searched by trial for every new shape: pictures come in all sizes. The
    arena grows by what is asked for, not by powers of two.
    """
    return PROVIDER, {
        "device_id": str(index),
        "use_tf32": "0",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    }


def missing_build() -> str:
    """Why the installed ONNX Runtime can use no NVIDIA GPU at all, and the cure; empty when it could."""
    if PROVIDER in ort.get_available_providers():
        return ""
    return (
        f"the installed onnxruntime {ort.__version__} is built for the CPU alone; install the build for CUDA in its "
        "place: pip uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'"
    )


@functools.cache
def load_libraries() -> None:
    """Load CUDA and cuDNN from the packages that pip installed, where the system has none; once in a process."""
    if hasattr(ort, "preload_dlls"):  # from 1.21 on
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
            ort.preload_dlls()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep ONNX Runtime from printing that it goes on with the CPU: that becomes an error."""
    ort.set_default_logger_severity(4)
    try:
        yield
    finally:
        ort.set_default_logger_severity(2)  # its default; what it was cannot be asked


def why_not(error: Exception | None) -> str:
    """Why a session did not come up on the GPU, and the cure, to be asked after it was tried.

    Args:
        error: what ONNX Runtime raised; None when it went on with the CPU.
    """
    if error is not None:
        return f"{str(error).strip().splitlines()[0][:300]}; see what `nvidia-smi` shows, or use the CPU"
    if (found := _missing(_DRIVER)) is not None:
        return f"there is no NVIDIA driver ({found}); install it, or use the CPU"
    if (found := _missing(Path(ort.__file__).parent / "capi" / _LIBRARY)) is not None:
        return (
            f"ONNX Runtime cannot load its CUDA part ({found}); install CUDA and cuDNN of the version it wants: "
            "pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    return "ONNX Runtime does not say why; see what `nvidia-smi` shows, or use the CPU"


def _missing(library: Path | str) -> str | None:
    """Why a shared library does not load; None when it does."""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return None


def on_gpu(session: Any) -> bool:
    """Whether the session runs on the GPU; single nodes, such as of shapes, may still run on the CPU."""
    return PROVIDER in session.get_providers()
