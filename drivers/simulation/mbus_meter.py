"""A simulated M-Bus meter (EN 13757-2 and -3): what its profile names, as 32-bit integers."""

from __future__ import annotations

import math
import struct
import time
from collections.abc import Sequence
from typing import Any

from drivers.simulation.point_values import PointValues

# Quantity -> value information (VIF, VIFE) and what one step of it is in the quantity's unit.
_CODES: dict[str, tuple[bytes, float]] = {
    "energy": (b"\x06", 3.6e6),
    "volume": (b"\x14", 0.01),
    "on_time": (b"\x22", 3600.0),
    "operating_time": (b"\x26", 3600.0),
    "power": (b"\x2b", 1.0),
    "volume_flow": (b"\x3b", 0.001),
    "flow_temperature": (b"\x59", 0.01),
    "return_temperature": (b"\x5d", 0.01),
    "temperature_difference": (b"\x61", 0.01),
    "external_temperature": (b"\x65", 0.01),
    "pressure": (b"\x68", 0.001),
    "averaging_duration": (b"\x70", 1.0),
    "actuality_duration": (b"\x74", 1.0),
    "voltage": (b"\xfd\x48", 0.1),
    "current": (b"\xfd\x59", 0.001),
    "error_flags": (b"\xfd\x17", 1.0),
}
_INTEGER_32 = 0x04
_FUNCTION_BITS = {"instantaneous": 0x00, "maximum": 0x10, "minimum": 0x20, "error": 0x30}
_NO_VALUE = -0x80000000  # EN 13757-3, type B: the lowest integer is none
_HEADER_DEFAULTS = {"manufacturer": 0x0443, "version": 1, "medium": 4, "status": 0}

_ACK = b"\xe5"
_NETWORK_LAYER = 0xFD


class MbusMeter:
    """One meter on a line, as a Conversation; `primary` is its address, `records` per telegram.

    `identification` has the digits of the number on the meter, as hex digits.
    """

    def __init__(
        self,
        values: PointValues,
        primary: int = 1,
        *,
        records: int = 60,
        identification: int = 0x12345678,
    ) -> None:
        self._identification = identification
        self._values = values
        self._primary = primary
        self._per_telegram = records
        self._pending = b""
        self._selected = False
        self._next_telegram = 0
        self._last_control: int | None = None
        self._access = 0

    @property
    def secondary(self) -> int:
        """The secondary address, see `mbus_telegram.select_frame`."""
        header = self._header()
        manufacturer = header["manufacturer"].to_bytes(2, "little")
        ends = bytes([header["version"], header["medium"]])
        return int.from_bytes(
            header["identification"].to_bytes(4, "big") + manufacturer + ends, "big"
        )

    def speak(self) -> bytes:
        """A meter speaks only when it is asked."""
        return b""

    def hear(self, data: bytes) -> bytes:
        """See Conversation."""
        self._pending += data
        said = b""
        while frame := self._take():
            said += self._answer(frame)
        if said and not self._values.hears():
            return b""
        if said and self._values.delay_s:
            time.sleep(self._values.delay_s)
        return said

    def _take(self) -> bytes:
        """The next whole frame; what no frame begins with is passed over."""
        while self._pending and self._pending[0] not in (0x10, 0x68):
            self._pending = self._pending[1:]
        if len(self._pending) < 5:
            return b""
        length = 5 if self._pending[0] == 0x10 else self._pending[1] + 6
        if len(self._pending) < length:
            return b""
        frame, self._pending = self._pending[:length], self._pending[length:]
        body = frame[1:-2] if frame[0] == 0x10 else frame[4:-2]
        return frame if sum(body) & 0xFF == frame[-2] else b"\x00"

    def _answer(self, frame: bytes) -> bytes:
        if frame[0] == 0x68:
            return self._select(frame)
        if frame[0] != 0x10:
            return b""
        control, address = frame[1], frame[2]
        if address != self._primary and not (address == _NETWORK_LAYER and self._selected):
            return b""
        if control == 0x40:
            self._next_telegram, self._last_control = 0, None
            return _ACK
        if control & 0xCF == 0x4B:
            return self._telegram(control)
        return b""

    def _select(self, frame: bytes) -> bytes:
        """Selection by secondary address: every digit that is not F must be the meter's."""
        self._selected = False
        if frame[5] != _NETWORK_LAYER or frame[6] != 0x52 or len(frame) != 17:
            return b""
        asked = frame[7:11][::-1] + frame[11:15]
        wanted, own = asked.hex(), f"{self.secondary:016x}"
        self._selected = all(w in ("f", o) for w, o in zip(wanted, own, strict=True))
        self._next_telegram, self._last_control = 0, None
        return _ACK if self._selected else b""

    def _telegram(self, control: int) -> bytes:
        """The next telegram, or the same once more when the frame count bit has not changed."""
        parts = self._parts()
        if self._last_control is not None and control != self._last_control:
            self._next_telegram = (self._next_telegram + 1) % len(parts)
        self._last_control = control
        self._access = (self._access + 1) & 0xFF
        number = self._next_telegram
        more = b"\x1f" if number < len(parts) - 1 else b""
        header = self._header()
        user = struct.pack(
            "<IHBBBBH",
            header["identification"],
            header["manufacturer"],
            header["version"],
            header["medium"],
            self._access,
            header["status"],
            0,
        )
        body = bytes([0x08, self._primary, 0x72]) + user + b"".join(parts[number]) + more
        frame = bytes([0x68, len(body), len(body), 0x68]) + body
        return frame + bytes([sum(body) & 0xFF, 0x16])

    def _parts(self) -> list[Sequence[bytes]]:
        records = [
            _record(point.at, self._values.raw(name))
            for name, point in self._values.profile.points.items()
            if "quantity" in point.at
        ]
        size = self._per_telegram
        return [records[start : start + size] for start in range(0, len(records), size)] or [[]]

    def _header(self) -> dict[str, int]:
        header = {"identification": self._identification, **_HEADER_DEFAULTS}
        for name, point in self._values.profile.points.items():
            raw = self._values.raw(name)
            if "header" in point.at and raw > 0:
                header[point.at["header"]] = round(raw)
        return header


def _record(at: dict[str, Any] | Any, number: float) -> bytes:
    """One record: data information, value information, data."""
    code, step = _CODES[at["quantity"]]
    storage, tariff, subunit = at.get("storage", 0), at.get("tariff", 0), at.get("subunit", 0)
    information = [_INTEGER_32 | _FUNCTION_BITS[at.get("function", "instantaneous")]]
    information[0] |= (storage & 1) << 6
    storage >>= 1
    while storage or tariff or subunit:
        information[-1] |= 0x80
        information.append((storage & 0x0F) | (tariff & 0x03) << 4 | (subunit & 0x01) << 6)
        storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
    value = _NO_VALUE
    if not math.isnan(number):
        value = min(max(round(number / step), _NO_VALUE + 1), -_NO_VALUE - 1)
    return bytes(information) + code + struct.pack("<i", value)
