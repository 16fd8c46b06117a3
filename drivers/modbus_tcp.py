"""Modbus TCP: one connection that never waits, and waiting calls upon it.

The framing is our own, seven bytes in front of a PDU (MODBUS Messaging on TCP/IP V1.0b, 3.1.3), as
512 meters at 10 Hz leave no room for a library that waits: with a thread for each a poll of 20
points took 230 µs (64 meters) to 400 µs (512, half of whose slots were missed), in one thread that
never waits 27 to 31 µs with all that is made of it (tests/benchmarks/bench_meters.py).

After a time-out or a malformed reply the connection is closed, so that a late reply can never be
taken for the answer to the next question.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import select
import socket
import struct
import time
from typing import Any

from drivers.errors import TransportError
from drivers.modbus_pdu import WriteBlock, answer_of, exception_of, request_pdu
from drivers.protocol import Watcher
from drivers.read_plan import ReadBlock
from drivers.target import TcpTarget

# Transaction, protocol (0), length of what follows it, unit.
_MBAP = struct.Struct(">HHHB")
_PREFIX = 6  # bytes that the length does not count
_LONGEST_PDU = 253  # Modbus Application Protocol V1.1b3, 4.1

# How long the waiting `open` waits.
_CONNECT_S = 1.0


class TcpTransport:
    """One connection to a Modbus TCP device or gateway; see protocol.Transport.

    `begin`, `advance` and `expire` never wait: after `begin` the owner calls `advance` whenever the
    socket is ready until it gives the answer. `open`, `read` and `write` wait.
    """

    def __init__(self, target: TcpTarget) -> None:
        self.name = target.bus
        self.watcher: Watcher | None = None
        # Looking a name up may wait, and who shares a thread must not.
        self.may_wait = not _is_address(target.host)
        self._host, self._port = target.host, target.port
        self._socket: socket.socket | None = None
        self._addresses: list[Any] = []
        self._connecting = False
        self._request: ReadBlock | WriteBlock | None = None
        self._frame = b""
        self._unit = self._function = 0
        self._transaction = 0
        self._repeatable = False
        self._buffer = bytearray(_PREFIX + 1 + _LONGEST_PDU + 1)
        self._view = memoryview(self._buffer)
        self._have = 0

    def begin(self, unit: int, request: ReadBlock | WriteBlock | None) -> bool:
        """Send a request, or only connect for None; True when nothing is left to wait for."""
        self._request = request
        self._unit = unit
        self._have = 0
        if request is not None:
            self._transaction = (self._transaction + 1) & 0xFFFF
            pdu = request_pdu(request)
            self._function = pdu[0]
            self._frame = _MBAP.pack(self._transaction, 0, len(pdu) + 1, unit) + pdu
        # A write is never sent twice; what came over a new connection is not repeated either.
        self._repeatable = self._socket is not None and isinstance(request, ReadBlock)
        if self._socket is None:
            self._connect()
        elif request is not None:
            self._send()
        return request is None and not self._connecting

    def advance(self) -> bytes | None:
        """Go on once the socket is ready: the answer's registers, or None while it is not all here.

        Raises TransportError when there will be none. What comes unasked ends the connection.
        """
        if self._socket is None:
            return None
        if self._connecting:
            return self._connected()
        try:
            count = self._socket.recv_into(self._view[self._have :])
        except BlockingIOError:
            return None
        except OSError:
            count = 0
        if self._request is None:
            self.close()
            return None
        if not count:
            self._hung_up()
            return None
        self._have += count
        return self._whole()

    def expire(self) -> TransportError:
        """The time of a request is up; gives the error that it ends with."""
        connected = not self._connecting
        self.close()
        what = "no answer in time" if connected else "no connection in time"
        return TransportError(f"{self._where()}: {what}", connected=connected)

    def open(self) -> None:
        """Connect unless connected."""
        self._wait(0, None, _CONNECT_S)

    def read(self, unit: int, request: ReadBlock, timeout_s: float) -> bytes:
        """The registers as 2 * count bytes."""
        return self._wait(unit, request, timeout_s)

    def write(self, unit: int, request: WriteBlock, timeout_s: float) -> None:
        """See protocol.Transport."""
        self._wait(unit, request, timeout_s)

    def close(self) -> None:
        """See protocol.Transport."""
        connection, self._socket = self._socket, None
        self._request = None
        self._connecting = False
        if connection is None:
            return
        if self.watcher is not None:
            self.watcher.forget(connection.fileno())
        connection.close()

    def _wait(self, unit: int, request: ReadBlock | WriteBlock | None, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        if self._socket is not None and _ready(self._socket, writable=False, timeout_s=0.0):
            # The peer closed it meanwhile, or something came unasked.
            self.close()
        if self.begin(unit, request):
            return b""
        while self._socket is not None:
            left_s = deadline - time.monotonic()
            if left_s <= 0.0 or not _ready(
                self._socket, writable=self._connecting, timeout_s=left_s
            ):
                raise self.expire()
            answer = self.advance()
            if answer is not None:
                return answer
        raise TransportError(f"{self._where()}: the connection ended")

    def _connect(self) -> None:
        """To the first of the host's addresses; a name is looked up, which may wait."""
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self._request = None
            raise TransportError(f"{self.name}: {error}", connected=False) from error
        self._addresses = list(found)
        self._connect_next()

    def _connect_next(self) -> None:
        family, kind, protocol, _, address = self._addresses.pop(0)
        connection = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._connecting = connection, True
        code = connection.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            self._refused(code)
        elif self.watcher is not None:
            self.watcher.watch(connection.fileno(), writable=True)

    def _connected(self) -> bytes | None:
        """A connect came to its end: send what waits for it."""
        assert self._socket is not None
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._refused(code)
            return None
        self._connecting = False
        if self.watcher is not None:
            self.watcher.watch(self._socket.fileno(), writable=False)
        if self._request is None:
            return b""
        self._send()
        return None

    def _refused(self, code: int) -> None:
        request = self._request
        self.close()
        if self._addresses:
            self._request = request
            self._connect_next()
            return
        raise TransportError(f"{self.name}: {os.strerror(code).lower()}", connected=False)

    def _send(self) -> None:
        assert self._socket is not None
        try:
            sent = self._socket.send(self._frame)
        except OSError:
            sent = 0
        if sent != len(self._frame):
            self._hung_up()

    def _hung_up(self) -> None:
        """The peer ended the connection: many devices do after a reply or a pause."""
        request, repeatable = self._request, self._repeatable and not self._have
        self.close()
        if not repeatable:
            raise TransportError(f"{self._where()}: the connection ended before an answer")
        self._repeatable = False
        self._request = request
        self._connect()

    def _whole(self) -> bytes | None:
        """The answer once its frame is complete."""
        if self._have <= _PREFIX + 1:
            return None
        transaction, protocol, length, unit = _MBAP.unpack_from(self._buffer)
        if (transaction, protocol, unit) != (self._transaction, 0, self._unit) or not (
            2 < length <= _LONGEST_PDU + 1
        ):
            raise self._malformed()
        if self._have < _PREFIX + length:
            return None
        pdu = bytes(self._view[_PREFIX + 1 : _PREFIX + length])
        request, self._request = self._request, None
        assert request is not None
        if self._have > _PREFIX + length:
            raise self._malformed()
        answer = answer_of(request, pdu)
        if answer is not None:
            return answer
        raise exception_of(pdu, self._where()) or self._malformed()

    def _malformed(self) -> TransportError:
        self.close()
        return TransportError(f"{self._where()}: malformed reply to function {self._function}")

    def _where(self) -> str:
        return f"{self.name} unit {self._unit}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ready(connection: socket.socket, *, writable: bool, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLOUT if writable else select.POLLIN)
    with contextlib.suppress(InterruptedError):
        return bool(poll.poll(1000.0 * timeout_s))
    return False
