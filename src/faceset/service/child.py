"""One run of the worker process, seen from the server."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from faceset import settings
from faceset.service import wire
from faceset.service.packing import unpack_error
from faceset.service.wire import Message, WireError

_KEPT = ("LC_", "LD_", "DYLD_", "PYTHON", "OMP_", "OPENBLAS_", "XDG_", "ORT_", "CUDA_", "NVIDIA_")
_KEPT_NAMES = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA"}
)
_SETTINGS = frozenset(settings.VARIABLES) - settings.SECRETS


class WorkerDiedError(Exception):
    """The process ended, or had to be ended, before it answered; the message says how."""


class WorkerGoneError(WorkerDiedError):
    """It had ended before it was asked."""


class WorkerSlowError(WorkerDiedError):
    """It was ended because the answer did not come in time."""


class Child:
    """Started at once; answers one request at a time. Never used again after the first :class:`WorkerDiedError`.

    Args:
        begin: the first message, which says what to load.
        folder: working folder of the process.
        seconds: how long loading may take.
        ended: called once, from another thread, when the process has ended.

    Raises:
        WorkerDiedError: it did not start.
        FacesetError: it could not load what it was told to.
    """

    def __init__(self, begin: Message, folder: Path, seconds: float, ended: Callable[[Child], None]) -> None:
        self._process = subprocess.Popen(
            # -P: nothing is imported from the working folder, where uploads lie.
            [sys.executable, "-P", "-m", "faceset.service.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env=environment(),
        )
        self._in = cast(BinaryIO, self._process.stdin)
        self._out = cast(BinaryIO, self._process.stdout)
        self._answers: queue.SimpleQueue[tuple[Message, bytes] | str] = queue.SimpleQueue()
        self._ended = ended
        self.alive = True
        self._reader = threading.Thread(target=self._read, name="faceset-worker-answers", daemon=True)
        self._reader.start()
        self.about, _ = self.ask(begin, seconds)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def ask(self, request: Message, seconds: float) -> tuple[Message, bytes]:
        """The content of the answer to one request, and its raw bytes.

        Raises:
            FacesetError: the worker reports one.
            WorkerGoneError: the process has ended already.
            WorkerSlowError: no answer came within ``seconds``; the process was ended.
            WorkerDiedError: the process ended, or answered nonsense and was ended.
        """
        try:
            wire.send(self._in, request)
        except (OSError, ValueError) as error:  # ValueError: closed by the other thread
            raise WorkerGoneError(str(error)) from error
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            self.kill()
            raise WorkerSlowError(f"no answer within {seconds:g} s") from None
        if isinstance(answer, str):
            raise WorkerDiedError(answer)
        message, raw = answer
        try:
            if "error" in message:
                raise unpack_error(wire.members(message, ["error"])["error"])
            content = wire.members(message, ["ok"])["ok"]
            if not isinstance(content, dict):
                raise WireError("an answer must hold an object")
        except WireError as error:
            self.kill()
            raise WorkerDiedError(str(error)) from error
        return content, raw

    def kill(self) -> None:
        """End the process now."""
        self._process.kill()

    def close(self) -> None:
        """Tell the process to end, wait a little, and see to it."""
        with contextlib.suppress(OSError, ValueError):
            self._in.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(10)

    def _read(self) -> None:
        """In a thread: collect answers until the process has ended, then say how."""
        how = ""
        try:
            while (received := wire.receive(self._out)) is not None:
                self._answers.put(received)
        except WireError as error:
            how = str(error)
            self.kill()
        deadline = time.monotonic() + 5
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._process.poll() is None:  # it closed its output and lives on
            self.kill()
        code = self._process.wait()
        self.alive = False
        self._out.close()
        with contextlib.suppress(OSError, ValueError):
            self._in.close()
        self._answers.put(how or _how(code))
        self._ended(self)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def environment() -> dict[str, str]:
    """What the worker may know of the server's environment: nothing secret, nothing of no use to it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _SETTINGS or name.upper() in _KEPT_NAMES or name.startswith(_KEPT)
    }
