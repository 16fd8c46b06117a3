"""A thread of its own for a bus whose transport waits."""

from __future__ import annotations

import threading
from contextlib import closing

from drivers.bus import Ask, BusOwner
from drivers.protocol import Transport

# No thread is asked to wait longer than this at once; the longest that the platform can is less
# than for ever.
_LONGEST_WAIT_S = 3600.0


class BusThread:
    """Runs one owner over one transport, from construction to `stop`."""

    def __init__(self, owner: BusOwner, transport: Transport) -> None:
        self._owner = owner
        self._transport = transport
        self._woken = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"bus {owner.name}", daemon=True)
        owner.wake = self._woken.set
        self._thread.start()

    def stop(self) -> None:
        """Stop, disconnect and wait for the thread; at most one exchange long."""
        self._stopping = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        steps = self._owner.steps()
        with closing(self._transport), closing(steps):
            step = next(steps)
            while not self._stopping:
                if isinstance(step, Ask):
                    try:
                        answer = self._done(step)
                    except Exception as error:  # the owner knows what it means
                        step = steps.throw(error)
                    else:
                        step = steps.send(answer)
                else:
                    left_s = step.until - self._owner.now()
                    self._woken.wait(min(left_s, _LONGEST_WAIT_S) if left_s > 0.0 else 0.0)
                    self._woken.clear()
                    step = next(steps)

    def _done(self, asked: Ask) -> object:
        if asked.request is None:
            self._transport.open()
            return None
        if asked.writes:
            self._transport.write(asked.unit, asked.request, asked.timeout_s)
            return None
        return self._transport.read(asked.unit, asked.request, asked.timeout_s)
