"""M-Bus frames (EN 13757-2) and the fixed header of a meter's answer (EN 13757-3)."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.protocols.mbus_record import TelegramError

ACKNOWLEDGED = 0xE5
_SHORT, _LONG, _STOP = 0x10, 0x68, 0x16

# C fields (EN 13757-2, 5.5): link reset, request of class 2 data, send data; FCB toggles.
SND_NKE = 0x40
REQ_UD2 = 0x5B
SND_UD = 0x53
FCB = 0x20
_RSP_UD = 0x08
_RSP_UD_MASK = 0xCF  # without ACD and DFC

NETWORK_LAYER = 0xFD  # the address of whoever was selected by its secondary address
HIGHEST_PRIMARY = 250

# CI fields: select by secondary address; answers with a long header, a short one and none.
_SELECT = 0x52
_LONG_HEADER, _SHORT_HEADER, _NO_HEADER = 0x72, 0x7A, 0x78
_LONG_HEADER_BYTES = 12
_SHORT_HEADER_BYTES = 4

# Status field (EN 13757-3, table 9): the application is busy and has no data.
_STATUS_APPLICATION = 0x03
_BUSY = 0x01

HEADER_FIELDS = ("identification", "manufacturer", "version", "medium", "status")


@dataclass(frozen=True, slots=True)
class Header:
    """Who answers. `manufacturer` is the coded three letters, `medium` 4 a heat meter's outlet."""

    identification: int
    manufacturer: int
    version: int
    medium: int
    status: int


@dataclass(frozen=True, slots=True)
class Telegram:
    """One answer: `header` is None when it came without one, `records` is the user data."""

    header: Header | None
    records: bytes


def manufacturer_letters(code: int) -> str:
    """The three letters of a manufacturer's code (EN 13757-3: 5 bits each, A is 1)."""
    return "".join(chr(64 + (code >> shift & 0x1F)) for shift in (10, 5, 0))


def short_frame(control: int, address: int) -> bytes:
    """A frame without data."""
    return bytes([_SHORT, control, address, (control + address) & 0xFF, _STOP])


def long_frame(control: int, address: int, ci: int, data: bytes) -> bytes:
    """A frame with data."""
    body = bytes([control, address, ci]) + data
    return bytes([_LONG, len(body), len(body), _LONG]) + body + bytes([sum(body) & 0xFF, _STOP])


def select_frame(secondary: int) -> bytes:
    """Selects the meter of a secondary address: its 16 hex digits as libmbus prints them.

    8 digits of identification, 4 of the manufacturer's code with the low byte first, 2 of version,
    2 of medium; F is any.
    """
    digits = secondary.to_bytes(8, "big")
    data = digits[3::-1] + digits[4:]
    return long_frame(SND_UD, NETWORK_LAYER, _SELECT, data)


def frame_length(data: bytes) -> int | None:
    """How long the frame at the front of `data` is, None when that is not known yet.

    Raises TelegramError when no frame begins so.
    """
    if not data:
        return None
    if data[0] == ACKNOWLEDGED:
        return 1
    if data[0] == _SHORT:
        return 5
    if data[0] != _LONG:
        raise TelegramError(f"no frame begins with {data[0]:02X}h")
    if len(data) < 4:
        return None
    if data[1] != data[2] or data[3] != _LONG or data[1] < 3:
        raise TelegramError(f"no frame begins with {data[:4].hex(' ').upper()}")
    return data[1] + 6


def read_telegram(frame: bytes, address: int) -> Telegram:
    """The answer in a whole frame from the meter that was asked; TelegramError says why not."""
    if len(frame) < 9 or frame[-1] != _STOP or sum(frame[4:-2]) & 0xFF != frame[-2]:
        raise TelegramError("checksum or stop is wrong")
    if frame[4] & _RSP_UD_MASK != _RSP_UD:
        raise TelegramError(f"control field {frame[4]:02X}h is no answer")
    if NETWORK_LAYER != address != frame[5]:
        raise TelegramError(f"the answer is from address {frame[5]}")
    ci, data = frame[6], frame[7:-2]
    if ci == _NO_HEADER:
        return Telegram(None, data)
    if ci == _LONG_HEADER and len(data) >= _LONG_HEADER_BYTES:
        return _with_header(data)
    if ci == _SHORT_HEADER and len(data) >= _SHORT_HEADER_BYTES:
        _refuse_encrypted(data[2:4])
        return Telegram(None, data[_SHORT_HEADER_BYTES:])
    raise TelegramError(f"answers of CI {ci:02X}h and {len(data)} bytes are not read")


def _with_header(data: bytes) -> Telegram:
    _refuse_encrypted(data[10:12])
    header = Header(
        identification=int.from_bytes(data[:4], "little"),
        manufacturer=int.from_bytes(data[4:6], "little"),
        version=data[6],
        medium=data[7],
        status=data[9],
    )
    if header.status & _STATUS_APPLICATION == _BUSY:
        raise TelegramError("the meter's application is busy")
    return Telegram(header, data[_LONG_HEADER_BYTES:])


def _refuse_encrypted(configuration: bytes) -> None:
    if configuration[1] & 0x1F:
        raise TelegramError(f"encrypted, mode {configuration[1] & 0x1F}")
