"""Events in a feed's samples: changes of power that disturb the grid, dips, swells, interruptions.

The core does it block by block, as the samples come; nothing waits for a window. Each event comes
twice: when it is detected, and when it is over. Times are UTC ns by the source's sample count.
"""

from __future__ import annotations

import logging
from collections import deque
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling._core import ffi, lib
from drivers.waveforms.block import Block, WaveformSource

_log = logging.getLogger(__name__)

GRID_DESTABILIZING_W = 50e6
"""A change of so much within 1 s is a grid-destabilizing power event (DCPI 3)."""

TICK_NS: int = 1_000_000_000 // lib.DCPI_TICK_HZ
"""How often the sliding mean of power is taken: 1 ms."""

_DEFAULT_HZ = 50.0  # until the line frequency is known
_WAITING_MAX = 4096  # events that nobody drained: the newest
_SLEW_MS = 5  # a series that has moved by more has a gap
_CHUNK_S = 0.25  # the core keeps 2 s of the sliding mean and 64 events


class EventKind(Enum):
    """What happened."""

    POWER_CHANGE = lib.DCPI_EVENT_POWER
    """A step or a ramp of power: at least the threshold within 1 s."""
    VOLTAGE_DIP = lib.DCPI_EVENT_DIP
    """A voltage below 90 % of the declared one (IEC 61000-4-30:2015 5.4)."""
    VOLTAGE_SWELL = lib.DCPI_EVENT_SWELL
    """A voltage above 110 % (5.4)."""
    VOLTAGE_INTERRUPTION = lib.DCPI_EVENT_INTERRUPTION
    """All voltages below 5 % (5.5; the share after EN 50160)."""


class Event(NamedTuple):
    """One event, as it is known now."""

    number: int
    """Counts the events of its detector from 1; the same when it is over."""
    kind: EventKind
    is_over: bool
    """False when it has just been detected."""
    is_cut: bool
    """Over because samples are missing: how it went on is unknown, `end_ns` is None."""
    phases: tuple[str, ...]
    """`L1` … `L3`: the voltages concerned; none for a change of power."""
    onset_ns: int
    """UTC ns where the change began; of a voltage event the start of its first Urms(1/2)."""
    detected_ns: int
    """UTC ns of the last sample that was needed to see it."""
    end_ns: int | None
    """UTC ns where 95 % of the change of power was made, or where the voltage event ended."""
    before_w: float | None
    """W before the change of power; None for a voltage event."""
    after_w: float | None
    """W that the power reached; as yet when it has just been detected."""
    extreme_v: float | None
    """V: lowest Urms(1/2) of a dip or an interruption (residual voltage), highest of a swell."""

    @property
    def change_w(self) -> float | None:
        """W: after less before, positive for an increase of the power that is drawn."""
        if self.after_w is None or self.before_w is None:
            return None
        return self.after_w - self.before_w


class PowerSeries(NamedTuple):
    """Sliding half-cycle means of power, one a millisecond."""

    first_ms: int
    """UTC ms at which the first half cycle ends."""
    power_w: NDArray[np.float64]
    """W; NaN where unknown."""


