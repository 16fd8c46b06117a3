"""A stream of bytes to devices: a serial line, or a TCP connection to a device or a gateway."""

from __future__ import annotations

import contextlib
import select
import socket
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import serial

from drivers.errors import TargetError, TransportError
from drivers.profile_types import Transport as TransportSettings
from drivers.protocols.target_url import TargetUrl

FRAMINGS = ("8N1", "8N2", "8E1", "8O1", "7E1", "7O1")

_LONGEST_READ = 4096
_CONNECT_TIMEOUT_S = 0.9
# A line is quiet when nothing came for this long; who talks for longer than the limit, never stops.
_QUIET_S = 0.02
_DRAIN_LIMIT_S = 0.2

# What pyserial raises on a line that was unplugged; its SerialException is an OSError.
_LINE_ERRORS = (OSError, termios.error, ValueError)


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """A TCP `host` and `port`, or the `path` of a serial line; None where the profile decides."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    baud: int | None = None
    framing: str | None = None

    @property
    def bus(self) -> str:
        """What devices on the same line share."""
        return f"{self.scheme}://{self.path or f'{self.host}:{self.port}'}"


LINE_OPTIONS = ("baud", "framing")


def line_target(url: TargetUrl, form: str) -> StreamTarget:
    """The line of a target whose scheme ends in +tcp or +serial; TargetError names the fault."""
    if url.scheme.endswith("+tcp"):
        if not url.host or not url.port or url.path or url.options.keys() & set(LINE_OPTIONS):
            raise TargetError(f"target {url.text!r} is not {form}")
        return StreamTarget(url.scheme, url.host, url.port)
    if url.host or not url.path.startswith("/"):
        raise TargetError(f"target {url.text!r} is not {form}")
    framing = url.choice("framing", FRAMINGS, "") if "framing" in url.options else None
    return StreamTarget(
        url.scheme, path=url.path, baud=url.number("baud", 300, 4_000_000), framing=framing
    )


class ByteLine(Protocol):
    """One owner; every method raises TransportError and closes the line then."""

    def open(self) -> None:
        """Connect unless connected; the error's `connected` is False."""

    def write(self, data: bytes) -> None:
        """Send all of it."""

    def read(self, timeout_s: float) -> bytes:
        """What comes next, at least a byte; b"" after so long without any."""

    def drain(self, *, patient: bool) -> None:
        """Read away what came unasked until the line is quiet.

        Unless `patient`, only if something is there; otherwise what is on its way is waited for.
        """

    def close(self) -> None:
        """Disconnect; a no-op when disconnected."""


def byte_line(target: StreamTarget, settings: TransportSettings) -> ByteLine:
    """The line of a target; a serial one without rate or framing gets those of `settings`."""
    if target.host:
        return _TcpLine(target)
    return _SerialLine(
        target.path, target.baud or settings.baud[0], target.framing or settings.framing
    )


class _TcpLine:
    def __init__(self, target: StreamTarget) -> None:
        self._address = (target.host, target.port)
        self._name = target.bus
        self._socket: socket.socket | None = None

    def open(self) -> None:
        if self._socket is not None:
            return
        try:
            self._socket = socket.create_connection(self._address, _CONNECT_TIMEOUT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise TransportError(f"{self._name}: {error}", connected=False) from error

    def write(self, data: bytes) -> None:
        self.open()
        assert self._socket is not None
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._lost(str(error)) from error

    def read(self, timeout_s: float) -> bytes:
        self.open()
        assert self._socket is not None
        try:
            if not _readable(self._socket.fileno(), timeout_s):
                return b""
            data = self._socket.recv(_LONGEST_READ)
        except OSError as error:
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost("the other side closed the connection")
        return data

    def drain(self, *, patient: bool) -> None:
        if self._socket is not None:
            _drain(self, patient)

    def close(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _lost(self, reason: str) -> TransportError:
        self.close()
        return TransportError(f"{self._name}: {reason}")


class _SerialLine:
    def __init__(self, path: str, baud: int, framing: str) -> None:
        self._path = path
        self._baud = baud
        self._framing = framing
        self._line: serial.Serial | None = None

    def open(self) -> None:
        if self._line is not None:
            return
        # A pty has no framing and refuses to be given one.
        is_pty = Path(self._path).resolve().is_relative_to("/dev/pts")
        framing = "8N1" if is_pty else self._framing
        try:
            self._line = serial.Serial(
                port=self._path,
                baudrate=self._baud,
                bytesize=int(framing[0]),
                parity=framing[1],
                stopbits=int(framing[2]),
                timeout=0,
                exclusive=True,
            )
        except _LINE_ERRORS as error:
            raise TransportError(f"{self._path}: {error}", connected=False) from error

    def write(self, data: bytes) -> None:
        self.open()
        assert self._line is not None
        try:
            self._line.write(data)
            self._line.flush()
        except _LINE_ERRORS as error:
            raise self._lost(error) from error

    def read(self, timeout_s: float) -> bytes:
        self.open()
        assert self._line is not None
        try:
            if not _readable(self._line.fileno(), timeout_s):
                return b""
            data: bytes = self._line.read(_LONGEST_READ)
        except _LINE_ERRORS as error:
            raise self._lost(error) from error
        if not data:
            raise self._lost("the line hung up")
        return data

    def drain(self, *, patient: bool) -> None:
        if self._line is not None:
            _drain(self, patient)

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(*_LINE_ERRORS):
                line.close()

    def _lost(self, reason: object) -> TransportError:
        self.close()
        return TransportError(f"{self._path}: {reason}", connected=False)


def _readable(descriptor: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1000.0))


def _drain(line: ByteLine, patient: bool) -> None:
    if not patient and not line.read(0.0):
        return
    deadline = time.monotonic() + _DRAIN_LIMIT_S
    while line.read(_QUIET_S):
        if time.monotonic() > deadline:
            line.close()
            return
