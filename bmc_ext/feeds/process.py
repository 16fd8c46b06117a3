"""Samples feeds in a process of their own: its interpreter is not shared with those who ask.

The process sends what the samples tell as lists of (method of FeedSink, arguments) over a socket
pair, pickled: both ends are this program. It ends by itself when its socket does.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Protocol

from bmc_ext.errors import ConfigurationError, DcpiError, SamplingError
from bmc_ext.feeds.samplers import FeedSettings, FeedSink

_LOG = logging.getLogger(__name__)

_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0
_STEADY_S = 10.0  # one that lasted longer is started again at once
_END_S = 10.0  # a process that has not ended by then is killed
BEAT_S = 1.0
"""A process that has nothing to tell says so this often."""
_SILENT_S, _AGAIN_S = 10.0, 2.0

Message = tuple[str, tuple[Any, ...]]
"""A method of FeedSink and its arguments."""


class ProcessSink(FeedSink, Protocol):
    """A FeedSink that is also told when a process was lost."""

    def cut(self) -> None:
        """Events that go on are over: their samples are missing."""


class _Child(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]


class FeedProcess:
    """As FeedSamplers, in a process of its own, which is started again where it is lost or hangs.

    `start` raises ConfigurationError as FeedSamplers does. `sink` is called from one thread.
    """

    def __init__(self, settings: FeedSettings, sink: ProcessSink) -> None:
        self._settings = settings
        self._sink = sink
        self._stopping = threading.Event()
        self._said = ""
        self._lock = threading.Lock()  # guards what follows; none begins once it is stopped
        self._child: _Child | None = None
        self._samples = False  # the child has answered
        self._thread = threading.Thread(target=self._run, name="feeds", daemon=True)

    @property
    def pid(self) -> int | None:
        """The process; None where there is none at the moment."""
        child = self._child
        return None if child is None else child.process.pid

    def start(self) -> None:
        """Begin to take samples."""
        self._begin()
        self._thread.start()

    def stop(self) -> None:
        """End; everything that was sampled until now has been told then."""
        with self._lock:
            self._stopping.set()
            child = self._child
            if child is not None:
                _ask_to_end(child) if self._samples else child.process.kill()
        self._thread.join(_END_S)
        if self._thread.is_alive() and child is not None:
            child.process.kill()
            self._thread.join()

    def _begin(self) -> None:
        """Have a child that samples, or none where it is stopped meanwhile."""
        child = self._started()
        if child is None:
            return
        try:
            child.connection.send((self._settings, logging.getLogger().getEffectiveLevel()))
            refused = child.connection.recv()
        except (EOFError, OSError) as error:
            raise SamplingError(f"the sampling process ended with {self._end()}") from error
        if refused is not None:
            self._end()
            raise ConfigurationError(refused)
        with self._lock:
            self._samples = True
            if self._stopping.is_set():
                child.process.kill()

    def _started(self) -> _Child | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            try:
                self._child = _spawned()
            except OSError as error:
                text = f"the sampling process does not start: {error.strerror}"
                raise SamplingError(text) from error
            return self._child

    def _end(self) -> int:
        """The exit status of the child, once its socket is closed; negative for a signal."""
        with self._lock:
            child, self._child, self._samples = self._child, None, False
        assert child is not None
        child.connection.close()
        try:
            return child.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            child.process.kill()
            return child.process.wait()

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while (child := self._child) is not None:
            begun_s = time.monotonic()
            self._follow(child)
            status = self._end()
            if self._stopping.is_set():
                return
            if time.monotonic() - begun_s > _STEADY_S:
                retry_s, self._said = _FIRST_RETRY_S, ""
            self._say(f"the sampling process ended with {status}: it is started again")
            self._take([("cut", ())])
            retry_s = self._begin_again(retry_s)

    def _begin_again(self, retry_s: float) -> float:
        """Try until there is a child, or it is stopped; how long to wait before the next one."""
        while not self._stopping.wait(retry_s):
            retry_s = min(2 * retry_s, _LAST_RETRY_S)
            try:
                self._begin()
            except DcpiError as error:
                self._say(str(error))
            else:
                break
        return retry_s

    def _say(self, text: str) -> None:
        """What goes on and on is said once."""
        if text != self._said and not self._stopping.is_set():
            _LOG.error("%s", text)
        self._said = text

    def _follow(self, child: _Child) -> None:
        """Hand on what it tells until it has ended; one that hangs is killed."""
        with contextlib.suppress(EOFError, OSError):
            # A second look: what was stopped together, and goes on, needs a moment to tell more.
            while child.connection.poll(_SILENT_S) or child.connection.poll(_AGAIN_S):
                self._take(child.connection.recv())
            _LOG.error("the sampling process is silent: it is killed")
            child.process.kill()

    def _take(self, messages: Iterable[Message]) -> None:
        for name, arguments in messages:
            try:
                if name == "log":
                    _log(*arguments)
                else:
                    getattr(self._sink, name)(*arguments)
            except Exception:
                _LOG.exception("what the samples tell was not taken: %s", name)


def _spawned() -> _Child:
    here, there = Pipe()
    with there, contextlib.ExitStack() as undo:
        undo.enter_context(here)
        command = [sys.executable, "-P", "-m", "bmc_ext.feeds.child", str(there.fileno())]
        with _signals_held():
            process = subprocess.Popen(command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
        undo.pop_all()
    return _Child(process, here)


def _ask_to_end(child: _Child) -> None:
    with contextlib.suppress(OSError):
        child.connection.send(None)


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """A process started here never gets Ctrl-C nor a unit's end, which are sent to all processes.

    It inherits the mask: from its first moment on it goes when the service lets it.
    """
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, usual)


def _log(name: str, level: int, text: str) -> None:
    logging.getLogger(name).log(level, "%s", text)
