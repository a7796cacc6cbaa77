"""ONNX Runtime sessions, all made in one place with the same settings."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

# ONNX Runtime reports usage over the network from 1.32 on, and writes a device id into the user's cache, unless it is
# told not to before it is loaded. A library that handles faces does neither; whoever wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from faceset import settings
from faceset.errors import InputError, ModelFileError
from faceset.packs import cuda

_CREATION = threading.Lock()
"""Running a session is thread-safe; creating two at once is not promised to be."""


def open_session(
    path_or_bytes: Path | str | bytes, *, what: str, threads: int | None = None, device: str | None = None
) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU, or on the GPU and never secretly on the CPU instead.

    Memory patterns are off: one is kept for every input shape, so that batches and pictures of varying size would make
    the process grow without end (measured; the arena by itself stays flat). Spinning is off: the idle threads of one
    session would burn the cores that another session, or the decoder, needs.

    Args:
        path_or_bytes: an ONNX file, or its bytes.
        what: what the model is, for error messages, such as ``"embedder dlib-resnet"``.
        threads: that one run may use on the CPU; None: as the settings say. The last bits of a result depend on it.
        device: ``cpu``, ``cuda`` or ``cuda:1``; None: as FACESET_DEVICE says.

    Raises:
        InputError: the device is not known, or ONNX Runtime cannot use it; the message says why.
        ModelFileError: the file is missing, or is no ONNX model that this ONNX Runtime can run.
    """
    place = settings.device() if device is None else settings.device_named(device, "device")
    if place != "cpu" and (why := cuda.missing_build()):
        raise InputError(f"device {place} cannot be used: {why}")
    source: str | bytes
    if isinstance(path_or_bytes, bytes):
        source, name = path_or_bytes, f"{what} (in memory)"
    else:
        path = Path(path_or_bytes)
        source, name = str(path), f"{what} ({path})"
        if not path.is_file():
            raise ModelFileError(f"{name} does not exist; import or pull the model again (see `faceset models list`)")
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only: the library must not print by itself
    options.intra_op_num_threads = settings.threads() if threads is None else threads
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if place != "cpu":
        return _on_gpu(source, options, place, name)
    return _on_cpu(source, options, name)


def _on_cpu(source: str | bytes, options: Any, name: str) -> Any:
    try:
        with _CREATION:
            return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # ONNX Runtime raises a dozen unrelated types
        raise ModelFileError(
            f"{name} is no ONNX model that onnxruntime {ort.__version__} can run ({_first_line(e)}); "
            "it is damaged, or needs a newer onnxruntime: fetch it again or upgrade"
        ) from e


def _on_gpu(source: str | bytes, options: Any, place: str, name: str) -> Any:
    index, error, session = int(place.partition(":")[2]), None, None
    with _CREATION, cuda.quiet():
        cuda.load_libraries()
        try:
            session = ort.InferenceSession(source, options, providers=[cuda.provider(index)], enable_fallback=0)
            session.disable_fallback()  # a run that fails must not be repeated on the CPU from then on
        except Exception as e:
            error = e
    if session is None:
        _on_cpu(source, options, name)  # a file that cannot be run anywhere says so here
    elif cuda.on_gpu(session):
        return session
    raise InputError(f"{name} cannot run on {place}: {cuda.why_not(error)}") from error


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
