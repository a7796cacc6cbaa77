"""Work in threads, results in the order of the items, a bounded number ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Generator[Result, None, None]:
    """``work(item)`` for every item, in order.

    Closing the iterator, or any exception, drops what has not begun and waits for what has.

    Args:
        work: called in the threads; what it raises reaches the consumer in its turn.
        items: taken one by one, in the consumer's thread.
        workers: threads.
        ahead: most results begun and not yet taken.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="faces")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
