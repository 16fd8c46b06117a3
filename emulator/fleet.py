"""Many mock BMCs in one process: a thread each, and one end for all."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from emulator.mock_bmc import MockBmc


class Fleet:
    """Serves BMCs until SIGINT or SIGTERM, or until one of them fails; used in the main thread."""

    def __init__(self) -> None:
        # Its put may interrupt itself: a signal may come at any time.
        self._over: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._serving: list[tuple[MockBmc, threading.Thread]] = []

    def serve(self, bmcs: Iterable[MockBmc], on_ready: Callable[[int, MockBmc, int], None]) -> None:
        """Serve each as soon as it is made; raises what ends one of them before its time.

        `on_ready` is told number (from 1), BMC and port of each when it begins, in its thread.
        """
        with self._ended_by_signals():
            try:
                for number, bmc in enumerate(bmcs, 1):
                    self._begin(number, bmc, on_ready)
                    if not self._over.empty():
                        break
                failure = self._over.get()
            finally:
                self._end_all()
        if failure is not None:
            raise failure

    def _begin(
        self, number: int, bmc: MockBmc, on_ready: Callable[[int, MockBmc, int], None]
    ) -> None:
        def run() -> None:
            try:
                bmc.serve(lambda _, port: on_ready(number, bmc, port))
            except BaseException as error:
                self._over.put(error)

        thread = threading.Thread(target=run, name=f"bmc {number}")
        self._serving.append((bmc, thread))
        thread.start()

    def _end_all(self) -> None:
        for bmc, _ in self._serving:
            bmc.end()
        for _, thread in self._serving:
            thread.join()

    @contextlib.contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        def end(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._over.put(None)

        known = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in known.items():
                signal.signal(number, handler)
