"""Frames of packed samples as a live waveform source: from a FIFO, a character device, a pipe."""

from __future__ import annotations

import os
import re
import select
import stat
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.errors import LayoutError, TransportError
from drivers.waveforms.block import Block
from drivers.waveforms.frame_times import HELD_BACK, LossFinder
from drivers.waveforms.packed_frames import FrameLayout
from drivers.waveforms.recording import MAX_RATE_HZ

SILENCE_S = 1.0
"""A device that hands over nothing for this long is lost: ten windows are missing."""

_READ_BYTES = 262_144
_NS_PER_S = 1_000_000_000
_SYSTEM_TIME_NS = 10 * _NS_PER_S
"""Time stamps this near to the system clock's time are taken from that clock."""
_KEY = re.compile(r"([VI])([ABC]|L?[123])")


@dataclass(frozen=True, slots=True)
class FrameChannel:
    """A row of the samples: which channel of the frame, and (number + offset) · gain in V or A."""

    name: str
    gain: float
    offset: float = 0.0


def phase_keys(keys: Sequence[str]) -> list[str]:
    """These keys (VA, IA, V2, IL3, …) as rows: voltages, then currents, in the order of phases.

    Raises LayoutError for a key that is none, and for a phase that lacks one of the two.
    """
    found: dict[tuple[str, int], str] = {}
    for key in keys:
        match = _KEY.fullmatch(key)
        if match is None:
            raise LayoutError(f"channel key {key!r} is none of VA, VB, VC, IA, IB, IC")
        place = (match[1], "ABC".find(match[2]) + 1 or int(match[2][-1]))
        if place in found:
            raise LayoutError(f"{found[place]} and {key} are the same channel")
        found[place] = key
    phases = sorted({phase for _, phase in found})
    lacking = [f"{q}{'ABC'[p - 1]}" for p in phases for q in "VI" if (q, p) not in found]
    if lacking or not phases:
        raise LayoutError(f"the channels lack {lacking[0] if lacking else 'any phase'}")
    return [found[quantity, phase] for quantity in "VI" for phase in phases]


class FrameSource:
    """Frames from one path as a WaveformSource; the rate is the device's own and only stated.

    `rows` are the voltages, then the currents. Sample 0 is dated by the system clock when it
    arrives, or by its time stamp (channel `timestamp`, int64 ns, of any clock), which also finds
    lost frames. Without time stamps a device that drops frames cannot be told from a slow one:
    `Block.received_ns` is what is left to find it.
    """

    def __init__(
        self,
        path: Path,
        layout: FrameLayout,
        rows: Sequence[FrameChannel],
        rate_hz: float,
        *,
        timestamp: str | None = None,
    ) -> None:
        if not 0.0 < rate_hz <= MAX_RATE_HZ:
            raise LayoutError(f"{path}: a rate of {rate_hz:g} Hz is not 0 to {MAX_RATE_HZ:g}")
        self.phases = len(rows) // 2
        self.sample_rate_hz = rate_hz
        self.epoch_ns = 0
        self.skew_s: Sequence[float] = (0.0,) * self.phases
        self._path = path
        self._layout = layout
        self._rows = tuple(rows)
        self._timestamp = timestamp
        self._descriptor: int | None = None
        self._pending = bytearray()
        self._received_ns = 0
        self._next_index = 0
        self._heard_at = 0.0
        self._stamps: LossFinder | None = None
        self._stamps_are_system_time = False
        self._ready: deque[Block] = deque()

    def open(self) -> None:
        """Open the path and wait for the first frames; raises TransportError when none come."""
        self.close()
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise LayoutError(
                    f"{self._path}: a regular file; frames come from a FIFO or device"
                )
        except OSError as error:
            raise TransportError(f"{self._path}: {error.strerror or error}") from error
        self._pending.clear()
        self._ready.clear()
        self._next_index = 0
        self._heard_at = time.monotonic()
        self._stamps = None
        size = self._layout.dtype.itemsize
        while len(self._pending) < size:
            self._receive(SILENCE_S)
        self._date(
            self._layout.rows(memoryview(self._pending)[: len(self._pending) // size * size])
        )

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None; raises TransportError on loss, silence or a stepping clock."""
        if self._descriptor is None:
            raise TransportError(f"{self._path}: not open")
        if not self._ready:
            self._decode()
        if not self._ready:
            self._receive(timeout_s)
            self._decode()
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Close the path, if it is open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _receive(self, timeout_s: float) -> None:
        """Take what has come, waiting for it no longer than `timeout_s`."""
        assert self._descriptor is not None
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        try:
            if not poll.poll(timeout_s * 1000):
                if time.monotonic() - self._heard_at >= SILENCE_S:
                    raise TransportError(f"{self._path}: silent for {SILENCE_S:g} s")
                return
            content = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            # ENODEV: the device was unplugged.
            raise TransportError(f"{self._path}: {error.strerror or error}") from error
        if not content:
            raise TransportError(f"{self._path}: no one writes to it any more")
        self._received_ns = time.time_ns()
        self._heard_at = time.monotonic()
        self._pending += content

    def _date(self, rows: NDArray[Any]) -> None:
        """Set the time of sample 0 from the first frames."""
        interval_ns = _NS_PER_S / self.sample_rate_hz
        self.epoch_ns = self._received_ns - round((len(rows) - 1) * interval_ns)
        if self._timestamp is None:
            return
        self._stamps = LossFinder(interval_ns, str(self._path))
        first_ns = int(rows[self._timestamp][0])
        self._stamps_are_system_time = abs(first_ns - self.epoch_ns) < _SYSTEM_TIME_NS
        if self._stamps_are_system_time:
            self.epoch_ns = first_ns

    def _decode(self) -> None:
        """Make blocks of the whole frames that have come; a frame's rest waits for its end."""
        size = self._layout.dtype.itemsize
        rows = self._layout.rows(
            bytes(memoryview(self._pending)[: len(self._pending) // size * size])
        )
        count = len(rows)
        stamps = None
        lost = None
        if self._stamps is not None and self._timestamp is not None:
            count -= HELD_BACK
            if count > 0:
                stamps = rows[self._timestamp].astype(np.int64)
                lost = self._stamps.lost_before(stamps, count)
        if count <= 0:
            return
        del self._pending[: count * size]
        samples = np.empty((len(self._rows), count))
        # A gain beyond all bounds makes a sample infinite, which its analysis flags.
        with np.errstate(over="ignore", invalid="ignore"):
            for row, channel in zip(samples, self._rows, strict=True):
                values = self._layout.values(rows[:count], channel.name)
                row[:] = (values + channel.offset) * channel.gain
        self._queue(samples, stamps, lost)

    def _queue(
        self,
        samples: NDArray[np.float64],
        stamps: NDArray[np.int64] | None,
        lost: NDArray[np.int64] | None,
    ) -> None:
        """Queue these samples as one block, or as several where frames were lost between them."""
        count = samples.shape[1]
        cuts = [] if lost is None else [int(k) for k in np.flatnonzero(lost)]
        begins = sorted({0, *cuts})
        for begin, end in zip(begins, [*begins[1:], count], strict=True):
            if lost is not None:
                self._next_index += int(lost[begin])
            if stamps is not None and self._stamps_are_system_time:
                received_ns = int(stamps[end - 1])
            else:
                late = (count - end) / self.sample_rate_hz
                received_ns = self._received_ns - round(late * _NS_PER_S)
            part = np.ascontiguousarray(samples[:, begin:end])
            self._ready.append(Block(self._next_index, part, received_ns=received_ns))
            self._next_index += end - begin
