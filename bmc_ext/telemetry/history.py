"""Seconds, minutes and energies of all feeds: gathered in memory, committed once a second."""

from __future__ import annotations

import logging
import sqlite3
import threading

from bmc_ext.clock import Clock, SystemClock
from bmc_ext.domain.energy import EnergyRegisters, newest_known
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.aggregates import WINDOWS_PER_SECOND, Aggregate, SecondBin
from bmc_ext.telemetry.history_database import Energy, HistoryDatabase
from bmc_ext.telemetry.record import WindowRecord

_log = logging.getLogger(__name__)

_LATE_S = 5  # a window this late still enters its second
_BACKLOG_S = 600  # kept in memory while the disk refuses writes
_COMMIT_OFFSET_S = 0.25  # after the second's end, so that its last windows are in
_NS_PER_S = 1_000_000_000


class History:
    """Aggregates and energies of all feeds (periodic state).

    A second's row appears after the second has ended, a minute's after the minute has. Gaps stay
    gaps. Raises StateError when the database is unusable; a disk that refuses writes later is
    logged and tried again.
    """

    def __init__(self, state: StateDirectory, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._database = HistoryDatabase(state)
        self._lock = threading.Lock()  # guards what add() touches; never held over I/O
        self._bins: dict[tuple[str, int], SecondBin] = {}
        self._energies = self._database.energies()
        self._commit_lock = threading.Lock()  # guards the database and what follows
        self._backlog: list[tuple[str, Aggregate]] = []
        self._pending_minutes = self._database.owed_minutes()
        self._pruned_minute = 0
        self._failing = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the writer thread."""
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is there, the running second included, and close."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.commit(everything=True)
        self._database.close()

    def add(self, feed_id: str, record: WindowRecord) -> None:
        """Take in one window of a feed; never waits for the disk."""
        key = (feed_id, record.window_id // WINDOWS_PER_SECOND)
        with self._lock:
            second = self._bins.get(key)
            if second is None or record.window_id <= second.last_window:
                # A window seen before means that the clock was set back: the second begins anew.
                second = self._bins[key] = SecondBin()
            second.add(record)
            known = self._energies.get(feed_id)
            import_j, export_j = record.energy_import_j, record.energy_export_j
            registers = record.registers
            if known is not None:
                import_j = known.import_j if import_j is None else import_j
                export_j = known.export_j if export_j is None else export_j
                registers = newest_known(known.registers, registers)
            self._energies[feed_id] = Energy(import_j, export_j, record.window_id, registers)

    def energies(self, feed_id: str) -> tuple[float | None, float | None]:
        """Running totals (import, export) of a feed in J; None where none was ever recorded."""
        with self._lock:
            known = self._energies.get(feed_id)
        return (None, None) if known is None else (known.import_j, known.export_j)

    def registers(self, feed_id: str) -> EnergyRegisters:
        """The other registers of a feed; unknown where none was ever recorded."""
        with self._lock:
            known = self._energies.get(feed_id)
        return EnergyRegisters() if known is None else known.registers

    def last_window(self, feed_id: str) -> int | None:
        """The feed's newest window, over restarts; None before the first."""
        with self._lock:
            known = self._energies.get(feed_id)
        return None if known is None else known.window_id

    def query(
        self, feed_id: str, resolution: str, start_s: float, end_s: float, limit: int
    ) -> list[Aggregate]:
        """The first `limit` aggregates of a feed with start_s <= start < end_s, oldest first.

        `resolution` is "1s" or "1min"; another one, or a limit below 1, is a ValueError. A feed
        that was never recorded has none. StateError when the database cannot be read.
        """
        return self._database.query(feed_id, resolution, start_s, end_s, limit)

    def commit(self, *, everything: bool = False) -> bool:
        """Write the seconds that have ended, or everything; False when the disk refused.

        What it refused is kept for 10 minutes and written with the next commit.
        """
        with self._commit_lock:
            now_s = self._clock.unix_ns() // _NS_PER_S
            seconds, energies = self._take(now_s, everything)
            self._backlog += seconds
            try:
                with self._database.transaction():
                    pending = self._write(energies, now_s)
            except sqlite3.Error as error:
                self._refused(error, now_s)
                return False
            if self._failing:
                _log.warning("the history is written again")
            self._failing = False
            self._backlog = []
            self._pending_minutes = pending
            self._pruned_minute = now_s // 60
            return True

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s()):
            self.commit()

    def _pause_s(self) -> float:
        """Until the next whole second and a little."""
        return 1.0 - (self._clock.unix_ns() / _NS_PER_S - _COMMIT_OFFSET_S) % 1.0

    def _take(
        self, now_s: int, everything: bool
    ) -> tuple[list[tuple[str, Aggregate]], dict[str, Energy]]:
        """Ended seconds with something new, and the energies of the same moment."""
        taken = []
        with self._lock:
            for (feed_id, second), held in list(self._bins.items()):
                # A second further ahead is left from before the clock was set back.
                if not everything and now_s <= second <= now_s + 1:
                    continue
                aggregate = held.aggregate(second) if held.dirty else None
                if aggregate is not None:
                    taken.append((feed_id, aggregate))
                held.dirty = False
                if not now_s - _LATE_S <= second <= now_s + 1:
                    del self._bins[feed_id, second]
            return taken, dict(self._energies)

    def _write(self, energies: dict[str, Energy], now_s: int) -> set[int]:
        """Everything that one commit holds; returns the minutes that are still owed."""
        self._database.write_seconds(self._backlog)
        self._database.write_energies(energies)
        pending = self._pending_minutes | {second.start_s // 60 * 60 for _, second in self._backlog}
        ended = {minute for minute in pending if not minute <= now_s < minute + 60 + _LATE_S}
        for minute in sorted(ended):
            self._database.write_minute(minute)
        if now_s // 60 != self._pruned_minute:
            self._database.prune(now_s)
        return pending - ended

    def _refused(self, error: sqlite3.Error, now_s: int) -> None:
        if not self._failing:
            _log.error("the history is not written, but kept for %d s: %s", _BACKLOG_S, error)
        self._failing = True
        self._backlog = [
            (feed_id, second)
            for feed_id, second in self._backlog
            if abs(now_s - second.start_s) <= _BACKLOG_S
        ]
