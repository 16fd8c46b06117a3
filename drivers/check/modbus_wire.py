"""Modbus frames that no driver would send, and what a device makes of them.

TCP framing after the Modbus Messaging on TCP/IP guide V1.0b, 3.1.3; RTU after Modbus over Serial
Line V1.02, 2.5.1. Whatever is sent reads or is refused by a conforming device; nothing is written.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from urllib.parse import urlsplit

from drivers.check.observations import WrongRequest
from drivers.profile_types import Profile
from drivers.read_plan import ReadBlock
from drivers.simulation.device import PRODUCT_CODE, VENDOR_NAME
from drivers.simulation.rtu_server import crc16

# A reply on a serial line is over when the line is quiet for this long; adapters deliver in pieces.
_QUIET_S = 0.06
# Modbus Application Protocol V1.1b3, 5.1: 99 is a public function that nobody has defined.
_UNDEFINED_FUNCTION = 99
_HIGHEST_ADDRESS = 0xFFFF
_MODBUS_TCP_PORT = 502  # registered with IANA for Modbus
# The same, 6.3 and 6.4: at most 125 registers in one read.
_TOO_MANY = 126
_READ_DEVICE_IDENTIFICATION = bytes([0x2B, 0x0E, 1, 0])
_EXCEPTION = 0x80
_BIT_FUNCTIONS = (1, 2)


class RawModbus:
    """A connection on which any PDU can be sent, well-formed or not; OSError when there is none."""

    def __init__(self, target: str, unit: int, timeout_s: float) -> None:
        parts = urlsplit(target)
        self._unit = unit
        self._timeout_s = timeout_s
        self._rtu = parts.scheme != "tcp"
        self._socket: socket.socket | None = None
        self._transaction = 0
        if parts.scheme == "serial":
            self._fd = os.open(parts.path, os.O_RDWR | os.O_NOCTTY)
        else:
            address = (parts.hostname, parts.port or _MODBUS_TCP_PORT)
            self._socket = socket.create_connection(address, timeout_s)
            self._fd = self._socket.fileno()

    def __enter__(self) -> RawModbus:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._fd)

    def send(self, pdu: bytes) -> None:
        """Send a PDU (function and data) in a good frame."""
        if self._rtu:
            body = bytes([self._unit]) + pdu
            frame = body + crc16(body)
        else:
            self._transaction += 1
            head = struct.pack(">HHHB", self._transaction, 0, 1 + len(pdu), self._unit)
            frame = head + pdu
        os.write(self._fd, frame)

    def ask(self, pdu: bytes) -> bytes | None:
        """The PDU of the answer; None for none in time, a broken one, or a closed connection."""
        try:
            self.send(pdu)
            return self._rtu_reply() if self._rtu else self._tcp_reply()
        except OSError:
            return None

    def _rtu_reply(self) -> bytes | None:
        reply, patience = b"", self._timeout_s
        while select.select([self._fd], [], [], patience)[0]:
            piece = os.read(self._fd, 512)
            if not piece:
                break
            reply, patience = reply + piece, _QUIET_S
        good = len(reply) >= 4 and reply[0] == self._unit and crc16(reply[:-2]) == reply[-2:]
        return reply[1:-2] if good else None

    def _tcp_reply(self) -> bytes | None:
        deadline = time.monotonic() + self._timeout_s
        reply = b""
        while time.monotonic() < deadline:
            if select.select([self._fd], [], [], deadline - time.monotonic())[0]:
                piece = os.read(self._fd, 512)
                if not piece:
                    return None
                reply += piece
            if len(reply) >= 6 and len(reply) >= 6 + int.from_bytes(reply[4:6], "big"):
                mine = int.from_bytes(reply[:2], "big") == self._transaction
                return reply[7 : 6 + int.from_bytes(reply[4:6], "big")] if mine else None
        return None


def is_simulated(target: str, unit: int, timeout_s: float) -> bool:
    """Whether the device says, by Read Device Identification, that it is one of our simulations."""
    try:
        with RawModbus(target, unit, timeout_s) as wire:
            answer = wire.ask(_READ_DEVICE_IDENTIFICATION)
    except OSError:
        return False
    return answer is not None and VENDOR_NAME in answer and PRODUCT_CODE in answer


def _pdu(block: ReadBlock) -> bytes:
    return struct.pack(">BHH", block.fc, block.address, block.count)


def wrong_requests(
    target: str, unit: int, profile: Profile, alive: ReadBlock, timeout_s: float
) -> Iterator[WrongRequest]:
    """Send what must be refused, each on a connection of its own; `alive` is read after each."""
    for kind, pdu, silence in _wrong_pdus(profile):
        answer: bytes | None = None
        for _ in range(1 if silence else 2):  # one lost answer may be this machine's own fault
            with contextlib.suppress(OSError), RawModbus(target, unit, timeout_s) as wire:
                answer = wire.ask(pdu)
            if answer is not None:
                break
        refused = answer is not None and len(answer) == 2 and answer[0] == pdu[0] | _EXCEPTION
        yield WrongRequest(
            kind,
            pdu,
            _in_words(answer, refused),
            refused or (silence and answer is None),
            answers(target, unit, alive, timeout_s),
        )


def _wrong_pdus(profile: Profile) -> Sequence[tuple[str, bytes, bool]]:
    """What is wrong, the PDU, and whether silence is an answer too (to a frame cut short)."""
    fc = next(iter(profile.points.values())).fc
    unmapped = next(
        address
        for address in range(_HIGHEST_ADDRESS, -1, -1)
        if not any(
            p.fc == fc and p.address <= address < p.address + p.registers
            for p in profile.points.values()
        )
    )
    return (
        ("a function that does not exist", bytes([_UNDEFINED_FUNCTION, 0, 0, 0, 0]), False),
        (f"an address that is not mapped ({unmapped})", _pdu(ReadBlock(fc, unmapped, 1)), False),
        ("no registers at all", _pdu(ReadBlock(fc, 0, 0)), False),
        ("126 registers", _pdu(ReadBlock(fc, 0, _TOO_MANY)), False),
        ("a request cut short", bytes([fc, 0, 0]), True),
    )


def _in_words(answer: bytes | None, refused: bool) -> str:
    if answer is None:
        return "no answer"
    if refused:
        return f"exception {answer[1]}"
    if len(answer) == 2 and answer[0] & _EXCEPTION:
        return f"exception {answer[1]}, but to function {answer[0] & ~_EXCEPTION}"
    return f"answered as if it were right: {answer[:12].hex(' ')}"


def answers(target: str, unit: int, block: ReadBlock, timeout_s: float) -> bool:
    """Whether a good read is answered, by data or by an exception, on a new connection."""
    for _ in range(2):  # a busy device may need a moment after it closed a connection
        try:
            with RawModbus(target, unit, timeout_s) as wire:
                answer = wire.ask(_pdu(block))
        except OSError:
            answer = None
        if answer is not None and answer[0] & ~_EXCEPTION == block.fc:
            return True
    return False


def abandoned_request(
    target: str, unit: int, first: ReadBlock, second: ReadBlock, timeout_s: float
) -> tuple[float | None, str]:
    """Leave before an answer, come back with another question: seconds to its answer, and a note.

    The two must differ in length, so that a late answer cannot pass for the other.
    """
    began = time.monotonic()
    try:
        with RawModbus(target, unit, timeout_s) as wire:
            wire.send(_pdu(first))
        if urlsplit(target).scheme == "serial":
            time.sleep(timeout_s)  # a line has no connection: what still comes, comes now
            _discard(target)
        with RawModbus(target, unit, timeout_s) as wire:
            answer = wire.ask(_pdu(second))
    except OSError as error:
        return None, str(error)
    if answer is None:
        return None, "the next request was not answered"
    if answer[0] == second.fc and len(answer) == 2 + _data_bytes(second):
        return time.monotonic() - began, ""
    if answer[0] == second.fc | _EXCEPTION:
        return time.monotonic() - began, f"answered by exception {answer[1]}"
    return None, "the answer to the request before was taken for it"


def _data_bytes(block: ReadBlock) -> int:
    """How many bytes of data answer a read: coils and inputs (functions 1, 2) are bits."""
    return (block.count + 7) // 8 if block.fc in _BIT_FUNCTIONS else 2 * block.count


def _discard(target: str) -> None:
    fd = os.open(urlsplit(target).path, os.O_RDWR | os.O_NOCTTY)
    try:
        while select.select([fd], [], [], _QUIET_S)[0] and os.read(fd, 512):
            pass
    finally:
        os.close(fd)
