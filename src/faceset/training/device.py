"""Where and in which arithmetic training computes: device, precision, layout, compilation.

bf16 keeps float32's exponent, so that gradients need no scaling (Micikevicius et al. 2018, section 3.2, scale them for
the sake of fp16). Parameters, gradients and the optimiser's state stay float32; only the products round.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeVar, cast

import torch
from torch import Tensor, nn

from faceset.errors import InputError
from faceset.training.config import COMPILE, PRECISIONS

_T = TypeVar("_T", nn.Module, Tensor)


def choose(device: str = "") -> torch.device:
    """The device of that name; empty: a GPU when there is one, else the CPU.

    Raises:
        InputError: the name is not known, or the device is not there.
    """
    if not device:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device {device!r} is not known to torch; use cpu, cuda or cuda:0") from error
    if found.type == "cpu":
        return torch.device("cpu")
    if found.type == "mps" and torch.backends.mps.is_available():
        return found
    if found.type != "cuda":
        raise InputError(f"device {device!r} cannot train here; use cpu, cuda or cuda:0")
    if not torch.cuda.is_available():
        why = (
            "this torch is built without CUDA" if torch.version.cuda is None else "torch finds no NVIDIA GPU or driver"
        )
        raise InputError(f"device {device!r} is not there ({why}); leave --device out to train on the CPU")
    count = torch.cuda.device_count()
    if found.index is not None and found.index >= count:
        raise InputError(f"device {device!r} is not there; the GPUs are cuda:0 to cuda:{count - 1}")
    return found


def precision(device: torch.device, wanted: str = "auto") -> Literal["fp32", "bf16"]:
    """The arithmetic that ``wanted``, one of ``PRECISIONS``, means on a device.

    ``auto`` is bf16 where the hardware multiplies it: CUDA from compute capability 8.0 on, CPUs with AVX512-BF16 or
    AMX. Elsewhere it is emulated and slower than float32.

    Raises:
        InputError: another word.
    """
    if wanted not in PRECISIONS:
        raise InputError(f"precision {wanted!r} is not known; use {', '.join(PRECISIONS)}")
    if wanted == "auto":
        return "bf16" if _multiplies_bf16(device) else "fp32"
    return "bf16" if wanted == "bf16" else "fp32"


def autocast(device: torch.device, wanted: str = "auto") -> AbstractContextManager[None]:
    """A context in which matrix products and convolutions run in :func:`precision`; for the forward pass only.

    Features that come out of it may be bf16: norms and losses are taken of their float32.

    Raises:
        InputError: ``wanted`` is none of ``PRECISIONS``.
    """
    bf16 = precision(device, wanted) == "bf16"
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


@contextmanager
def tf32(device: torch.device) -> Iterator[None]:
    """Let float32 products on CUDA round their factors to TF32 (10 bits of mantissa) inside; elsewhere nothing changes.

    For training only: a feature measured under it differs in the fourth digit.
    """
    if device.type != "cuda":
        yield
        return
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def compiled(module: nn.Module, mode: str = "auto") -> nn.Module:
    """The module run through ``torch.compile``, which shares its parameters.

    ``auto`` compiles on CUDA where Triton is installed, never on the CPU. The names in the result's ``state_dict``
    differ; save, validate and export the module that was given.

    Args:
        module: on its device already.
        mode: one of ``COMPILE``.

    Raises:
        InputError: another mode.
    """
    if mode not in COMPILE:
        raise InputError(f"compile {mode!r} is not known; use {', '.join(COMPILE)}")
    if mode == "off" or (mode == "auto" and not _compiles(module)):
        return module
    return cast(nn.Module, torch.compile(module))


def channels_last(value: _T) -> _T:
    """A module (changed in place) or pictures (n, C, H, W), laid out as convolutions like it: channels innermost."""
    moved: _T = cast(Any, value).to(memory_format=torch.channels_last)  # torch's types know it of tensors only
    return moved


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):  # from torch 2.10 on
        has = torch.cpu.get_capabilities()
        return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    return any(
        bool(getattr(torch.cpu, name, bool)()) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )


def _compiles(module: nn.Module) -> bool:
    import importlib.util

    first = next(module.parameters(), None)
    return first is not None and first.is_cuda and importlib.util.find_spec("triton") is not None
