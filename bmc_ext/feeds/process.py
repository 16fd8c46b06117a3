"""Samples feeds in a process of their own: its interpreter is not shared with those who ask.

The process sends what the samples tell as lists of (method of FeedSink, arguments) over a socket
pair, pickled: both ends are this program. It ends by itself when its socket does.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Iterable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from bmc_ext.errors import ConfigurationError, DcpiError, SamplingError
from bmc_ext.feeds.samplers import FeedSettings, FeedSink

_LOG = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0
_END_S = 10.0  # a process that has not ended by then is killed

Message = tuple[str, tuple[Any, ...]]
"""A method of FeedSink and its arguments."""


class _Child(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]


class FeedProcess:
    """As FeedSamplers, in a process of its own, which is started again where it is lost.

    `start` raises ConfigurationError as FeedSamplers does. `sink` is called from one thread.
    """

    def __init__(self, settings: FeedSettings, sink: FeedSink) -> None:
        self._settings = settings
        self._sink = sink
        self._stopping = threading.Event()
        self._child: _Child | None = None
        self._thread = threading.Thread(target=self._run, name="feeds", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process; None where there is none at the moment."""
        child = self._child
        return None if child is None else child.process.pid

    def start(self) -> None:
        """Begin to take samples."""
        self._child = self._begun()
        self._thread.start()

    def stop(self) -> None:
        """End; everything that was sampled until now has been told then."""
        self._stopping.set()
        child = self._child
        if child is not None:
            _ask_to_end(child)
        self._thread.join(_END_S)
        if self._thread.is_alive() and child is not None:
            child.process.kill()
            self._thread.join()

    def _begun(self) -> _Child:
        here, there = Pipe()
        with there:
            command = [sys.executable, "-P", "-m", "bmc_ext.feeds.child", str(there.fileno())]
            process = subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
        child = _Child(process, here)
        try:
            here.send((self._settings, logging.getLogger().getEffectiveLevel()))
            refused = here.recv()
        except (EOFError, OSError) as error:
            raise SamplingError(f"the sampling process ended with {_end(child)}") from error
        if refused is not None:
            _end(child)
            raise ConfigurationError(refused)
        return child

    def _run(self) -> None:
        while (child := self._child) is not None:
            self._follow(child)
            self._child = None
            status = _end(child)
            if not self._stopping.is_set():
                _LOG.error("the sampling process ended with %d: it is started again", status)
                self._child = self._begun_again()

    def _follow(self, child: _Child) -> None:
        """Hand on what it tells until it has ended."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._take(child.connection.recv())

    def _take(self, messages: Iterable[Message]) -> None:
        for name, arguments in messages:
            try:
                if name == "log":
                    _log(*arguments)
                else:
                    getattr(self._sink, name)(*arguments)
            except Exception:
                _LOG.exception("what the samples tell was not taken: %s", name)

    def _begun_again(self) -> _Child | None:
        retry_s = _FIRST_RETRY_S
        while not self._stopping.wait(retry_s):
            try:
                child = self._begun()
            except (DcpiError, OSError) as error:
                _LOG.error("%s", error)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            if self._stopping.is_set():
                _ask_to_end(child)
            return child
        return None


def _ask_to_end(child: _Child) -> None:
    with contextlib.suppress(OSError):
        child.connection.send(None)


def _end(child: _Child) -> int:
    """Its exit status, once its socket is closed; negative for a signal."""
    child.connection.close()
    try:
        return child.process.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.process.kill()
        return child.process.wait()


def _log(name: str, level: int, text: str) -> None:
    logging.getLogger(name).log(level, "%s", text)
