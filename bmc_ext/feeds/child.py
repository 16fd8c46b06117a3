"""The process that samples feeds: `python -m bmc_ext.feeds.child DESCRIPTOR`; see `process`."""

from __future__ import annotations

import contextlib
import logging
import queue
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from bmc_ext.errors import ConfigurationError
from bmc_ext.feeds.process import BEAT_S, Message
from bmc_ext.feeds.samplers import FeedSamplers, FeedSettings
from bmc_ext.pauses import short_pauses
from bmc_ext.sampling.events import Event
from bmc_ext.sampling.sampler import Window
from bmc_ext.telemetry.cycle_feed import Changes
from drivers.reading import Reading

_WAITING = 4096  # messages; a service that takes none holds up the samplers, and they the sources
_GATHER_S = 1e-3
"""What comes within it goes in one message: the windows of a turn follow each other."""


class Outlet(logging.Handler):
    """The FeedSink and log of this process: sends all in the order of calls, in `run`."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        super().__init__()
        self._connection = connection
        self._waiting: queue.Queue[Message | None] = queue.Queue(_WAITING)

    def window(self, window: Window) -> None:
        """A window of a source."""
        self._waiting.put(("window", (window,)))

    def cycles(self, source_id: str, changes: Changes) -> None:
        """Newest values over actual cycles."""
        self._waiting.put(("cycles", (source_id, changes)))

    def event(self, feed_id: str | None, event: Event) -> None:
        """An event of a feed, or of the sum."""
        self._waiting.put(("event", (feed_id, event)))

    def lost(self, count: int) -> None:
        """So many more events found no room."""
        self._waiting.put(("lost", (count,)))

    def emit(self, record: logging.LogRecord) -> None:
        """A line for the service's log."""
        self._waiting.put(("log", (record.name, record.levelno, self.format(record))))

    def finish(self) -> None:
        """End `run` as soon as everything is sent."""
        self._waiting.put(None)

    def run(self) -> None:
        """Send what comes until `finish`; OSError where nobody listens any more."""
        while self._send_some():
            pass

    def _send_some(self) -> bool:
        """Send what comes, or that nothing does; False after the last."""
        messages: list[Message | None] = []
        with contextlib.suppress(queue.Empty):
            messages.append(self._waiting.get(timeout=BEAT_S))
            time.sleep(_GATHER_S)
            while messages[-1] is not None:
                messages.append(self._waiting.get_nowait())
        self._connection.send([message for message in messages if message is not None])
        return messages[-1:] != [None]


def main(descriptor: int) -> None:
    """Sample until the service says so or is gone."""
    with contextlib.suppress(EOFError, ConnectionError):  # it is gone
        _sample(Connection(descriptor))


def _sample(connection: Connection[Any, Any]) -> None:
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
    samplers.start()
    threading.Thread(
        target=_end_when_told, args=(connection, samplers, outlet), name="end", daemon=True
    ).start()
    with short_pauses():
        outlet.run()


def _end_when_told(
    connection: Connection[Any, Any], samplers: FeedSamplers, outlet: Outlet
) -> None:
    with contextlib.suppress(EOFError, OSError):
        connection.recv()
    try:
        samplers.stop()
    finally:
        outlet.finish()


def _no_temperature(point: str) -> Reading:
    """The devices are read by the service, which keeps feeds that depend on one of them."""
    raise LookupError(f"{point} is not measured here")


if __name__ == "__main__":
    main(int(sys.argv[1]))