class EventDetector:
    """Finds the events of one feed; a BlockObserver of its sampler.

    A change of power of `threshold_w` within 1 s is an event. With `declared_voltage_v`, the
    declared rms voltage of one channel (Udin, phase to neutral where that is measured), dips,
    swells and interruptions are as well. The half cycle over which power is averaged follows
    `set_frequency`, and is that of `nominal_hz` until then. Currents count as sampled together
    with their voltages: a `skew_s` of 100 µs turns the power by 2 degrees and is let pass.

    Where samples are lost the power is unknown and voltage events are cut. A gap of more than a
    second, a seam of a recording or a source that opens again begin anew. Not thread-safe: feed
    and drain it in one thread. ValueError for a threshold or a voltage that is not positive.
    """

    def __init__(
        self,
        *,
        threshold_w: float = GRID_DESTABILIZING_W,
        declared_voltage_v: float | None = None,
        nominal_hz: float | None = None,
    ) -> None:
        self._config = ffi.new("dcpi_events_config *")
        self._config.phases = 1
        self._config.sample_rate_hz = lib.DCPI_RATE_MIN_HZ
        self._config.threshold_w = threshold_w
        self._config.declared_v = 0.0 if declared_voltage_v is None else declared_voltage_v
        self._config.frequency_hz = _DEFAULT_HZ if nominal_hz is None else nominal_hz
        if declared_voltage_v is not None and not declared_voltage_v > 0:
            raise ValueError(f"declared_voltage_v {declared_voltage_v!r} is not positive")
        self._core = ffi.new("dcpi_events *")
        _check(lib.dcpi_events_init(self._core, self._config))
        # Read where they lie: a call of the core lets other threads go first, 20 times a second.
        self._kept_w = np.frombuffer(ffi.buffer(self._core.power.power_w), np.float64)
        self._block = ffi.new("dcpi_event_block *")
        self._out = ffi.new(f"dcpi_event[{lib.DCPI_EVENT_QUEUE}]")
        self._events: deque[Event] = deque(maxlen=_WAITING_MAX)
        self._lost = 0
        self._gaps = 0
        self._numbered = 0
        self._is_open = False
        self._epoch_ns = 0
        self._first_ms = 0
        self._late_ns = 0
        self._read_ticks = 0
        self._read_ms: int | None = None
        self._chunk = 1

    @property
    def lost_events(self) -> int:
        """Events that found the queue full because nobody drained it."""
        return self._lost + int(self._core.power.queue.lost)

    @property
    def gaps(self) -> int:
        """How often samples were missing."""
        return self._gaps + int(self._core.gaps)

    def begin(self, source: WaveformSource) -> None:
        """The source is open (again); ValueError when its rate or phases cannot be watched."""
        self._end()
        config = self._config
        config.phases, config.sample_rate_hz = source.phases, source.sample_rate_hz
        self._epoch_ns = source.epoch_ns
        self._first_ms = -(-source.epoch_ns // TICK_NS)
        self._late_ns = 0
        config.first_tick_samples = (
            (self._first_ms * TICK_NS - source.epoch_ns) * 1e-9 * source.sample_rate_hz
        )
        _check(lib.dcpi_events_init(self._core, config))
        self._core.power.queue.numbered = self._numbered
        self._chunk = max(1, int(_CHUNK_S * source.sample_rate_hz))
        self._read_ticks = 0
        self._read_ms = None
        self._is_open = True

    def take(self, block: Block) -> None:
        """The next samples; ValueError for a block that does not follow the last one."""
        if not self._is_open:
            return
        if "seam" in block.flags:
            # Somewhere in it a recording begins again.
            _check(lib.dcpi_events_restart(self._core))
            self._drain_core()
            return
        samples = block.samples
        if samples.dtype not in (np.float32, np.float64) or not samples.flags.c_contiguous:
            raise ValueError("samples are not C-contiguous float32 or float64")
        self._fill(samples)
        item, rows = samples.dtype.itemsize, samples.shape[0] // 2
        buffer = ffi.from_buffer(samples)
        start = ffi.cast("char *", buffer)
        for offset in range(0, samples.shape[1], self._chunk):
            self._block.voltage = start + offset * item
            self._block.current = start + (rows * samples.shape[1] + offset) * item
            self._block.samples = min(self._chunk, samples.shape[1] - offset)
            self._block.first_index = block.first_index + offset
            _check(lib.dcpi_events_feed(self._core, self._block))
            self._drain_core()

    def set_frequency(self, frequency_hz: float) -> None:
        """The line frequency in Hz as measured last; one that is unknown (NaN) changes nothing."""
        if lib.dcpi_events_set_frequency(self._core, frequency_hz) == lib.DCPI_OK:
            self._config.frequency_hz = frequency_hz

    def set_time(self, index: int, utc_ns: int) -> None:
        """What has been measured of a source's clock: when this sample was taken, UTC in ns.

        The times of later events, and the ms of later powers, are moved by what the source's own
        count is off.
        """
        claimed_ns = self._epoch_ns + round(index * 1e9 / self._config.sample_rate_hz)
        self._late_ns = utc_ns - claimed_ns

    def drain(self) -> list[Event]:
        """The events since the last call, in the order in which they were seen."""
        events = list(self._events)
        self._events.clear()
        return events

    def read_power(self) -> PowerSeries:
        """The sliding means since the last call, at most of the last 2 s.

        Where the source's time is measured, now and then a ms is told twice or left out, so that
        the series keeps UTC without a gap.
        """
        end = int(self._core.power.next_tick)
        oldest = max(self._read_ticks, int(self._core.power.first_tick))
        first = max(oldest, end - lib.DCPI_TICKS_KEPT)
        power_w = self._kept_w[np.arange(first, end) % lib.DCPI_TICKS_KEPT]
        self._read_ticks = end
        first_ms = self._first_ms + first + round(self._late_ns / TICK_NS)
        if len(power_w) and self._read_ms is not None:
            moved = first_ms - self._read_ms
            if 0 < moved <= _SLEW_MS:
                power_w = np.concatenate([np.full(moved, power_w[0]), power_w])
            elif -_SLEW_MS <= moved < 0:
                power_w = power_w[-moved:]
            if abs(moved) <= _SLEW_MS:
                first_ms = self._read_ms
        self._read_ms = first_ms + len(power_w)
        return PowerSeries(first_ms, power_w)

    def _end(self) -> None:
        """Cut what goes on and keep the counts: the core begins anew."""
        if not self._is_open:
            return
        _check(lib.dcpi_events_restart(self._core))
        self._drain_core()
        self._lost += int(self._core.power.queue.lost)
        self._gaps += int(self._core.gaps)
        self._numbered = int(self._core.power.queue.numbered)
        self._is_open = False

    def _fill(self, samples: NDArray[Any]) -> None:
        is_float32 = samples.dtype == np.float32
        self._block.voltage_is_float32 = self._block.current_is_float32 = is_float32
        self._block.stride = samples.shape[1]
        if samples.shape[0] != 2 * self._config.phases:
            raise ValueError(f"{samples.shape[0]} rows for {self._config.phases} phases")

    def _drain_core(self) -> None:
        if not self._core.power.queue.count:  # a call would let other threads go first
            return
        count = lib.dcpi_events_take(self._core, self._out, lib.DCPI_EVENT_QUEUE)
        for k in range(count):
            self._lost += len(self._events) == _WAITING_MAX
            self._events.append(_event(self._out[k], self._first_ms, self._late_ns))


class PowerWatch:
    """The same search in one power that is given at every millisecond, such as a sum of feeds.

    The powers are sliding means over half a cycle of `nominal_hz`. The next event's number is one
    more than `numbered`. ValueError for a threshold that is not positive.
    """

    def __init__(
        self,
        *,
        threshold_w: float = GRID_DESTABILIZING_W,
        nominal_hz: float | None = None,
        numbered: int = 0,
    ) -> None:
        self._core = ffi.new("dcpi_power_watch *")
        half_cycle_ms = 500.0 / (_DEFAULT_HZ if nominal_hz is None else nominal_hz)
        _check(
            lib.dcpi_power_watch_init(self._core, threshold_w, half_cycle_ms, ffi.NULL, ffi.NULL)
        )
        self._core.queue.numbered = numbered
        self._out = ffi.new(f"dcpi_event[{lib.DCPI_EVENT_QUEUE}]")

    @property
    def lost_events(self) -> int:
        """Events that found the queue full."""
        return int(self._core.queue.lost)

    @property
    def numbered(self) -> int:
        """The number of the last event."""
        return int(self._core.queue.numbered)

    def take(self, series: PowerSeries) -> list[Event]:
        """The next powers; ValueError when they overlap with what was taken.

        A jump of `first_ms` is a gap, after which the search begins anew.
        """
        power_w = np.ascontiguousarray(series.power_w, np.float64)
        pointer = ffi.cast("double *", ffi.from_buffer(power_w))
        _check(lib.dcpi_power_watch_feed(self._core, series.first_ms, pointer, len(power_w)))
        return self._drain()

    def restart(self) -> list[Event]:
        """Forget what was seen, where the powers from now on are of something else."""
        lib.dcpi_power_watch_restart(self._core)
        return self._drain()

    def _drain(self) -> list[Event]:
        if not self._core.queue.count:
            return []
        count = lib.dcpi_power_watch_take(self._core, self._out, lib.DCPI_EVENT_QUEUE)
        return [_event(self._out[k], 0, 0) for k in range(count)]


def _event(core: Any, first_ms: int, late_ns: int) -> Event:
    def utc_ns(ms: float) -> int:
        # Whole ms apart from their fraction: a float of ns since 1970 holds only 256 ns.
        whole = int(ms)
        return (first_ms + whole) * TICK_NS + round((ms - whole) * 1e6) + late_ns

    is_power = core.kind == lib.DCPI_EVENT_POWER
    return Event(
        number=core.number,
        kind=EventKind(core.kind),
        is_over=bool(core.is_end),
        is_cut=bool(core.is_cut),
        phases=tuple(f"L{k + 1}" for k in range(lib.DCPI_PHASES_MAX) if core.channels >> k & 1),
        onset_ns=utc_ns(core.onset_ms),
        detected_ns=utc_ns(core.detected_ms),
        end_ns=utc_ns(core.end_ms) if core.end_ms == core.end_ms else None,
        before_w=core.before_w if is_power else None,
        after_w=core.after_w if is_power else None,
        extreme_v=None if is_power else core.extreme_v,
    )


def _check(status: int) -> None:
    if status != lib.DCPI_OK:
        raise ValueError(ffi.string(lib.dcpi_status_text(status)).decode())
