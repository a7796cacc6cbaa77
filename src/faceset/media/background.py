"""Run an iterator in a thread of its own, a bounded number of items ahead."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.2  # a wait without a limit cannot be interrupted by Ctrl-C on Windows


class _End:
    """Put last into the queue, with the exception that ended the work, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class ConsumerLeftError(Exception):
    """Raised in the working thread to leave work that nobody waits for any more; it never reaches anybody."""


class BoundedQueue(queue.Queue[T | _End]):
    """A queue bounded by a number of items that may be set once the size of an item is known."""

    def __init__(self, items: int) -> None:
        super().__init__(max(1, items))
        self.stop = threading.Event()

    def check_wanted(self) -> None:
        """To be called now and then between two items: raises :class:`ConsumerLeftError` when no more are wanted."""
        if self.stop.is_set():
            raise ConsumerLeftError

    def limit_to(self, items: int) -> None:
        """Let at most ``items`` (>= 1) wait from now on."""
        with self.mutex:
            self.maxsize = max(1, items)
            self.not_full.notify_all()


def ahead(
    produce: Callable[[BoundedQueue[T]], Iterator[T]], *, items: int, name: str, patience: float | None = None
) -> Generator[T, None, None]:
    """Yield what ``produce`` yields, while a thread works up to ``items`` ahead.

    Args:
        produce: makes the iterator; called in the thread with the queue, whose bound it may change and whose
            ``check_wanted`` it calls where items are far apart. It is closed in that thread, so what it opened is
            closed there too.
        items: how many finished items may wait.
        name: name of the thread.
        patience: how many seconds to wait for the thread when the consumer stops early; None = until it has ended. A
            thread that waits for a network ends by its own time limit.

    An exception in the thread is raised to the consumer. A full queue blocks the thread; nothing is dropped.
    """
    pipe: BoundedQueue[T] = BoundedQueue(items)

    def work() -> None:
        end = _End()
        try:
            with contextlib.ExitStack() as closing:
                made = produce(pipe)
                if isinstance(made, Generator):
                    closing.callback(made.close)
                for item in made:
                    if not _put(pipe, item):
                        return
        except BaseException as error:  # whatever it is, it belongs to the consumer
            end = _End(error)
        _put(pipe, end)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while True:
            item = _get(pipe)
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
            del item  # otherwise one more picture is held while the next is awaited
    finally:
        pipe.stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                pipe.get_nowait()
        thread.join(patience)


def _put(pipe: BoundedQueue[T], item: T | _End) -> bool:
    while not pipe.stop.is_set():
        with contextlib.suppress(queue.Full):
            pipe.put(item, timeout=_POLL_SECONDS)
            return True
    return False


def _get(pipe: BoundedQueue[T]) -> T | _End:
    while True:
        with contextlib.suppress(queue.Empty):
            return pipe.get(timeout=_POLL_SECONDS)
