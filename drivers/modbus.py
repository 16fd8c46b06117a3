"""Modbus transports: TCP through pyModbusTCP, RTU through minimalmodbus on pyserial.

Registers travel as bytes, high byte first. A transport has one owner; it opens itself when it is
used and closes itself after every time-out and malformed reply, so that a late reply can never be
taken for the answer to the next question.
"""

from __future__ import annotations

import contextlib
import select
import struct
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minimalmodbus
import serial
from pyModbusTCP.client import ModbusClient
from pyModbusTCP.constants import MB_RECV_ERR, MB_SEND_ERR

from drivers.bus_load import wire_time_s
from drivers.codec import BIT_FUNCTIONS, bits_to_bytes, bytes_to_registers, registers_to_bytes
from drivers.errors import TransportError
from drivers.read_plan import ReadBlock
from drivers.target import SerialTarget, TcpTarget

# Modbus Application Protocol V1.1b3, chapter 6.
_WRITE_SINGLE = 6
_WRITE_MULTIPLE = 16

# Gateway path unavailable, gateway target failed: chapter 7. The device itself said nothing.
_GATEWAY_EXCEPTIONS = (0x0A, 0x0B)

# minimalmodbus has no exception of its own for this answer.
_OTHER_VALUE_SET = "Wrong write data in the response"

# What is left for a repeated request when the first one used up the time.
_LEAST_TIMEOUT_S = 0.001

# What pyserial raises on a line that was unplugged; its SerialException is an OSError.
_LINE_ERRORS = (OSError, termios.error)

# After a failed exchange a serial line must be quiet this long before it is used again.
_QUIET_S = 0.02


@dataclass(frozen=True, slots=True)
class WriteBlock:
    """One write: `registers`, two bytes each, from `address` on by function `fc`, 6 or 16."""

    fc: int
    address: int
    registers: bytes


class _TcpClient(ModbusClient):  # type: ignore[misc]  # pyModbusTCP ships no types
    """pyModbusTCP's client, which also tells how a connection ended."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._heard = False

    @property
    def hung_up_unheard(self) -> bool:
        """Whether the last request failed because the connection ended before a reply's byte."""
        return not self._heard and self.last_error in (MB_SEND_ERR, MB_RECV_ERR)

    def drop_if_ended(self) -> None:
        """Close a connection that its peer has closed, or on which something came unasked."""
        if self.is_open:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            if poll.poll(0):
                self.close()

    def wait_at_most(self, timeout_s: float) -> None:
        """Set the time-out; the base class would drop the connection for it."""
        self._timeout = timeout_s
        if self.is_open:
            self._sock.settimeout(timeout_s)

    def _req_init(self) -> None:
        super()._req_init()
        self._heard = False

    def _recv(self, size: int) -> bytes:
        received: bytes = super()._recv(size)
        self._heard = True
        return received


