"""The one owner of a bus: what it asks its devices, when, and what it makes of the answers.

It is a coroutine that does no I/O itself: it gives Ask, whose answer or error comes back into it,
and Wait. One thread may so own one bus (`bus_thread`) or many (`bus_loop`).

Deadlines never drift: a slot that has passed is counted as missed and skipped, never queued. A
device that fails is asked again after a bounded, jittered back-off of its own, so that it costs the
others next to nothing; when not even the connection comes about, the whole bus backs off.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from drivers.errors import TransportError
from drivers.field_device import FieldDevice, PolledGroup
from drivers.set_point import PendingWrite

_LOG = logging.getLogger(__name__)

# Back-off of a device or a bus: doubled from the first to the longest, each up to a quarter less.
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0
_CONNECT_S = 1.0

# A lost device on a shared bus is asked with the patience that it needed while it lived. One that
# never answered may need more than its neighbours: it gets all of it at failures 1, 2, 4, 8, 16, …
_IMPATIENT_FACTOR = 4.0
_IMPATIENT_LEAST_S = 0.05
_USUAL_FACTOR = 1.5

# When the read-back is tried: some devices take a write over only in their next cycle.
_READ_BACK_PAUSES_S = (0.0, 0.03, 0.06)

# Slots lie on this lattice, so that one waking of a thread serves many devices or buses.
LATTICE_S = 0.01

# The golden ratio spreads the phases of any number of groups evenly over their intervals.
_PHASE_STEP = 0.6180339887498949
_phases = itertools.count()


@dataclass(slots=True)
class Ask:
    """A read or a write, or a connect when `request` is None; give back the answer or throw."""

    unit: int
    request: Any
    timeout_s: float
    writes: bool = False


@dataclass(slots=True)
class Wait:
    """Give back None at monotonic time `until`, or sooner after `BusOwner.wake`."""

    until: float


Steps = Generator[Ask | Wait, Any, None]


class Closable(Protocol):
    """What the owner itself may do to its transport."""

    def close(self) -> None:
        """Disconnect."""


class _Kind(Enum):
    POLL = auto()
    HEARTBEAT = auto()
    RETRY = auto()
    RECONNECT = auto()


@dataclass(frozen=True, slots=True)
class _Job:
    kind: _Kind
    device: FieldDevice | None = None
    group: PolledGroup | None = None


class _Silence(Enum):
    """What came of a request that was not answered."""

    REFUSED = auto()
    UNHEARD = auto()


class BusOwner:
    """Owns one transport and everything that goes over it.

    `wall` gives Unix seconds for the times of readings, `monotonic` seconds for deadlines, which
    lie `offset_s` beside those of owners without it. `chance` jitters its back-offs, and `phases`
    counts the polled groups of all owners that share it, so that their slots lie apart.
    """

    def __init__(
        self,
        name: str,
        transport: Closable,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        offset_s: float = 0.0,
        chance: random.Random | None = None,
        phases: Iterator[int] = _phases,
    ) -> None:
        self.name = name
        self._offset_s = offset_s
        self._transport = transport
        self._wall = wall
        self._monotonic = monotonic
        self._devices: list[FieldDevice] = []
        self._jobs: list[tuple[float, int, _Job]] = []
        self._sequence = itertools.count()
        self._retrying: set[str] = set()
        self._connect_failures = 0
        self._slowest_answer_s = 0.0
        self._requests: deque[Callable[[], Steps | None]] = deque()
        self._random = chance or random.Random()
        self._phases = phases
        # Set by the thread that runs it; callable from any.
        self.wake: Callable[[], None] = lambda: None

    def now(self) -> float:
        """Seconds of the clock that its waits are in."""
        return self._monotonic()

    def add(self, device: FieldDevice) -> None:
        """Poll a device from now on."""
        device.answered(self._monotonic())
        self._submit(lambda: self._admit(device))

    def remove(self, device: FieldDevice) -> None:
        """Leave a device alone from now on."""
        device.removed = True
        self._submit(lambda: self._dismiss(device))

    def write(self, pending: PendingWrite) -> None:
        """Do a write before the next poll."""
        self._submit(lambda: self._execute(pending))

    def _submit(self, request: Callable[[], Steps | None]) -> None:
        self._requests.append(request)
        self.wake()

    def steps(self) -> Steps:
        """All that it does, for ever."""
        while True:
            while self._requests:
                steps = self._requests.popleft()()
                if steps is not None:
                    yield from steps
            due = self._jobs[0][0] if self._jobs else math.inf
            if due <= self._monotonic():
                yield from self._run_next()
            else:
                yield Wait(due)

    def _admit(self, device: FieldDevice) -> None:
        self._devices.append(device)
        for group in device.groups:
            phase_s = next(self._phases) * _PHASE_STEP % 1.0 * group.every_s
            # A slot in the past is served at once: nobody waits for a slow group's first value.
            first = self._monotonic() + phase_s - group.every_s
            on_lattice = first // LATTICE_S * LATTICE_S + self._offset_s
            self._push(on_lattice, _Job(_Kind.POLL, device, group))
        if device.heartbeat_s is not None:
            self._schedule(_Job(_Kind.HEARTBEAT, device), device.heartbeat_s)

    def _dismiss(self, device: FieldDevice) -> None:
        self._devices = [other for other in self._devices if other is not device]
        device.forget()

    def _schedule(self, job: _Job, delay_s: float) -> None:
        self._push(self._monotonic() + delay_s, job)

    def _push(self, deadline: float, job: _Job) -> None:
        heapq.heappush(self._jobs, (deadline, next(self._sequence), job))

    def _run_next(self) -> Steps:
        deadline, _, job = heapq.heappop(self._jobs)
        device = job.device
        if device is None:
            yield from self._reconnect()
        elif not device.removed:
            try:
                yield from self._serve(job, device)
            except Exception as error:
                self._contain(error, device)
            self._repeat(deadline, job, device)

    def _contain(self, error: Exception, device: FieldDevice) -> None:
        """Whatever nobody foresaw costs the device that it came from, never the bus."""
        if device.failure is None:
            _LOG.exception("device %s: unforeseen error", device.id)
        self._transport.close()
        self._lose(device, f"{type(error).__name__}: {error}")

    def _serve(self, job: _Job, device: FieldDevice) -> Steps:
        if job.kind is _Kind.RETRY:
            yield from self._retry(device)
        elif device.failure is not None:
            return
        elif job.group is not None:
            yield from self._poll(device, job.group)
        else:
            yield from self._ask(device, device.heartbeat, device.timeout_s)

    def _repeat(self, deadline: float, job: _Job, device: FieldDevice) -> None:
        """Polls and heartbeats go on for ever."""
        if job.group is not None:
            self._push(self._following(deadline, job.group.every_s, device), job)
        elif job.kind is _Kind.HEARTBEAT and device.heartbeat_s is not None:
            self._push(max(deadline + device.heartbeat_s, self._monotonic()), job)

    def _following(self, deadline: float, every_s: float, device: FieldDevice) -> float:
        """The next slot; those that have wholly passed are counted, unless the device is lost."""
        following = deadline + every_s
        passed = int((self._monotonic() - following) // every_s)
        if passed <= 0:
            return following
        if device.failure is None:
            device.missed_slots += passed
        return following + passed * every_s

    def _poll(self, device: FieldDevice, group: PolledGroup) -> Generator[Ask | Wait, Any, bool]:
        answers = []
        for request in group.requests:
            answer = yield from self._ask(device, request, device.timeout_s, group)
            if isinstance(answer, _Silence):
                return False
            answers.append(answer)
        group.accept(answers, self._wall(), self._monotonic())
        device.polls += 1
        return True

    def _ask(
        self,
        device: FieldDevice,
        request: Any,
        timeout_s: float,
        group: PolledGroup | None = None,
    ) -> Generator[Ask | Wait, Any, Any]:
        """One read, whatever comes of it accounted for; _Silence when it was not answered."""
        began = self._monotonic()
        if device.rests_until > began:
            yield from self._pause(device.rests_until)
            began = self._monotonic()
        try:
            answer = yield Ask(device.unit, request, timeout_s)
        except TransportError as error:
            heard = self._account(device, error, group)
            return _Silence.REFUSED if heard else _Silence.UNHEARD
        now = self._monotonic()
        self._slowest_answer_s = max(now - began, 0.999 * self._slowest_answer_s)
        device.answered(now, now - began)
        return answer

    def _pause(self, until: float) -> Steps:
        while self._monotonic() < until:
            yield Wait(until)

    def _account(
        self, device: FieldDevice, error: TransportError, group: PolledGroup | None
    ) -> bool:
        """A refusal is the group's trouble, silence the device's, no connection everybody's.

        Says whether the device was there and refused.
        """
        if not error.connected:
            self._lose_bus(str(error))
            return False
        if not error.refused:
            self._lose(device, str(error))
            return False
        device.answered(self._monotonic())
        device.erred(str(error))
        if group is not None:
            group.failure = str(error)
        return True

    def _lose(self, device: FieldDevice, reason: str) -> None:
        if device.failure is None:
            _LOG.warning("device %s is lost: %s", device.id, reason)
        device.failed(reason)
        self._schedule_retry(device, self._back_off_s(device.failures_in_a_row))

    def _lose_bus(self, reason: str) -> None:
        if not self._connect_failures:
            _LOG.warning("bus %s is lost: %s", self.name, reason)
        self._connect_failures += 1
        for device in self._devices:
            device.failed(reason)
        if self._connect_failures == 1:
            self._schedule(_Job(_Kind.RECONNECT), self._back_off_s(1))

    def _back_off_s(self, failures: int) -> float:
        longest = min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(failures - 1, 10))
        return longest * self._random.uniform(0.75, 1.0)

    def _schedule_retry(self, device: FieldDevice, delay_s: float) -> None:
        if device.id not in self._retrying:
            self._retrying.add(device.id)
            self._schedule(_Job(_Kind.RETRY, device), delay_s)

    def _reconnect(self) -> Steps:
        try:
            yield Ask(0, None, _CONNECT_S)
        except Exception as error:  # whatever it is, the bus is not back
            if not isinstance(error, TransportError) and not self._connect_failures:
                _LOG.exception("bus %s failed in a way that was not foreseen", self.name)
            self._connect_failures += 1
            self._schedule(_Job(_Kind.RECONNECT), self._back_off_s(self._connect_failures))
            return
        _LOG.info("bus %s is back", self.name)
        self._connect_failures = 0
        for device in self._devices:
            self._schedule_retry(device, 0.0)

    def _retry(self, device: FieldDevice) -> Steps:
        self._retrying.discard(device.id)
        if self._connect_failures or device.failure is None:
            return
        answer = yield from self._ask(device, device.heartbeat, self._patience_s(device))
        if answer is not _Silence.UNHEARD:
            yield from self._revive(device)

    def _revive(self, device: FieldDevice) -> Steps:
        """It is back only when its groups are: values from before the loss must not pass as new."""
        failures = device.failures_in_a_row
        for group in device.groups:
            yield from self._poll(device, group)
            if device.failures_in_a_row > failures:
                return
        _LOG.info("device %s is back", device.id)
        device.recovered()

    def _patience_s(self, device: FieldDevice) -> float:
        failures = device.failures_in_a_row
        never_heard = device.slowest_answer_s is None
        if len(self._devices) == 1 or (never_heard and failures & (failures - 1) == 0):
            return device.timeout_s
        neighbours_s = _IMPATIENT_FACTOR * self._slowest_answer_s
        own_s = _USUAL_FACTOR * (device.slowest_answer_s or 0.0)
        return min(device.timeout_s, max(_IMPATIENT_LEAST_S, neighbours_s, own_s))

    def _execute(self, pending: PendingWrite) -> Steps:
        if not pending.claim():
            return
        try:
            yield from self._write(pending)
        except Exception as error:
            self._contain(error, pending.device)

    def _write(self, pending: PendingWrite) -> Steps:
        device = pending.device
        yield from self._pause(device.rests_until)
        try:
            yield Ask(device.unit, pending.request, device.timeout_s, writes=True)
        except TransportError as error:
            refused = self._account(device, error, None)
            pending.finish("not_set" if refused else "comm_error", reason=str(error))
            return
        device.answered(self._monotonic())
        device.writes += 1
        if device.failure is not None:
            yield from self._revive(device)
        yield from self._read_back(pending)

    def _read_back(self, pending: PendingWrite) -> Steps:
        """Poll the group until the device holds what was written, or clearly does not."""
        device, point = pending.device, pending.point
        for pause_s in _READ_BACK_PAUSES_S:
            yield from self._pause(self._monotonic() + pause_s)
            polled = yield from self._poll(device, device.group_of(point.name))
            if not polled:
                reason = f"written, but not read back: {device.last_error}"
                pending.finish("comm_error", reason=reason)
                return
            reading = device.reading(point.name, self._monotonic())
            status, reason_text = pending.judge(reading)
            if status == "accepted":
                break
        pending.finish(status, accepted=reading.value, reason=reason_text)
