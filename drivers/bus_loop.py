"""One thread for many buses whose transports never wait: it sleeps until a socket or a slot calls.

A thread for each bus costs more than what the threads do: with hundreds of them the interpreter is
handed over at every answer.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from drivers.bus import Ask, BusOwner, Steps
from drivers.protocol import PatientTransport

_LOG = logging.getLogger(__name__)

_LONGEST_WAIT_S = 3600.0


class BusLoop:
    """Runs owners over their transports in one thread, from the first `add` to `stop`."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._poll = select.epoll()
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wakeup, select.EPOLLIN)
        self._lanes: dict[int, _Lane] = {}
        self._timers: list[tuple[float, int, _Lane, int]] = []
        self._sequence = itertools.count()
        self._calls: deque[Callable[[], None]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bus loop", daemon=True)
        self._thread.start()

    def add(self, owner: BusOwner, transport: PatientTransport) -> RunningBus:
        """Run an owner from now on."""
        lane = _Lane(self, owner, transport)
        owner.wake = lambda: self.call(lane.woken)
        self.call(lane.resume)
        return RunningBus(self, lane)

    def stop(self) -> None:
        """End the thread; its buses must have been stopped before."""
        self._stopping = True
        self.call(lambda: None)
        self._thread.join()
        self._poll.close()
        os.close(self._wakeup)

    def call(self, what: Callable[[], None]) -> None:
        """Have something done in the thread."""
        self._calls.append(what)
        os.eventfd_write(self._wakeup, 1)

    def watch(self, number: int, lane: _Lane, *, writable: bool) -> None:
        """Wake a lane when its descriptor is ready; it may have been watched before."""
        event = select.EPOLLOUT if writable else select.EPOLLIN
        if number in self._lanes:
            self._poll.modify(number, event)
        else:
            self._poll.register(number, event)
        self._lanes[number] = lane

    def forget(self, number: int) -> None:
        """Watch a descriptor no more."""
        if self._lanes.pop(number, None) is not None:
            self._poll.unregister(number)

    def set_timer(self, when: float, lane: _Lane, turn: int) -> None:
        """Have `lane.time_is_up(turn)` called at monotonic time `when`."""
        heapq.heappush(self._timers, (when, next(self._sequence), lane, turn))

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._serve(self._poll.poll(self._pause_s()))
            except Exception:  # one bus's fault must not stop the others
                _LOG.exception("bus loop: unforeseen error")

    def _serve(self, events: Sequence[tuple[int, int]]) -> None:
        woken = False
        for number, _ in events:
            lane = self._lanes.get(number)
            if lane is not None:
                lane.ready()
            elif number == self._wakeup:
                woken = True
        # Only now: what is called may close descriptors, and others take their numbers.
        if woken:
            os.eventfd_read(self._wakeup)
            while self._calls:
                self._calls.popleft()()
        now = self._monotonic()
        while self._timers and self._timers[0][0] <= now:
            _, _, lane, turn = heapq.heappop(self._timers)
            lane.time_is_up(turn)

    def _pause_s(self) -> float:
        if not self._timers:
            return _LONGEST_WAIT_S
        # epoll rounds up to whole milliseconds: a slot is at most one late.
        return min(max(0.0, self._timers[0][0] - self._monotonic()), _LONGEST_WAIT_S)


class RunningBus:
    """One bus of a loop."""

    def __init__(self, loop: BusLoop, lane: _Lane) -> None:
        self._loop = loop
        self._lane = lane

    def stop(self) -> None:
        """Stop and disconnect, and wait until that is done."""
        done = threading.Event()

        def end() -> None:
            self._lane.end()
            done.set()

        self._loop.call(end)
        done.wait()


class _Lane:
    """One owner's way through the loop: what it asked or waits for."""

    def __init__(self, loop: BusLoop, owner: BusOwner, transport: PatientTransport) -> None:
        self._loop = loop
        self._owner = owner
        self._transport = transport
        self._steps: Steps = owner.steps()
        # Timers of earlier turns mean nothing any more.
        self._turn = 0
        self._asking = False
        self._ended = False
        transport.watcher = self

    def watch(self, number: int, *, writable: bool) -> None:
        """See Watcher."""
        self._loop.watch(number, self, writable=writable)

    def forget(self, number: int) -> None:
        """See Watcher."""
        self._loop.forget(number)

    def ready(self) -> None:
        """The transport's descriptor is ready."""
        try:
            answer = self._transport.advance()
        except Exception as error:  # the owner knows what it means
            self._go_on(None, error)
            return
        if answer is not None and self._asking:
            self._go_on(answer, None)

    def time_is_up(self, turn: int) -> None:
        """What was waited for in that turn came, or did not come in time."""
        if turn != self._turn:
            return
        if self._asking:
            self._go_on(None, self._transport.expire())
        else:
            self._go_on(None, None)

    def woken(self) -> None:
        """Somebody wants something of the owner; one that asks looks by itself afterwards."""
        if not self._asking:
            self._go_on(None, None)

    def resume(self) -> None:
        """Begin."""
        self._go_on(None, None)

    def end(self) -> None:
        """No step more."""
        self._ended = True
        self._turn += 1
        self._asking = False
        self._steps.close()
        self._transport.close()

    def _go_on(self, answer: Any, error: Exception | None) -> None:
        if self._ended:
            return
        self._turn += 1
        self._asking = False
        while True:
            try:
                step = self._steps.throw(error) if error else self._steps.send(answer)
            except Exception:
                _LOG.exception("bus %s ends: unforeseen error", self._owner.name)
                self.end()
                return
            answer = error = None
            if not isinstance(step, Ask):
                if step.until < math.inf:
                    self._loop.set_timer(step.until, self, self._turn)
                return
            try:
                if self._transport.begin(step.unit, step.request):
                    continue
            except Exception as failure:  # the owner knows what it means
                error = failure
                continue
            self._asking = True
            self._loop.set_timer(self._owner.now() + step.timeout_s, self, self._turn)
            return
