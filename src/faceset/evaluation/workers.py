"""Threads over blocks of fixed size, with BLAS held to one thread, so that no result depends on the number of threads.

A product of matrices may differ in its last bit with the number of threads that BLAS takes and with the shapes it is
given. Here the shapes depend on the data alone, each block is worked by one thread, and blocks are put together in
their order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from faceset import settings
from faceset.errors import MissingExtraError

A = TypeVar("A")
B = TypeVar("B")


class Workers:
    """A pool of threads; make it with :func:`workers`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def map(self, call: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
        """The results in the order of the items; the first error ends it."""
        return self._pool.map(call, items)


@contextmanager
def workers() -> Iterator[Workers]:
    """As many threads as ``FACESET_THREADS`` says, else one a core.

    Raises:
        MissingExtraError: threadpoolctl is not installed.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"evaluation needs threadpoolctl ({error}); install the extra that brings it: "
            "pip install 'faceset[evaluate]'"
        ) from error
    with (
        threadpool_limits(limits=1, user_api="blas"),
        ThreadPoolExecutor(settings.threads() or os.cpu_count() or 1) as pool,
    ):
        yield Workers(pool)
