"""The latest snapshot, for every reader at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from bmc_ext.domain.snapshot import Snapshot

_log = logging.getLogger(__name__)


class SnapshotStore:
    """Holds one immutable snapshot: readers take the whole of it, never parts of two."""

    def __init__(self) -> None:
        self._latest: Snapshot | None = None
        self._newer = threading.Condition()
        self._subscribers: tuple[Callable[[Snapshot], None], ...] = ()

    def latest(self) -> Snapshot | None:
        """The newest snapshot; None before the first."""
        return self._latest

    def wait_newer(self, window_id: int, timeout_s: float) -> Snapshot | None:
        """The latest snapshot as soon as it is not that of `window_id`; None when the time is up.

        After the clock was set back a lower window is the newer one.
        """
        with self._newer:
            arrived = self._newer.wait_for(lambda: self._is_other(window_id), timeout_s)
            return self._latest if arrived else None

    def subscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Call `callback` with every snapshot, in the publishing thread: it must return at once.

        A callback that raises is logged and dropped.
        """
        with self._newer:
            self._subscribers += (callback,)

    def unsubscribe(self, callback: Callable[[Snapshot], None]) -> None:
        """Stop calling it; unknown callbacks are ignored."""
        with self._newer:
            self._subscribers = tuple(known for known in self._subscribers if known != callback)

    def publish(self, snapshot: Snapshot) -> None:
        """Make it the latest, wake the waiting and tell the subscribers."""
        with self._newer:
            self._latest = snapshot
            subscribers = self._subscribers
            self._newer.notify_all()
        for callback in subscribers:
            try:
                callback(snapshot)
            except Exception:
                _log.exception("a subscriber of snapshots failed and is dropped")
                self.unsubscribe(callback)

    def _is_other(self, window_id: int) -> bool:
        return self._latest is not None and self._latest.window_id != window_id
