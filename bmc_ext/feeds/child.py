"""The process that samples feeds: `python -m bmc_ext.feeds.child DESCRIPTOR`; see `process`."""

from __future__ import annotations

import contextlib
import gc
import logging
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from bmc_ext.errors import ConfigurationError
from bmc_ext.feeds.process import Message
from bmc_ext.feeds.samplers import FeedSamplers, FeedSettings
from bmc_ext.sampling.events import Event
from bmc_ext.sampling.sampler import Window
from bmc_ext.telemetry.cycle_feed import Changes
from drivers.reading import Reading

_WAITING = 4096  # messages; a service that takes none holds up the samplers, and they the sources
_GATHER_S = 1e-3
"""What comes within it goes in one message: the windows of a turn follow each other."""


class Outlet(logging.Handler):
    """The FeedSink and log of this process: sends in a thread of its own, in the order of calls."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        super().__init__()
        self._connection = connection
        self._waiting: queue.Queue[Message | None] = queue.Queue(_WAITING)
        self._is_lost = False
        self._thread = threading.Thread(target=self._run, name="outlet", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def window(self, window: Window) -> None:
        """A window of a source."""
        self._put(("window", (window,)))

    def cycles(self, source_id: str, changes: Changes) -> None:
        """Newest values over actual cycles."""
        self._put(("cycles", (source_id, changes)))

    def event(self, feed_id: str | None, event: Event) -> None:
        """An event of a feed, or of the sum."""
        self._put(("event", (feed_id, event)))

    def lost(self, count: int) -> None:
        """So many more events found no room."""
        self._put(("lost", (count,)))

    def emit(self, record: logging.LogRecord) -> None:
        """A line for the service's log."""
        self._put(("log", (record.name, record.levelno, self.format(record))))

    def finish(self) -> None:
        """Send what waits, and no more."""
        self._waiting.put(None)
        self._thread.join()

    def _put(self, message: Message) -> None:
        if not self._is_lost:
            self._waiting.put(message)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more
            while self._send_some():
                pass
        self._is_lost = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()  # whoever waits for room goes on

    def _send_some(self) -> bool:
        """Wait for messages and send them; False after the last."""
        messages = [self._waiting.get()]
        time.sleep(_GATHER_S)
        with contextlib.suppress(queue.Empty):
            while messages[-1] is not None:
                messages.append(self._waiting.get_nowait())
        self._connection.send([message for message in messages if message is not None])
        return messages[-1] is not None


def main(descriptor: int) -> None:
    """Sample until the service says so or is gone."""
    # Ctrl-C and a unit's end reach all processes: this one goes when the service lets it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(descriptor)
    settings: FeedSettings
    settings, level = connection.recv()
    outlet = Outlet(connection)
    logging.basicConfig(level=level, handlers=[outlet], format="%(message)s")
    try:
        samplers = FeedSamplers(settings, outlet, _no_temperature)
    except ConfigurationError as error:
        connection.send(str(error))
        return
    connection.send(None)
    outlet.start()
    samplers.start()
    gc.freeze()
    with contextlib.suppress(EOFError, OSError):
        connection.recv()
    samplers.stop()
    outlet.finish()


def _no_temperature(point: str) -> Reading:
    """The devices are read by the service, which keeps feeds that depend on one of them."""
    raise LookupError(f"{point} is not measured here")


if __name__ == "__main__":
    main(int(sys.argv[1]))
