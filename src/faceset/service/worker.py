"""The worker process: decodes media and runs the models, for the server that started it and nobody else.

``python -P -m faceset.service.worker`` reads requests from standard input and answers on standard output, in the
frames of :mod:`faceset.service.wire`, one after the other. Media are read batch by batch when the server asks for the
next one, so that several can be read by turns and each can be left at any time. It ends when its input ends.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from faceset.errors import FacesetError, MediaError, MediaLimitError
from faceset.media import Limits, Media, open_media
from faceset.pipeline import Pipeline, Step
from faceset.service import confine, wire
from faceset.service.packing import pack_error, pack_progress, pack_sets
from faceset.service.thumbnails import ThumbnailPipeline, allowed, thinned, thumbnails_of
from faceset.service.wire import Message
from faceset.types import FaceSet, Frame

_FRAMES = 4
"""Frames of a batch: what a short request may have to wait for, and what is still read after a cancel."""
_ENOUGH = 32 << 20  # bytes of face sets after which the rest waits for the next answer


@dataclass
class _Stream:
    """A medium that is being read."""

    medium: Media
    steps: Iterator[Step]
    waiting: deque[FaceSet] = field(default_factory=deque)
    thumbnails: int = 0

    def thinned(self, one: FaceSet) -> FaceSet:
        """A face set with as many thumbnails as are left for it."""
        thin = thinned(one, allowed(self.thumbnails))
        self.thumbnails += thumbnails_of(thin)
        return thin


class Worker:
    """Answers requests; :meth:`answer` takes and gives what goes over the wire.

    Args:
        pipeline: the models.
        limits: what media may be.
        keep_crops: hand over every face's crop as it is, not a few thumbnails.
    """

    def __init__(self, pipeline: Pipeline, limits: Limits, *, keep_crops: bool) -> None:
        self.pipeline, self.limits, self.keep_crops = pipeline, limits, keep_crops
        self._streams: dict[int, _Stream] = {}
        self._made = 0

    def answer(self, request: Message) -> tuple[Message, bytes | bytearray]:
        """The answer to one request: ``{"ok": ...}`` or ``{"error": ...}``, and raw bytes."""
        name = str(request.get("name", ""))
        try:
            match request["do"]:
                case "ping":
                    return {"ok": {}}, b""
                case "open":
                    medium = self._open(request)
                    return {"ok": {"kind": medium.kind, "duration": medium.duration}}, b""
                case "start":
                    return {"ok": {"stream": self._start(request)}}, b""
                case "step":
                    return self._step(int(request["stream"]))
                case "close":
                    self._close(int(request["stream"]))
                    return {"ok": {}}, b""
                case other:
                    raise ValueError(f"unknown request {other!r}")
        except FacesetError as error:
            found = error
        except MemoryError:
            found = MediaLimitError(
                f"{name}: takes more than {confine.WORKING_BYTES >> 30} GiB of memory to read; scale it down"
            )
        except Exception as error:  # a library that trips over a file must not end the others' work
            traceback.print_exc()
            found = MediaError(f"{name}: the decoder failed on it ({type(error).__name__}); convert it to JPEG or MP4")
        if request.get("do") == "step":
            self._close(int(request["stream"]))
        return {"error": pack_error(found)}, b""

    def _open(self, request: Message) -> Media:
        medium = open_media(Path(request["path"]), name=request["name"], limits=self.limits)
        medium.__dict__["digest"] = ""  # the server knows it; a large file is not read twice for it
        return medium

    def _start(self, request: Message) -> int:
        medium = self._open(request)
        self._made += 1
        steps = self.pipeline.steps(medium, fps=request["fps"], most=_FRAMES)
        self._streams[self._made] = _Stream(medium, iter(steps))
        return self._made

    def _step(self, number: int) -> tuple[Message, bytearray]:
        stream = self._streams[number]
        progress, end = None, False
        if not stream.waiting:
            try:
                step = next(stream.steps)
            except StopIteration:
                end = True
            else:
                progress = step.progress
                stream.waiting += step.ended if self.keep_crops else map(stream.thinned, step.ended)
        heads: list[Message] = []
        raw = bytearray()
        while stream.waiting and len(raw) < _ENOUGH:
            more, data = pack_sets([stream.waiting.popleft()])
            heads += more
            raw += data
        report = stream.medium.report.to_dict()
        report["notes"] = [note[:4000] for note in report["notes"][:100]]
        if end:
            self._close(number)
        return {"ok": {"sets": heads, "progress": pack_progress(progress), "report": report, "end": end}}, raw

    def _close(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            close = getattr(stream.steps, "close", None)
            if close is not None:
                close()


def build(begin: Message) -> Worker:
    """The worker that the server's first message describes.

    Raises:
        FacesetError: a model cannot be loaded, or a name is unknown.
    """
    keep_crops = bool(begin["keep_crops"])
    kind = Pipeline if keep_crops else ThumbnailPipeline
    pipeline = kind.build(begin["detector"], begin["embedder"], keep_crops=True)
    pipeline.faces([Frame(np.zeros((256, 256, 3), np.uint8))])  # what is loaded at first use is loaded now
    return Worker(pipeline, Limits(max_seconds=begin["max_seconds"]), keep_crops=keep_crops)


def serve(reading: BinaryIO, writing: BinaryIO) -> None:
    """Answer until the input ends."""
    first = wire.receive(reading)
    if first is None:
        return
    try:
        worker = build(first[0])
    except FacesetError as error:
        wire.send(writing, {"error": pack_error(error)})
        return
    confine.late()
    about: dict[str, Any] = {
        "manifest": worker.pipeline.embedder.manifest.to_dict(),
        "detector": worker.pipeline.detector.name,
        "min_face": worker.pipeline.min_face,
    }
    wire.send(writing, {"ok": about})
    requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(reading, requests), daemon=True).start()
    while True:
        message, raw = worker.answer(requests.get())
        wire.send(writing, message, raw)


def _listen(reading: BinaryIO, requests: queue.SimpleQueue[Message]) -> None:
    """Pass requests on; leave at once when the server is gone, whatever is being read at that moment."""
    try:
        while (received := wire.receive(reading)) is not None:
            requests.put(received[0])
    finally:
        os._exit(0)


def main() -> None:
    """Take over the standard streams, so that nothing a library prints gets between the frames."""
    confine.early()
    reading = os.fdopen(os.dup(0), "rb")
    writing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    serve(reading, writing)


if __name__ == "__main__":
    main()
