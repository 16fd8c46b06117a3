"""The records of an M-Bus telegram (EN 13757-3): data and value information, and numbers.

Sections are those of the public text of the standard's origin, "The M-Bus: A Documentation", 4.8.

A telegram is untrusted input: every length is checked, and what is not understood is left out or
has no value, never a guess.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_EXTENSION = 0x80
_MOST_EXTENSIONS = 10  # of a DIF or a VIF (6.3.2)

FUNCTIONS = ("instantaneous", "maximum", "minimum", "error")

# Bytes of a fixed data field by the low four bits of the DIF (6.3.2).
_INTEGER = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8}
_BCD = {9: 1, 10: 2, 11: 3, 12: 4, 14: 6}
_REAL = 5
_NOTHING = (0, 8)
_VARIABLE_LENGTH = 13

_MANUFACTURER_DATA = 0x0F
_MORE_FOLLOWS = 0x1F
_FILLER = 0x2F

_FIRST_EXTENSION = 0xFB
_MAIN_EXTENSION = 0xFD
_PLAIN_TEXT = 0x7C
_MANUFACTURER = 0x7F

# VIFEs of answers that report a fault of the record, such as 15h no data available (8.4.5).
_RECORD_ERRORS = range(0x01, 0x20)
# 10^(n-6) and 10^3 as corrections of the value (8.4.5).
_CORRECTIONS = {0x70 | n: 10.0 ** (n - 6) for n in range(8)} | {0x7D: 1e3}

_JOULES_PER_WATT_HOUR = 3600.0
_SECONDS = (1.0, 60.0, 3600.0, 86400.0)

# Value information: code -> quantity and what one step is in the quantity's unit (8.4.3).
_PRIMARY: dict[int, tuple[str, float]] = {}
for _n in range(8):
    _PRIMARY[0x00 | _n] = ("energy", 10.0 ** (_n - 3) * _JOULES_PER_WATT_HOUR)
    _PRIMARY[0x08 | _n] = ("energy", 10.0**_n)
    _PRIMARY[0x10 | _n] = ("volume", 10.0 ** (_n - 6))
    _PRIMARY[0x28 | _n] = ("power", 10.0 ** (_n - 3))
    _PRIMARY[0x30 | _n] = ("power", 10.0**_n / 3600.0)
    _PRIMARY[0x38 | _n] = ("volume_flow", 10.0 ** (_n - 6))
    _PRIMARY[0x40 | _n] = ("volume_flow", 10.0 ** (_n - 7) * 60.0)
    _PRIMARY[0x48 | _n] = ("volume_flow", 10.0 ** (_n - 9) * 3600.0)
for _n in range(4):
    _PRIMARY[0x20 | _n] = ("on_time", _SECONDS[_n])
    _PRIMARY[0x24 | _n] = ("operating_time", _SECONDS[_n])
    _PRIMARY[0x58 | _n] = ("flow_temperature", 10.0 ** (_n - 3))
    _PRIMARY[0x5C | _n] = ("return_temperature", 10.0 ** (_n - 3))
    _PRIMARY[0x60 | _n] = ("temperature_difference", 10.0 ** (_n - 3))
    _PRIMARY[0x64 | _n] = ("external_temperature", 10.0 ** (_n - 3))
    _PRIMARY[0x68 | _n] = ("pressure", 10.0 ** (_n - 3))
    _PRIMARY[0x70 | _n] = ("averaging_duration", _SECONDS[_n])
    _PRIMARY[0x74 | _n] = ("actuality_duration", _SECONDS[_n])

# After VIF FDh (8.4.4 a): voltage and current; error flags are bits.
_MAIN: dict[int, tuple[str, float]] = {0x17: ("error_flags", 1.0)}
for _n in range(16):
    _MAIN[0x40 | _n] = ("voltage", 10.0 ** (_n - 9))
    _MAIN[0x50 | _n] = ("current", 10.0 ** (_n - 12))

# After VIF FBh (8.4.4 b): the same quantities for large meters.
_FIRST: dict[int, tuple[str, float]] = {}
for _n in range(2):
    _FIRST[0x00 | _n] = ("energy", 10.0 ** (_n - 1) * 1e6 * _JOULES_PER_WATT_HOUR)
    _FIRST[0x08 | _n] = ("energy", 10.0 ** (_n - 1) * 1e9)
    _FIRST[0x10 | _n] = ("volume", 10.0 ** (_n + 2))
    _FIRST[0x28 | _n] = ("power", 10.0 ** (_n - 1) * 1e6)
    _FIRST[0x30 | _n] = ("power", 10.0 ** (_n - 1) * 1e9 / 3600.0)

# The unit of each quantity, UCUM; a difference of temperatures in Cel is one in K.
QUANTITY_UNITS = {
    "energy": "J",
    "volume": "m3",
    "on_time": "s",
    "operating_time": "s",
    "power": "W",
    "volume_flow": "m3/h",
    "flow_temperature": "Cel",
    "return_temperature": "Cel",
    "temperature_difference": "Cel",
    "external_temperature": "Cel",
    "pressure": "bar",
    "averaging_duration": "s",
    "actuality_duration": "s",
    "voltage": "V",
    "current": "A",
    "error_flags": "1",
}


@dataclass(frozen=True, slots=True)
class RecordKey:
    """Which value of a meter: `function` is one of FUNCTIONS; 0 is the present storage."""

    quantity: str
    function: str = "instantaneous"
    storage: int = 0
    tariff: int = 0
    subunit: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A value in the quantity's unit of QUANTITY_UNITS; NaN when the meter says it has none."""

    key: RecordKey
    value: float


