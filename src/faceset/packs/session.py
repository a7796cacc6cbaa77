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
from faceset.errors import ModelFileError

_CREATION = threading.Lock()
"""Running a session is thread-safe; creating two at once is not promised to be."""


def open_session(path_or_bytes: Path | str | bytes, *, what: str, threads: int | None = None) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU.

    Memory patterns are off: one is kept for every input shape, so that batches and pictures of varying size would make
    the process grow without end (measured; the arena by itself stays flat). Spinning is off: the idle threads of one
    session would burn the cores that another session, or the decoder, needs.

    Args:
        path_or_bytes: an ONNX file, or its bytes.
        what: what the model is, for error messages, such as ``"embedder dlib-resnet"``.
        threads: that one run may use; None: as the settings say. The last bits of a result depend on it.

    Raises:
        ModelFileError: the file is missing, or is no ONNX model that this ONNX Runtime can run.
    """
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
    try:
        with _CREATION:
            return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # ONNX Runtime raises a dozen unrelated types
        raise ModelFileError(
            f"{name} is no ONNX model that onnxruntime {ort.__version__} can run ({_first_line(e)}); "
            "it is damaged, or needs a newer onnxruntime: fetch it again or upgrade"
        ) from e


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
