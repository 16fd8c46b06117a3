"""Who came in, who was turned away, and who may not: in the audit log (DCPI 5.2.6)."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bmc_ext.clock import Clock
from bmc_ext.errors import StateError
from bmc_ext.security.audit import AuditLog

_LOG = logging.getLogger(__name__)

BURST = 60
"""Refusals that are written one by one before the rest is only counted."""

_REFILL_S = 1.0  # one more each second: 86400 entries of 300 bytes a day at worst
_QUOTED_CHARACTERS = 64


class AccessAudit:
    """Entries on access, beside those on commands; every method may be called from any thread.

    Anyone on the network can cause refusals, as many as they like: those are written behind the
    request, by one thread, at a bounded rate, and an entry says how many were left out before it.
    """

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._room = float(BURST)
        self._refilled_s = clock.monotonic_s()
        self._left_out = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="access-audit")

    def granted(self, event: str, **fields: str) -> None:
        """Write an entry before the request goes on; a disk that refuses it is logged."""
        self._append(event, _quoted(fields))

    def refused(self, event: str, **fields: str) -> None:
        """Write an entry soon, or count it; never waits."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            self._room = min(BURST, self._room + (now_s - self._refilled_s) / _REFILL_S)
            self._refilled_s = now_s
            if self._room < 1:
                self._left_out += 1
                return
            self._room -= 1
            left_out, self._left_out = self._left_out, 0
        self._writer.submit(self._append, event, {**_quoted(fields), "left_out_before": left_out})

    def close(self) -> None:
        """Write what waits, and how many refusals were left out at the end."""
        self._writer.shutdown()
        if self._left_out:
            self._append("access.refusals_left_out", {"left_out_before": self._left_out})

    def _append(self, event: str, fields: dict[str, Any]) -> None:
        try:
            self._log.append(event, **fields)
        except StateError:
            # A full disk must not lock out whoever comes to make room.
            _LOG.exception("%s is missing in the audit log: %s", event, fields)


def _quoted(fields: dict[str, str]) -> dict[str, str]:
    """Fields that the client chose, cut to a length and without half surrogate pairs."""
    return {
        name: value[:_QUOTED_CHARACTERS].encode("utf-8", "replace").decode()
        for name, value in fields.items()
    }
