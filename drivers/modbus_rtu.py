"""Modbus RTU on a serial line, or through a gateway that hands its frames over TCP unchanged.

The line is pyserial's. The framing, unit and CRC around a PDU, is our own: the libraries that wait
for us know neither functions 22 and 23 nor TCP, and keep an exception's code in words only.

A frame's length is known from its request, so a reply is taken at its last byte. After a time-out
or a malformed reply a line is read until it is quiet, a connection is closed: a late reply can
never be taken for the answer to the next question.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import termios
import time
from pathlib import Path
from typing import Protocol

import serial

from drivers.bus_load import character_s, silence_s
from drivers.errors import TransportError
from drivers.modbus_pdu import WriteBlock, answer_length, answer_of, exception_of, request_pdu
from drivers.read_plan import ReadBlock
from drivers.target import RtuOverTcpTarget, SerialTarget

# What pyserial raises on a line that was unplugged; its SerialException is an OSError.
_LINE_ERRORS = (OSError, termios.error, ValueError)

# After a failed exchange a serial line must be quiet this long before it is used again.
_QUIET_S = 0.02

_CONNECT_S = 1.0

# Unit and CRC around a PDU; the shortest reply is an exception.
_FRAME_BYTES = 3
_EXCEPTION_BYTES = 5


def _crc_table() -> tuple[int, ...]:
    """Modbus over Serial Line V1.02, 6.2.2: polynomial 0xA001, low bit first."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def checksum(frame: bytes) -> bytes:
    """The two bytes that end a frame, low byte first."""
    crc = 0xFFFF
    for byte in frame:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


class _Line(Protocol):
    """An open serial line or connection."""

    def fileno(self) -> int:
        """Its descriptor."""

    def close(self) -> None:
        """Close it."""


class RtuTransport:
    """Modbus RTU; `baud` and `framing` are decided. See protocol.Transport."""

    def __init__(self, target: SerialTarget | RtuOverTcpTarget, baud: int, framing: str) -> None:
        self._target = target
        self._framing = framing
        self._baud = baud
        self._character_s = character_s(baud, framing)
        self._silence_s = silence_s(baud, framing)
        self._line: _Line | None = None
        self._quiet_since = 0.0

    def open(self) -> None:
        """Open the line unless it is open."""
        if self._line is not None:
            return
        try:
            if isinstance(self._target, SerialTarget):
                self._line = _serial_line(self._target.path, self._baud, self._framing)
            else:
                self._line = _connection(self._target)
        except _LINE_ERRORS as error:
            raise TransportError(f"{self._target.bus}: {error}", connected=False) from error

    def read(self, unit: int, request: ReadBlock, timeout_s: float) -> bytes:
        """The registers as 2 * count bytes; the wire's own time comes on top of `timeout_s`."""
        return self._exchange(unit, request, timeout_s)

    def write(self, unit: int, request: WriteBlock, timeout_s: float) -> None:
        """See protocol.Transport."""
        self._exchange(unit, request, timeout_s)

    def close(self) -> None:
        """See protocol.Transport."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(*_LINE_ERRORS):
                line.close()

    def _exchange(self, unit: int, request: ReadBlock | WriteBlock, timeout_s: float) -> bytes:
        self.open()
        where = f"{self._target.bus} unit {unit}"
        frame = bytes((unit,)) + request_pdu(request)
        frame += checksum(frame)
        length = _FRAME_BYTES + answer_length(request)
        try:
            self._send(frame)
            wire_s = (len(frame) + length) * self._character_s
            reply = self._receive(length, time.monotonic() + timeout_s + wire_s)
        except OSError as error:
            self.close()
            raise TransportError(f"{where}: {error}") from error
        if not reply:
            self._forget_reply()
            raise TransportError(f"{where}: no answer in time")
        pdu = reply[1:-2]
        sound = reply[0] == unit and checksum(reply[:-2]) == reply[-2:]
        answer = answer_of(request, pdu) if sound else None
        if answer is not None:
            return answer
        exception = exception_of(pdu, where) if sound else None
        if exception is not None:
            raise exception
        self._forget_reply()
        raise TransportError(f"{where}: malformed reply to function {request.fc}")

    def _send(self, frame: bytes) -> None:
        """Send after the silence that sets frames apart; what came unasked is thrown away."""
        assert self._line is not None
        pause_s = self._quiet_since + self._silence_s - time.monotonic()
        if pause_s > 0.0:
            time.sleep(pause_s)
        number = self._line.fileno()
        while _readable(number, 0.0):
            if not os.read(number, 4096):
                raise OSError("the line's other end is gone")
        if os.write(number, frame) != len(frame):
            raise OSError("the line takes nothing")

    def _receive(self, length: int, deadline: float) -> bytes:
        """A whole reply, be it an exception; empty when it did not all come in time."""
        assert self._line is not None
        number = self._line.fileno()
        reply = b""
        while len(reply) < length:
            left_s = deadline - time.monotonic()
            if left_s <= 0.0 or not _readable(number, left_s):
                return b""
            part = os.read(number, length - len(reply))
            if not part:
                raise OSError("the line's other end is gone")
            reply += part
            if len(reply) >= _EXCEPTION_BYTES and reply[1] & 0x80:
                length = _EXCEPTION_BYTES
        self._quiet_since = time.monotonic()
        return reply[:length]

    def _forget_reply(self) -> None:
        """Whatever still comes is nobody's answer."""
        if not isinstance(self._target, SerialTarget):
            self.close()
            return
        assert self._line is not None
        number = self._line.fileno()
        deadline = time.monotonic() + 10 * _QUIET_S
        try:
            while _readable(number, _QUIET_S) and time.monotonic() < deadline:
                if not os.read(number, 4096):
                    self.close()
                    return
        except OSError:
            self.close()


def _serial_line(path: str, baud: int, framing: str) -> serial.Serial:
    # A pty has no framing and refuses to be given one.
    parity, stop_bits = ("N", 1) if _is_pty(path) else (framing[1], int(framing[2]))
    return serial.Serial(
        port=path, baudrate=baud, bytesize=8, parity=parity, stopbits=stop_bits, exclusive=True
    )


def _connection(target: RtuOverTcpTarget) -> socket.socket:
    connection = socket.create_connection((target.host, target.port), timeout=_CONNECT_S)
    connection.setblocking(True)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _readable(number: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(1000.0 * timeout_s))


def _is_pty(path: str) -> bool:
    return Path(path).resolve().is_relative_to("/dev/pts")
