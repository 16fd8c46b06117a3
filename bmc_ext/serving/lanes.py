"""Threads for what would block the event loop: a bounded queue for each kind of work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class LaneFullError(Exception):
    """More work is waiting than can be done in time; never leaves this package."""


class Lane:
    """`threads` workers and at most `waiting` calls before them; used from the event loop only."""

    def __init__(self, name: str, *, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = threads + waiting

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """What `work` answers; LaneFullError at once where the queue is full."""
        if self._room == 0:
            raise LaneFullError
        self._room -= 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        # When the work is done, not when its client has left: the thread is busy until then.
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def _leave(self, future: asyncio.Future[Any]) -> None:
        self._room += 1
        if not future.cancelled():
            future.exception()  # seen, also where nobody waits for the answer any more

    def close(self) -> None:
        """Wait for the running calls and end the threads."""
        self._executor.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
