"""When this service began, on which port it answers, and whether it is to begin anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from bmc_ext.clock import Clock

_ANSWER_S: Final = 0.3  # a forced restart waits so long for the answer that announces it


class Lifecycle:
    """The life of one Service; all methods may be called from any thread.

    `port` is the TCP port that it really listens on, None before it does. `began_s` is Unix time.
    """

    def __init__(self, clock: Clock) -> None:
        self.began_s = clock.unix_ns() / 1e9
        self.port: int | None = None
        self.restarting = False
        self._end: Callable[[bool], None] | None = None
        self._ending = False

    def serve_until(self, end: Callable[[bool], None]) -> None:
        """Name who ends serving; it is told whether open connections are cut off at once."""
        self._end = end
        if self._ending:
            end(False)

    def end(self) -> None:
        """End serving soon, or as soon as it begins; nothing begins anew."""
        self._ending = True
        if self._end is not None:
            self._end(False)

    def restart(self, *, forced: bool) -> bool:
        """End serving soon and begin anew with what is on disk; False where nothing is served."""
        if self._end is None or self._ending:
            return False
        self.restarting = True
        if forced:
            timer = threading.Timer(_ANSWER_S, self._end, (True,))
            timer.daemon = True
            timer.start()
        else:
            self._end(False)
        return True