class TelegramError(ValueError):
    """Data that is no telegram, or one of a kind that is not read; the text says why."""


def read_records(data: bytes) -> tuple[list[Record], bool]:
    """The records of the user data after the header, and whether another telegram follows.

    Records of unknown quantities, dates, texts and manufacturers' own are left out. Raises
    TelegramError when a record ends after the data.
    """
    cursor = _Cursor(data)
    records: list[Record] = []
    while not cursor.at_end:
        if cursor.peek() in (_MANUFACTURER_DATA, _MORE_FOLLOWS):
            return records, cursor.take(1)[0] == _MORE_FOLLOWS
        if cursor.peek() == _FILLER:
            cursor.take(1)
            continue
        record = _read_record(cursor)
        if record is not None:
            records.append(record)
    return records, False


class _Cursor:
    """A place in a telegram's data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def at_end(self) -> bool:
        return self._place >= len(self._data)

    def peek(self) -> int:
        return self._data[self._place]

    def take(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        if len(taken) < count:
            raise TelegramError(f"a record ends {count - len(taken)} bytes after the telegram")
        self._place += count
        return taken

    def chain(self) -> Iterator[int]:
        """A byte and its extensions, each announced by the top bit of the one before."""
        for _ in range(1 + _MOST_EXTENSIONS):
            byte = self.take(1)[0]
            yield byte
            if not byte & _EXTENSION:
                return
        raise TelegramError(f"more than {_MOST_EXTENSIONS} extensions in one record")


def _read_record(cursor: _Cursor) -> Record | None:
    dif, *difes = cursor.chain()
    value_information = list(cursor.chain())
    if value_information[0] & ~_EXTENSION == _PLAIN_TEXT:
        cursor.take(cursor.take(1)[0])
    data = _data_field(cursor, dif & 0x0F)
    meaning = _meaning(value_information)
    if meaning is None or data is None:
        return None
    quantity, factor = meaning
    number = _unsigned(data, dif) if quantity == "error_flags" else _number(data, dif & 0x0F)
    storage, tariff, subunit = (dif >> 6) & 1, 0, 0
    for place, dife in enumerate(difes):
        storage |= (dife & 0x0F) << (1 + 4 * place)
        tariff |= ((dife >> 4) & 0x03) << (2 * place)
        subunit |= ((dife >> 6) & 0x01) << place
    key = RecordKey(quantity, FUNCTIONS[(dif >> 4) & 0x03], storage, tariff, subunit)
    return Record(key, number * factor)


def _data_field(cursor: _Cursor, kind: int) -> bytes | None:
    """The bytes of a number, low byte first; None for a field that is none."""
    if kind in _NOTHING:
        return None
    if kind == _VARIABLE_LENGTH:
        _skip_variable(cursor)
        return None
    length = _INTEGER.get(kind) or _BCD.get(kind) or (4 if kind == _REAL else None)
    if length is None:
        raise TelegramError(f"data field {kind:X}h is of no known kind")
    return cursor.take(length)


def _skip_variable(cursor: _Cursor) -> None:
    """Pass over a field whose length its first byte says (6.3.2)."""
    length = cursor.take(1)[0]
    if length <= 0xBF:
        cursor.take(length)
    elif length <= 0xDF:
        cursor.take(length & 0x0F)
    elif length <= 0xEF:
        cursor.take(length - 0xE0)
    else:
        raise TelegramError(f"variable length {length:X}h is of no known kind")


def _meaning(value_information: list[int]) -> tuple[str, float] | None:
    """Quantity and factor; the factor is NaN for a record that reports its own fault."""
    first, *rest = value_information
    if first in (_FIRST_EXTENSION, _MAIN_EXTENSION):
        table = _FIRST if first == _FIRST_EXTENSION else _MAIN
        found = table.get(rest[0] & ~_EXTENSION)
        rest = rest[1:]
    elif first & ~_EXTENSION == _MANUFACTURER:
        return None
    else:
        found = _PRIMARY.get(first & ~_EXTENSION)
    if found is None:
        return None
    quantity, factor = found
    for extension in (byte & ~_EXTENSION for byte in rest):
        if extension in _RECORD_ERRORS:
            factor = math.nan
        elif extension in _CORRECTIONS:
            factor *= _CORRECTIONS[extension]
        else:
            # Something else than the plain quantity, such as when its maximum was.
            return None
    return quantity, factor


def _number(data: bytes, kind: int) -> float:
    """The number of a data field, NaN when it says that it has none (types A, B and H)."""
    if kind == _REAL:
        real: float = struct.unpack("<f", data)[0]
        return real if math.isfinite(real) else math.nan
    if kind in _BCD:
        return _bcd(data)
    number = int.from_bytes(data, "little", signed=True)
    lowest = -(1 << (8 * len(data) - 1))
    return math.nan if number == lowest else float(number)


def _unsigned(data: bytes, dif: int) -> float:
    return _bcd(data) if dif & 0x0F in _BCD else float(int.from_bytes(data, "little"))


def _bcd(data: bytes) -> float:
    """Type A: digits from the last byte's high nibble on; F in front is a minus sign."""
    digits = data[::-1].hex()
    sign = -1.0 if digits[0] == "f" else 1.0
    if sign < 0:
        digits = f"0{digits[1:]}"
    # Other letters are what meters show instead of a number, such as an error.
    return sign * int(digits) if digits.isdecimal() else math.nan
