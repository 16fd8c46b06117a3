"""`/livez` and `/readyz`: what the probes of containers and orchestrators ask, without a login.

Live is a service whose event loop answers: one that does not is to be started again. Ready is one
whose windows flow with a measured feed in them: a start waits for it. A meter that is dead is
no reason to start a service again, so it never makes one that is not live.
"""

from __future__ import annotations

from typing import Final

import orjson

from bmc_ext.clock import Clock
from bmc_ext.serving.bridge import Answer, encoded
from bmc_ext.telemetry.snapshot import SnapshotStore

LIVE: Final = "/livez"
READY: Final = "/readyz"

_FLOWING_S = 2.0  # twenty windows
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Health:
    """Answers probes from memory; used in the event loop."""

    def __init__(self, snapshots: SnapshotStore, clock: Clock) -> None:
        self._snapshots = snapshots
        self._clock = clock

    def answer(self, method: str, path: str) -> Answer | None:
        """200, or 503 with the reason; None for any other request."""
        if method not in ("GET", "HEAD") or path not in (LIVE, READY):
            return None
        if path == LIVE:
            return _answer(200, {"status": "live"})
        reason = self._why_not_ready()
        if reason is None:
            return _answer(200, {"status": "ready"})
        return _answer(503, {"status": "not ready", "reason": reason})

    def _why_not_ready(self) -> str | None:
        snapshot = self._snapshots.latest()
        if snapshot is None:
            return "no window yet"
        ago_s = self._clock.unix_ns() / 1e9 - snapshot.start_s
        if abs(ago_s) > _FLOWING_S:
            return f"the newest window began {ago_s:.1f} s ago"
        if snapshot.feeds and all(feed.p_w is None for feed in snapshot.feeds):
            return "no feed is measured"
        return None


def _answer(status: int, body: dict[str, str]) -> Answer:
    headers = {**_HEADERS, "Retry-After": "1"} if status == 503 else _HEADERS
    return status, encoded(headers.items()), orjson.dumps(body)
