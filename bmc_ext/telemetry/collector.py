"""Brings windows and readings together: one snapshot per 100 ms window, ring and history behind."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bmc_ext.clock import WINDOW_NS, Clock, SystemClock
from bmc_ext.domain.energy import EnergyCounter, EnergyRegisters
from bmc_ext.domain.power import FeedValues, total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.sampling.sampler import Window
from bmc_ext.settings import Config, FeedConfig, SourceConfig
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.cycle_feed import CycleFeed
from bmc_ext.telemetry.engine_port import EngineLike
from bmc_ext.telemetry.heat_register import HeatRegister
from bmc_ext.telemetry.history import History
from bmc_ext.telemetry.meter_feed import MeterFeed, meter_record
from bmc_ext.telemetry.pacing import WAIT_NS, Pacing
from bmc_ext.telemetry.record import WindowRecord
from bmc_ext.telemetry.recovery import larger, unwritten
from bmc_ext.telemetry.redundant_feed import RedundantFeed, Sourced
from bmc_ext.telemetry.redundant_point import limit_of
from bmc_ext.telemetry.ring import Ring
from bmc_ext.telemetry.snapshot import SnapshotStore
from bmc_ext.telemetry.thermal_points import CoolantLoop, SiliconSensor
from bmc_ext.telemetry.waveform_feed import WaveformFeed
from bmc_ext.timekeeping import TimeAlarm, TimeBound, kernel_bound

_log = logging.getLogger(__name__)

_AHEAD_WINDOWS = 20  # windows further ahead of the clock than 2 s enter no snapshot
_LATE_EVERY_S = 60.0  # at most one line about late windows
_LONGEST_WAIT_S = 0.2  # so that a clock that is set back is noticed


class Collector:
    """The tick. `store` holds the snapshots, `history` the aggregates.

    The samplers call `accept` from their threads. The snapshot of a window is published as soon
    as every live waveform feed has delivered it, at the latest 80 ms after its end; what is late
    is unknown there, but still counted in energy and history.

    Raises ConfigurationError for a loop that cannot work, StateError when ring or history cannot
    be opened.
    """

    def __init__(
        self,
        config: Config,
        engine: EngineLike | None,
        state: StateDirectory,
        clock: Clock | None = None,
        *,
        time_bound: Callable[[], TimeBound] = kernel_bound,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._time_bound = time_bound
        self.store = SnapshotStore()
        self._loops = tuple(CoolantLoop(loop, engine) for loop in config.loops)
        self._silicon = tuple(SiliconSensor(entry, engine) for entry in config.silicon)
        self.history = History(state, self._clock)
        self._heat = tuple(HeatRegister(loop.id, state, self.history) for loop in config.loops)
        self._feed_ids = tuple(feed.id for feed in config.feeds)
        self._rings = {
            feed_id: Ring(state.path / "ring" / f"{feed_id}.ring") for feed_id in self._feed_ids
        }
        self._waveforms: dict[str, WaveformFeed] = {}
        self._meters: dict[str, MeterFeed] = {}
        self._redundant: dict[str, RedundantFeed] = {}
        for feed in config.feeds:
            self._add_feed(feed, engine)
        self._changed = threading.Condition()  # guards what follows
        self._pacing = Pacing(self._clock.unix_ns())
        self._arrived: dict[int, dict[str, Sourced]] = {}
        self._missing: set[str] = set()  # live waveform sources that the next window waits for
        self._late_windows = 0
        self._late_feeds: set[str] = set()
        self._late_said_s = -math.inf
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._alarm = TimeAlarm(self._clock)

    @property
    def late_windows(self) -> int:
        """Windows that came after their snapshot was out."""
        return self._late_windows

    def start(self) -> None:
        """Start the tick and the history's writer."""
        self._pacing = Pacing(self._clock.unix_ns())
        self.history.start()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop ticking, write everything and close the rings; stop the samplers before."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self.history.stop()
        for ring in self._rings.values():
            ring.close()
        for heat in self._heat:
            heat.close()

    def cycles_of(self, source_id: str) -> CycleFeed:
        """Where a waveform source's values over cycles go; KeyError for any other."""
        return self._waveforms[source_id].cycles

    def windows(self, feed_id: str, first_window: int) -> NDArray[np.void]:
        """The feed's windows from that one on, oldest first, as its ring keeps them; KeyError."""
        return self._rings[feed_id].read(start_window=first_window)

    def accept(self, window: Window) -> None:
        """Take in a window of a waveform source; ValueError for one that is none.

        Called from the source's one sampler thread; returns without waiting for anything. A
        redundant feed's member is kept by the vote only.
        """
        source = self._waveforms.get(window.feed_id)
        if source is None:
            raise ValueError(f"{window.feed_id!r} is no waveform feed")
        sourced = source.take(window, self._clock.monotonic_s(), self._time_bound().rate_error)
        if window.feed_id in self._rings:
            self._keep(window.feed_id, sourced[1])
        with self._changed:
            ahead = window.window_id - self._pacing.next_window
            if ahead < 0:
                self._note_late(window)
            elif ahead <= _AHEAD_WINDOWS:
                self._arrived.setdefault(window.window_id, {})[window.feed_id] = sourced
                if ahead == 0:
                    self._missing.discard(window.feed_id)
                    if not self._missing:
                        self._changed.notify_all()

    def publish_due(self) -> bool:
        """Publish the next snapshot if it is due; whether it was. The tick's one step."""
        with self._changed:
            self._follow_clock()
            if self._pause_s() > 0.0:
                return False
            window_id = self._pacing.next_window
            arrived = self._arrived.pop(window_id, {})
            self._pacing.advance()
        self._publish(window_id, arrived)
        return True

    def _add_feed(self, feed: FeedConfig, engine: EngineLike | None) -> None:
        totals = self._recover(feed.id)
        registers = self.history.registers(feed.id)
        last_window = self.history.last_window(feed.id)
        if not feed.members:
            self._add_source(feed.sources[0], engine, totals, registers, last_window)
            return
        # What a member counts for itself is shown nowhere.
        self._redundant[feed.id] = RedundantFeed(
            feed.id,
            [self._add_source(source, engine) for source in feed.members],
            limit_of(feed.agree_within, "W"),
            EnergyCounter(*totals, registers, last_window),
        )

    def _add_source(
        self,
        source: SourceConfig,
        engine: EngineLike | None,
        totals: tuple[float, float] = (0.0, 0.0),
        registers: EnergyRegisters | None = None,
        last_window: int | None = None,
    ) -> WaveformFeed | MeterFeed:
        if source.meter is not None:
            meter = self._meters[source.id] = MeterFeed(source.id, source.meter, engine)
            return meter
        waveform = self._waveforms[source.id] = WaveformFeed(
            source.id,
            totals,
            self._clock.monotonic_s(),
            registers=registers,
            last_window=last_window,
        )
        return waveform

    def _note_late(self, window: Window) -> None:
        """Count it, and say so once a minute: its snapshot lacks it."""
        self._late_windows += 1
        self._late_feeds.add(window.feed_id)
        now_s = self._clock.monotonic_s()
        if now_s < self._late_said_s + _LATE_EVERY_S:
            return
        self._late_said_s = now_s
        end_ns = window.start_ns + WINDOW_NS
        _log.warning(
            "feed %s: window %d came %.0f ms after its end, its snapshot waited %.0f ms; "
            "%d came late until now, of %d feeds",
            window.feed_id,
            window.window_id,
            (self._clock.unix_ns() - end_ns) * 1e-6,
            WAIT_NS * 1e-6,
            self._late_windows,
            len(self._late_feeds),
        )

    def _run(self) -> None:
        while not self._stopping:
            try:
                if self.publish_due():
                    continue
            except Exception:
                _log.exception("a window is left without a snapshot")
            with self._changed:
                pause_s = self._pause_s()
                if pause_s > 0.0 and not self._stopping:
                    self._changed.wait(min(pause_s, _LONGEST_WAIT_S))

    def _follow_clock(self) -> None:
        said = self._pacing.follow(self._clock.unix_ns())
        if said is None:
            return
        _log.warning("the clock or the tick %s: snapshots go on from the time now", said)
        first = self._pacing.next_window
        self._arrived = {
            window_id: values
            for window_id, values in self._arrived.items()
            if first <= window_id <= first + _AHEAD_WINDOWS
        }

    def _pause_s(self) -> float:
        """Seconds until the next snapshot is due; notes whom it waits for."""
        monotonic_s = self._clock.monotonic_s()
        arrived = self._arrived.get(self._pacing.next_window, {})
        awaited = {
            feed_id for feed_id, feed in self._waveforms.items() if feed.is_live(monotonic_s)
        }
        self._missing = awaited - arrived.keys()
        return self._pacing.pause_s(
            self._clock.unix_ns(), awaited=bool(awaited), complete=not self._missing
        )

    def _publish(self, window_id: int, arrived: dict[str, Sourced]) -> None:
        monotonic_s = self._clock.monotonic_s()
        feeds = tuple(
            [
                self._feed_values(feed_id, window_id, arrived, monotonic_s)
                for feed_id in self._feed_ids
            ]
        )
        own_bound = self._time_bound()
        bound = own_bound.beside(
            [feed.time_error_s for feed in feeds if feed.time_error_s is not None]
        )
        self._publish_snapshot(
            Snapshot(
                window_id=window_id,
                time_bound_s=bound.seconds,
                time_source=bound.source,
                total=total_of(feeds),
                feeds=feeds,
                loops=tuple(
                    [
                        heat.take(window_id, loop.values(), monotonic_s, own_bound.rate_error)
                        for loop, heat in zip(self._loops, self._heat, strict=True)
                    ]
                ),
                silicon=tuple([sensor.values() for sensor in self._silicon]),
            )
        )

    def _publish_snapshot(self, snapshot: Snapshot) -> None:
        self._alarm.follow(snapshot.time_alarm)
        self.store.publish(snapshot)

    def _feed_values(
        self, feed_id: str, window_id: int, arrived: dict[str, Sourced], monotonic_s: float
    ) -> FeedValues:
        redundant = self._redundant.get(feed_id)
        if redundant is not None:
            values, record = redundant.take(
                window_id, arrived, monotonic_s, self._time_bound().rate_error
            )
            self._keep(feed_id, record)
            return values
        meter = self._meters.get(feed_id)
        if meter is not None:
            values = meter.values()
            self._keep(feed_id, meter_record(window_id, values))
            return values
        found = arrived.get(feed_id)
        if found is not None:
            return found[0]
        return self._waveforms[feed_id].missing(window_id, monotonic_s)

    def _keep(self, feed_id: str, record: WindowRecord) -> None:
        """The ring first: what the history lacks after a crash is taken from there."""
        self._rings[feed_id].append(record)
        self.history.add(feed_id, record)

    def _recover(self, feed_id: str) -> tuple[float, float]:
        """Take into the history what only the ring holds; energy totals (import, export) in J."""
        stored = self.history.energies(feed_id)
        for record in unwritten(self._rings[feed_id], self.history.last_window(feed_id)):
            self.history.add(feed_id, record)
        found = self.history.energies(feed_id)
        return larger(stored[0], found[0]) or 0.0, larger(stored[1], found[1]) or 0.0
