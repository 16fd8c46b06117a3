"""Simulated devices on a serial line: a small Modbus RTU slave.

Frames after the Modbus over Serial Line specification V1.02, chapter 2.5: unit, function, data,
CRC-16 low byte first. A line that falls silent in the middle of a frame drops it.
"""

from __future__ import annotations

import os
import select
import struct
import threading
import time
import tty
from collections.abc import Mapping
from pathlib import Path

from drivers.codec import BIT_FUNCTIONS, bits_of
from drivers.simulation.device import (
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    PRODUCT_CODE,
    REVISION,
    VENDOR_NAME,
    RefusedRequestError,
    SimulatedDevice,
)

# A pty has no baud rate: this much silence ends a frame that did not arrive whole.
_SILENCE_S = 0.02
_BROADCAST = 0
_LEAST_FRAME = 4
_IDENTIFY = 0x2B
# Functions whose request is an address and a count or a value.
_FOUR_BYTES = (*BIT_FUNCTIONS, 3, 4, 6)


def crc16(frame: bytes) -> bytes:
    """The CRC of a frame as it is sent (specification above, 6.2.2: polynomial 0xA001)."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


class PseudoTerminal:
    """A pty pair: `master_fd` for a server, `path` for the driver; `link` gives it a fixed name.

    The slave's end is kept open here, so that the master survives a driver that reconnects.
    """

    def __init__(self, link: Path | None = None) -> None:
        self.master_fd, self._slave_fd = os.openpty()
        tty.setraw(self._slave_fd)
        self.path = os.ttyname(self._slave_fd)
        self._link = link
        if link is not None:
            try:
                # A link that a killed predecessor left must not stand in the way.
                if link.is_symlink():
                    link.unlink()
                link.symlink_to(self.path)
            except OSError:
                self._link = None
                self.close()
                raise

    def close(self) -> None:
        """Close both ends and remove the link."""
        os.close(self.master_fd)
        os.close(self._slave_fd)
        if self._link is not None:
            self._link.unlink(missing_ok=True)


class ModbusRtuServer:
    """Serves devices by unit on a serial line: an open descriptor, or the path of a serial device.

    A descriptor stays the caller's; a path is opened at `start` and closed at `stop`.
    """

    def __init__(self, devices: Mapping[int, SimulatedDevice], line: int | str | Path) -> None:
        self.devices = dict(devices)
        self._line = line
        self._fd = -1
        self._wake_read = self._wake_write = -1
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer from a background thread; OSError when the line cannot be opened."""
        if self._thread is not None:
            raise ValueError("the server is already running")
        if isinstance(self._line, int):
            self._fd = self._line
        else:
            self._fd = os.open(self._line, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(self._fd)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="modbus-rtu-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; does nothing when it is not running."""
        if self._thread is None:
            return
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._thread = None
        os.close(self._wake_read)
        os.close(self._wake_write)
        if not isinstance(self._line, int):
            os.close(self._fd)

    def _serve(self) -> None:
        pending = b""
        while True:
            timeout = _SILENCE_S if pending else None
            ready, _, _ = select.select([self._fd, self._wake_read], [], [], timeout)
            if self._wake_read in ready:
                return
            if not ready:
                # Silence ends a frame, also one of a function whose length nobody here knows.
                if len(pending) >= _LEAST_FRAME and crc16(pending[:-2]) == pending[-2:]:
                    self._answer(pending)
                pending = b""
                continue
            try:
                pending += os.read(self._fd, 512)
            except OSError:
                return  # the line was pulled
            pending = self._take_frames(pending)

    def _take_frames(self, pending: bytes) -> bytes:
        """Answer the whole frames at the front; what remains is the start of another."""
        while (length := _request_length(pending)) is not None and len(pending) >= length:
            frame, pending = pending[:length], pending[length:]
            if crc16(frame[:-2]) != frame[-2:]:
                return b""
            self._answer(frame)
        return pending

    def _answer(self, frame: bytes) -> None:
        device = self.devices.get(frame[0])
        if frame[0] == _BROADCAST or device is None or not device.hears():
            return
        if device.delay_s:
            time.sleep(device.delay_s)
        body = frame[:1] + answer_pdu(device, frame[1:-2])
        os.write(self._fd, body + crc16(body))


def _request_length(data: bytes) -> int | None:
    """How long the request at the front of `data` is; None while that cannot be told."""
    if len(data) < 2:
        return None
    if data[1] == 16:
        return 9 + data[6] if len(data) >= 7 else None
    return 8 if data[1] <= 6 else None


def answer_pdu(device: SimulatedDevice, pdu: bytes) -> bytes:
    """What a device answers to a request without its framing; a refusal is an exception's PDU."""
    function = pdu[0]
    try:
        return bytes([function]) + _perform(device, function, pdu[1:])
    except RefusedRequestError as fault:
        return bytes([function | 0x80, fault.code])


def _perform(device: SimulatedDevice, function: int, data: bytes) -> bytes:
    """The data of the answer to one request; raises RefusedRequestError."""
    if len(data) < 5 if function == 16 else function in _FOUR_BYTES and len(data) != 4:
        raise RefusedRequestError(ILLEGAL_VALUE)
    if function in (3, 4):
        address, count = struct.unpack(">HH", data)
        registers = device.read_registers(function, address, count)
        return bytes([2 * len(registers)]) + struct.pack(f">{len(registers)}H", *registers)
    if function in BIT_FUNCTIONS:
        address, count = struct.unpack(">HH", data)
        bits = bits_of(device.read_registers(function, address, count))
        return bytes([len(bits)]) + bits
    if function == 6:
        address, register = struct.unpack(">HH", data)
        device.write_registers(address, [register])
        return data
    if function == 16:
        address, count, size = struct.unpack(">HHB", data[:5])
        if size != 2 * count:
            raise RefusedRequestError(ILLEGAL_VALUE)
        device.write_registers(address, list(struct.unpack(f">{count}H", data[5:])))
        return data[:4]
    if function == _IDENTIFY and data == _BASIC_IDENTIFICATION:
        return _IDENTITY
    raise RefusedRequestError(ILLEGAL_FUNCTION)


# Modbus Application Protocol V1.1b3, 6.21: MEI type 14, basic objects from the first on; the answer
# says conformity level 1, that nothing follows, and the three objects.
_BASIC_IDENTIFICATION = bytes([0x0E, 1, 0])
_IDENTITY = bytes([0x0E, 1, 1, 0, 0, 3]) + b"".join(
    bytes([number, len(text)]) + text
    for number, text in enumerate((VENDOR_NAME, PRODUCT_CODE, REVISION))
)