class TcpTransport:
    """One connection to a Modbus TCP device or gateway."""

    def __init__(self, target: TcpTarget) -> None:
        self._name = target.bus
        try:
            # The time-out is set before every use; the default of 30 s would stop the bus.
            self._client = _TcpClient(
                target.host, target.port, timeout=0.3, auto_open=False, auto_close=False
            )
        except ValueError as error:
            raise TransportError(f"{self._name}: {error}", connected=False) from error

    def open(self) -> None:
        """Connect unless connected."""
        if self._client.is_open:
            return
        try:
            connected = self._client.open()
        except OSError as error:
            raise TransportError(f"{self._name}: {error}", connected=False) from error
        if not connected:
            raise TransportError(f"{self._name}: connection refused", connected=False)

    def read(self, unit: int, request: ReadBlock, timeout_s: float) -> bytes:
        """See Transport; the registers as 2 * count bytes."""
        fc, count = request.fc, request.count
        reply = self._exchange(
            unit, struct.pack(">BHH", fc, request.address, count), timeout_s, repeatable=True
        )
        size = -(-count // 8) if fc in BIT_FUNCTIONS else 2 * count
        if len(reply) != 2 + size or reply[0] != fc or reply[1] != size:
            self._client.close()
            raise TransportError(f"{self._name} unit {unit}: malformed reply to function {fc}")
        return bits_to_bytes(reply[2:], count) if fc in BIT_FUNCTIONS else reply[2:]

    def write(self, unit: int, request: WriteBlock, timeout_s: float) -> None:
        """See Transport."""
        pdu = _write_pdu(request)
        reply = self._exchange(unit, pdu, timeout_s, repeatable=False)
        if len(reply) != 5 or reply[:3] != pdu[:3]:
            self._client.close()
            raise TransportError(
                f"{self._name} unit {unit}: malformed reply to function {request.fc}"
            )

    def close(self) -> None:
        """See Transport."""
        self._client.close()

    def _exchange(self, unit: int, request: bytes, timeout_s: float, *, repeatable: bool) -> bytes:
        """One request and its reply; a `repeatable` one may be sent twice."""
        deadline = time.monotonic() + timeout_s
        self._client.unit_id = unit
        self._client.wait_at_most(timeout_s)
        # Many devices close a connection after a reply or a pause: that is no loss.
        self._client.drop_if_ended()
        reused = self._client.is_open
        self.open()
        reply: bytes | None = self._client.custom_request(request)
        if reply is None and reused and repeatable and self._client.hung_up_unheard:
            self._client.wait_at_most(max(_LEAST_TIMEOUT_S, deadline - time.monotonic()))
            self.open()
            reply = self._client.custom_request(request)
        if reply is not None:
            return reply
        code = int(self._client.last_except)
        if code:
            raise TransportError(
                f"{self._name} unit {unit}: {self._client.last_except_as_txt} (exception {code})",
                exception_code=code,
                refused=code not in _GATEWAY_EXCEPTIONS,
            )
        self._client.close()
        raise TransportError(f"{self._name} unit {unit}: {self._client.last_error_as_txt}")


class SerialTransport:
    """One serial line with its Modbus RTU devices; `baud` and `framing` are decided."""

    def __init__(self, target: SerialTarget, baud: int, framing: str) -> None:
        self._path = target.path
        self._baud = baud
        self._framing = framing
        self._instrument: minimalmodbus.Instrument | None = None

    def open(self) -> None:
        """Open the line unless it is open."""
        if self._instrument is not None:
            return
        # A pty has no framing and refuses to be given one.
        framing = "8N1" if _is_pty(self._path) else self._framing
        try:
            line = serial.Serial(
                port=self._path,
                baudrate=self._baud,
                bytesize=8,
                parity=framing[1],
                stopbits=int(framing[2]),
                exclusive=True,
            )
        except (*_LINE_ERRORS, ValueError) as error:
            raise TransportError(f"{self._path}: {error}", connected=False) from error
        self._instrument = minimalmodbus.Instrument(line, 1)

    def read(self, unit: int, request: ReadBlock, timeout_s: float) -> bytes:
        """See Transport; the registers as 2 * count bytes."""
        count = request.count
        instrument = self._prepare(unit, timeout_s + wire_time_s(count, self._baud, self._framing))
        try:
            if request.fc in BIT_FUNCTIONS:
                bits = instrument.read_bits(request.address, count, request.fc)
                return registers_to_bytes(bits)
            return registers_to_bytes(instrument.read_registers(request.address, count, request.fc))
        except _LINE_ERRORS as error:
            raise self._failure(unit, error) from error

    def write(self, unit: int, request: WriteBlock, timeout_s: float) -> None:
        """See Transport."""
        numbers = bytes_to_registers(request.registers)
        instrument = self._prepare(
            unit, timeout_s + wire_time_s(len(numbers), self._baud, self._framing)
        )
        try:
            if request.fc == _WRITE_SINGLE:
                instrument.write_register(request.address, numbers[0], functioncode=_WRITE_SINGLE)
            else:
                instrument.write_registers(request.address, numbers)
        except _LINE_ERRORS as error:
            # A device that sets another value says so in its answer: that is no lost answer.
            if not str(error).startswith(_OTHER_VALUE_SET):
                raise self._failure(unit, error) from error

    def close(self) -> None:
        """See Transport."""
        instrument, self._instrument = self._instrument, None
        if instrument is not None:
            with contextlib.suppress(*_LINE_ERRORS):
                instrument.serial.close()

    def _prepare(self, unit: int, timeout_s: float) -> minimalmodbus.Instrument:
        self.open()
        assert self._instrument is not None
        self._instrument.address = unit
        try:
            # Not only a number: pyserial sets the line up anew.
            self._instrument.serial.timeout = timeout_s
        except _LINE_ERRORS as error:
            self.close()
            raise TransportError(f"{self._path}: {error}", connected=False) from error
        return self._instrument

    def _failure(self, unit: int, error: Exception) -> TransportError:
        text = f"{self._path} unit {unit}: {error}"
        if isinstance(error, minimalmodbus.SlaveReportedException):
            # minimalmodbus keeps the code in words only; any device exception is treated alike.
            return TransportError(text, exception_code=_DEVICE_FAILURE)
        if isinstance(error, minimalmodbus.ModbusException):
            self._drain()
        else:
            self.close()
        return TransportError(text)

    def _drain(self) -> None:
        """Read away what still comes, until the line is quiet."""
        assert self._instrument is not None
        line = self._instrument.serial
        deadline = time.monotonic() + 10 * _QUIET_S
        try:
            line.timeout = _QUIET_S
            while line.read(256) and time.monotonic() < deadline:
                pass
        except _LINE_ERRORS:
            self.close()


def _is_pty(path: str) -> bool:
    return Path(path).resolve().is_relative_to("/dev/pts")


# Modbus Application Protocol V1.1b3, chapter 7: server device failure.
_DEVICE_FAILURE = 4


def _write_pdu(request: WriteBlock) -> bytes:
    registers = request.registers
    if request.fc == _WRITE_SINGLE:
        return struct.pack(">BH", request.fc, request.address) + registers
    count = len(registers) // 2
    head = struct.pack(">BHHB", _WRITE_MULTIPLE, request.address, count, len(registers))
    return head + registers
