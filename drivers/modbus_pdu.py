"""Modbus requests and answers without their framing.

Modbus Application Protocol V1.1b3, chapter 6. Registers travel as bytes, two each, high byte first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from drivers.codec import BIT_FUNCTIONS, bits_to_bytes
from drivers.errors import TransportError
from drivers.read_plan import ReadBlock

WRITE_SINGLE = 6
WRITE_MULTIPLE = 16
MASK_WRITE = 22
READ_WRITE_MULTIPLE = 23

# Chapter 7; the gateway's two say that the device itself was not heard.
_EXCEPTION_BIT = 0x80
_GATEWAY_EXCEPTIONS = (0x0A, 0x0B)
_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge, still busy",
    6: "server device busy",
    8: "memory parity error",
    0x0A: "gateway path unavailable",
    0x0B: "gateway target device failed to respond",
}

# The head of a read or write request's PDU: function, address, and a count or a value.
HEAD = struct.Struct(">BHH")


@dataclass(frozen=True, slots=True)
class WriteBlock:
    """One write: `registers`, two bytes each, from `address` on by function `fc`.

    6 and 16 set whole registers, 23 does and reads them back in one go, 22 sets the bits of `mask`
    and leaves the others of its one register alone.
    """

    fc: int
    address: int
    registers: bytes
    mask: int = 0xFFFF


def request_pdu(request: ReadBlock | WriteBlock) -> bytes:
    """The request as its function puts it."""
    if isinstance(request, ReadBlock):
        return HEAD.pack(request.fc, request.address, request.count)
    address, registers = request.address, request.registers
    count = len(registers) // 2
    if request.fc == WRITE_SINGLE:
        return struct.pack(">BH", WRITE_SINGLE, address) + registers
    if request.fc == MASK_WRITE:
        return HEAD.pack(MASK_WRITE, address, ~request.mask & 0xFFFF) + registers
    if request.fc == READ_WRITE_MULTIPLE:
        head = struct.pack(
            ">BHHHHB", READ_WRITE_MULTIPLE, address, count, address, count, len(registers)
        )
        return head + registers
    return struct.pack(">BHHB", WRITE_MULTIPLE, address, count, len(registers)) + registers


def answer_of(request: ReadBlock | WriteBlock, pdu: bytes) -> bytes | None:
    """The registers of a read's answer (coils as registers of 0 or 1), nothing of a write's.

    None when it answers another request.
    A device that sets another value than it was told may say so: only a read tells what it holds.
    """
    length = answer_length(request)
    if len(pdu) != length or pdu[0] != request.fc:
        return None
    if isinstance(request, ReadBlock) or request.fc == READ_WRITE_MULTIPLE:
        if pdu[1] != length - 2:
            return None
        if isinstance(request, ReadBlock) and request.fc in BIT_FUNCTIONS:
            return bits_to_bytes(pdu[2:], request.count)
        return pdu[2:]
    return b"" if pdu[1:3] == request.address.to_bytes(2) else None


def answer_length(request: ReadBlock | WriteBlock) -> int:
    """The bytes of the PDU that answers it, unless it is an exception."""
    if isinstance(request, ReadBlock):
        return 2 + (-(-request.count // 8) if request.fc in BIT_FUNCTIONS else 2 * request.count)
    if request.fc == READ_WRITE_MULTIPLE:
        return 2 + len(request.registers)
    return 7 if request.fc == MASK_WRITE else 5


def exception_of(pdu: bytes, where: str) -> TransportError | None:
    """What a PDU says when it is an exception."""
    if len(pdu) != 2 or not pdu[0] & _EXCEPTION_BIT:
        return None
    code = pdu[1]
    reason = _EXCEPTIONS.get(code, "unknown exception")
    return TransportError(
        f"{where}: {reason} (exception {code})",
        exception_code=code,
        refused=code not in _GATEWAY_EXCEPTIONS,
    )
