"""A connection that goes away while the engine reads, and how soon it reads again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers.check.bus_tap import BusTap, TcpTap
from drivers.check.observations import Pull
from drivers.engine import Engine
from drivers.reading import Quality

_OUTAGE_S = 0.5
# Somewhat longer than what is allowed, so that a late recovery is told from none.
_PATIENCE_S = 6.0
# An answer may still have been on its way when the cable was pulled.
_SURELY_NEW_S = 0.25

_KINDS = (
    ("the connection was closed", 0.0, False),
    (f"the cable was pulled for {_OUTAGE_S:g} s", _OUTAGE_S, True),
)


def pulls(
    engine: Engine,
    device_id: str,
    tap: BusTap,
    every_s: float,
    progress: Callable[[float], None],
    patience_s: float = _PATIENCE_S,
) -> Iterator[Pull]:
    """Take a device's connection away, in two ways; nothing when it was never read.

    `every_s` is the fastest poll: what the engine waits for it is not the device's time. After
    `patience_s` more a device is not waited for.
    """
    if not _State.of(engine, device_id).newest:
        return
    for number, (kind, outage_s, silently) in enumerate(_KINDS):
        progress(number / len(_KINDS))
        before = _State.of(engine, device_id)
        tap.pull(outage_s, silently=silently)
        time.sleep(outage_s)
        seconds = before.read_again(engine, device_id, every_s, patience_s)
        note = ""
        if seconds is None and isinstance(tap, TcpTap):
            tap.release()
            if before.read_again(engine, device_id, every_s, patience_s) is not None:
                note = "it held the dead connection and took no other until that was closed"
        yield Pull(kind, seconds, note)


@dataclass(frozen=True, slots=True)
class _State:
    """Before a pull: when anything was read last (Unix s), and which points were lost anyway."""

    newest: float
    lost: frozenset[str]

    @classmethod
    def of(cls, engine: Engine, device_id: str) -> _State:
        readings = engine.readings(device_id)
        times = (r.measured_at for r in readings.values() if r.measured_at is not None)
        lost = frozenset(n for n, r in readings.items() if r.quality is Quality.COMM_ERROR)
        return cls(max(times, default=0.0), lost)

    def read_again(
        self, engine: Engine, device_id: str, every_s: float, patience_s: float
    ) -> float | None:
        """Seconds until all was read anew, beyond the wait for a poll; None when too long."""
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < every_s + patience_s:
            now = _State.of(engine, device_id)
            if now.newest > self.newest + _SURELY_NEW_S and now.lost <= self.lost:
                return max(0.0, elapsed - every_s)
            time.sleep(0.01)
        return None
