"""The one owner of a bus: a thread that polls its devices by absolute deadlines.

Deadlines never drift: a slot that has passed is counted as missed and skipped, never queued. A
device that fails is asked again after a bounded, jittered back-off of its own, so that it costs the
others next to nothing; when not even the connection comes about, the whole bus backs off.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from drivers.errors import TransportError
from drivers.field_device import FieldDevice, PolledGroup
from drivers.protocol import Transport
from drivers.set_point import PendingWrite

_LOG = logging.getLogger(__name__)

# Back-off of a device or a bus: doubled from the first to the longest, each up to a quarter less.
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 2.0

# A lost device on a shared bus is asked with little patience, but with all of it every so often.
_IMPATIENT_FACTOR = 4.0
_IMPATIENT_LEAST_S = 0.05
_PATIENT_EVERY = 4

# When the read-back is tried: some devices take a write over only in their next cycle.
_READ_BACK_PAUSES_S = (0.0, 0.03, 0.06)

# The golden ratio spreads the phases of any number of groups evenly over their intervals.
_PHASE_STEP = 0.6180339887498949
_phases = itertools.count()


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


@dataclass(frozen=True, slots=True)
class _Reply:
    """What came of a request: `heard` is whether the device said anything, be it a refusal."""

    heard: bool
    answered: bool = False
    answer: Any = None


class BusOwner:
    """Owns one transport and everything that goes over it.

    `wall` gives Unix seconds for the times of readings, `monotonic` seconds for deadlines.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._transport = transport
        self._wall = wall
        self._monotonic = monotonic
        self._devices: list[FieldDevice] = []
        self._jobs: list[tuple[float, int, _Job]] = []
        self._sequence = itertools.count()
        self._retrying: set[str] = set()
        self._connect_failures = 0
        self._slowest_answer_s = 0.0
        self._requests: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._random = random.Random()
        self._thread = threading.Thread(target=self._run, name=f"bus {name}", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, disconnect and wait for the thread; at most one exchange long."""
        self._requests.put(None)
        self._thread.join()

    def add(self, device: FieldDevice) -> None:
        """Poll a device from now on."""
        device.answered(self._monotonic())
        self._requests.put(lambda: self._admit(device))

    def remove(self, device: FieldDevice) -> None:
        """Leave a device alone from now on."""
        device.removed = True
        self._requests.put(lambda: self._dismiss(device))

    def write(self, pending: PendingWrite) -> None:
        """Do a write before the next poll."""
        self._requests.put(lambda: self._execute(pending))

    def _run(self) -> None:
        with contextlib.closing(self._transport):
            while True:
                try:
                    request = self._requests.get(timeout=self._pause_s())
                except queue.Empty:
                    self._run_next()
                    continue
                if request is None:
                    return
                request()

    def _pause_s(self) -> float | None:
        if not self._jobs:
            return None
        return max(0.0, self._jobs[0][0] - self._monotonic())

    def _admit(self, device: FieldDevice) -> None:
        self._devices.append(device)
        for group in device.groups:
            phase_s = next(_phases) * _PHASE_STEP % 1.0 * group.every_s
            # A slot in the past is served at once: nobody waits for a slow group's first value.
            self._schedule(_Job(_Kind.POLL, device, group), phase_s - group.every_s)
        if device.heartbeat_s is not None:
            self._schedule(_Job(_Kind.HEARTBEAT, device), device.heartbeat_s)

    def _dismiss(self, device: FieldDevice) -> None:
        self._devices = [other for other in self._devices if other is not device]

    def _schedule(self, job: _Job, delay_s: float) -> None:
        self._push(self._monotonic() + delay_s, job)

    def _push(self, deadline: float, job: _Job) -> None:
        heapq.heappush(self._jobs, (deadline, next(self._sequence), job))

    def _run_next(self) -> None:
        deadline, _, job = heapq.heappop(self._jobs)
        if job.device is None:
            self._reconnect()
        elif not job.device.removed:
            with self._contained(job.device):
                self._serve(job, job.device)
            self._repeat(deadline, job, job.device)

    @contextlib.contextmanager
    def _contained(self, device: FieldDevice) -> Iterator[None]:
        """Whatever nobody foresaw costs the device that it came from, never the bus."""
        try:
            yield
        except Exception as error:
            if device.failure is None:
                _LOG.exception("device %s: unforeseen error", device.id)
            self._transport.close()
            self._lose(device, f"{type(error).__name__}: {error}")

    def _serve(self, job: _Job, device: FieldDevice) -> None:
        if job.kind is _Kind.RETRY:
            self._retry(device)
        elif device.failure is not None:
            return
        elif job.group is not None:
            self._poll(device, job.group)
        else:
            self._ask(device, device.heartbeat, device.timeout_s)

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
            device.count(missed_slots=passed)
        return following + passed * every_s

    def _poll(self, device: FieldDevice, group: PolledGroup) -> bool:
        answers = []
        for request in group.requests:
            reply = self._ask(device, request, device.timeout_s, group)
            if not reply.answered:
                return False
            answers.append(reply.answer)
        group.accept(answers, self._wall(), self._monotonic())
        device.count(polls=1)
        self._review(device)
        return True

    def _review(self, device: FieldDevice) -> None:
        was = device.doubt
        device.review(self._monotonic())
        if device.doubt == was:
            return
        if device.doubt is not None:
            reason = f"check fails: {device.doubt}"
            device.count(errors=1, last_error=reason)
            _LOG.warning("device %s is not believed, %s", device.id, reason)
        elif was is not None:
            _LOG.info("device %s passes its checks", device.id)

    def _ask(
        self,
        device: FieldDevice,
        request: Any,
        timeout_s: float,
        group: PolledGroup | None = None,
    ) -> _Reply:
        """One read, whatever comes of it accounted for."""
        began = self._monotonic()
        try:
            answer = self._transport.read(device.unit, request, timeout_s)
        except TransportError as error:
            return _Reply(heard=self._account(device, error, group))
        now = self._monotonic()
        self._slowest_answer_s = max(now - began, 0.999 * self._slowest_answer_s)
        device.answered(now)
        return _Reply(heard=True, answered=True, answer=answer)

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
        device.count(errors=1, last_error=str(error))
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

    def _reconnect(self) -> None:
        try:
            self._transport.open()
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

    def _retry(self, device: FieldDevice) -> None:
        self._retrying.discard(device.id)
        if self._connect_failures or device.failure is None:
            return
        if self._ask(device, device.heartbeat, self._patience_s(device)).heard:
            self._revive(device)

    def _revive(self, device: FieldDevice) -> None:
        """It is back only when its groups are: values from before the loss must not pass as new."""
        failures = device.failures_in_a_row
        for group in device.groups:
            self._poll(device, group)
            if device.failures_in_a_row > failures:
                return
        _LOG.info("device %s is back", device.id)
        device.recovered()

    def _patience_s(self, device: FieldDevice) -> float:
        alone = len(self._devices) == 1
        if alone or device.failures_in_a_row % _PATIENT_EVERY == 0:
            return device.timeout_s
        usual_s = _IMPATIENT_FACTOR * self._slowest_answer_s
        return min(device.timeout_s, max(_IMPATIENT_LEAST_S, usual_s))

    def _execute(self, pending: PendingWrite) -> None:
        if not pending.claim():
            return
        with self._contained(pending.device):
            self._write(pending)

    def _write(self, pending: PendingWrite) -> None:
        device = pending.device
        try:
            self._transport.write(device.unit, pending.request, device.timeout_s)
        except TransportError as error:
            refused = self._account(device, error, None)
            pending.finish("not_set" if refused else "comm_error", reason=str(error))
            return
        device.answered(self._monotonic())
        device.count(writes=1)
        if device.failure is not None:
            self._revive(device)
        self._read_back(pending)

    def _read_back(self, pending: PendingWrite) -> None:
        """Poll the group until the device holds what was written, or clearly does not."""
        device, point = pending.device, pending.point
        for pause_s in _READ_BACK_PAUSES_S:
            time.sleep(pause_s)
            if not self._poll(device, device.group_of(point.name)):
                reason = f"written, but not read back: {device.statistics.last_error}"
                pending.finish("comm_error", reason=reason)
                return
            reading = device.reading(point.name, self._monotonic())
            status, reason_text = pending.judge(reading)
            if status == "accepted":
                break
        pending.finish(status, accepted=reading.value, reason=reason_text)
