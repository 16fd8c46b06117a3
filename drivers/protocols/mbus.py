"""M-Bus meters (EN 13757-2 and -3) on a serial line or behind a TCP gateway."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from drivers.codec import PointCodec
from drivers.errors import ProfileError, TargetError, TransportError, WriteRefusedError
from drivers.profile_types import Profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocols.byte_line import (
    LINE_OPTIONS,
    ByteLine,
    StreamTarget,
    byte_line,
    line_target,
)
from drivers.protocols.mbus_record import (
    FUNCTIONS,
    QUANTITY_UNITS,
    Record,
    RecordKey,
    TelegramError,
    read_records,
)
from drivers.protocols.mbus_telegram import (
    ACKNOWLEDGED,
    FCB,
    HEADER_FIELDS,
    HIGHEST_PRIMARY,
    NETWORK_LAYER,
    REQ_UD2,
    SND_NKE,
    Telegram,
    frame_length,
    read_telegram,
    select_frame,
    short_frame,
)
from drivers.protocols.number_plan import NumberPlan, refuse_writes
from drivers.protocols.target_url import split_target

_FORM = "mbus+tcp://HOST:PORT?address=1 or mbus+serial:///dev/NAME?address=1"

_MOST_TELEGRAMS = 16  # of one answer; a meter that always says more follows must not hold the bus
_LONGEST_FRAME = 261
_BITS_PER_BYTE = 11  # start, 8 data, parity, stop


@dataclass(frozen=True, slots=True)
class MbusTarget:
    """A meter on a line: `unit` is its primary address, or its secondary one (above 255)."""

    line: StreamTarget
    unit: int | None = None

    @property
    def bus(self) -> str:
        """The line."""
        return self.line.bus


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A number of the telegram's fixed header."""

    name: str


class MbusTransport:
    """See Transport; a request is a tuple of RecordKey and HeaderField, the answer their numbers.

    A unit up to 250 is a primary address, a larger one a secondary address as 16 hex digits.
    """

    def __init__(self, line: ByteLine, name: str, baud: int) -> None:
        self._line = line
        self._name = name
        # On a gateway's own line the bytes take their time too.
        self._longest_frame_s = _LONGEST_FRAME * _BITS_PER_BYTE / baud

    def open(self) -> None:
        """See Transport."""
        self._line.open()

    def read(
        self, unit: int, request: Sequence[RecordKey | HeaderField], timeout_s: float
    ) -> list[float]:
        """See Transport; NaN for what the meter does not tell or says it has not."""
        known: dict[RecordKey | HeaderField, float] = {}
        try:
            address = self._address(unit, timeout_s)
            if not request:
                return []
            for telegram, records in self._telegrams(unit, address, timeout_s):
                if telegram.header is not None:
                    for name in HEADER_FIELDS:
                        known[HeaderField(name)] = float(getattr(telegram.header, name))
                for record in records:
                    # The first of a kind is the meter's own, later ones are of its subparts.
                    known.setdefault(record.key, record.value)
        except TelegramError as error:
            self._line.drain(patient=True)
            raise TransportError(f"{self._name} {_spelled(unit)}: {error}") from error
        return [known.get(key, math.nan) for key in request]

    def write(self, unit: int, request: object, timeout_s: float) -> None:  # noqa: ARG002
        """Nothing of a meter is ever written."""
        raise TransportError(f"{self._name} {_spelled(unit)}: M-Bus meters are only read")

    def close(self) -> None:
        """See Transport."""
        self._line.close()

    def _telegrams(
        self, unit: int, address: int, timeout_s: float
    ) -> Iterator[tuple[Telegram, list[Record]]]:
        """All telegrams of one answer, each with its records."""
        control = REQ_UD2 | FCB
        for _ in range(_MOST_TELEGRAMS):
            frame = self._exchange(unit, short_frame(control, address), timeout_s)
            telegram = read_telegram(frame, address)
            records, more = read_records(telegram.records)
            yield telegram, records
            if not more:
                return
            control ^= FCB
        raise TelegramError(f"more than {_MOST_TELEGRAMS} telegrams in one answer")

    def _address(self, unit: int, timeout_s: float) -> int:
        """Reset the meter's link, so that it begins with its first telegram; its address now."""
        if unit <= HIGHEST_PRIMARY:
            self._acknowledge(unit, short_frame(SND_NKE, unit), timeout_s)
            return unit
        # Who was selected before is deselected; nobody may be, so that no answer is needed.
        self._acknowledge(unit, select_frame(unit), timeout_s)
        return NETWORK_LAYER

    def _acknowledge(self, unit: int, frame: bytes, timeout_s: float) -> None:
        answer = self._exchange(unit, frame, timeout_s)
        if answer != bytes([ACKNOWLEDGED]):
            raise TelegramError(f"{answer[:4].hex(' ').upper()}… instead of an acknowledgement")

    def _exchange(self, unit: int, frame: bytes, timeout_s: float) -> bytes:
        """One whole frame in answer to another."""
        self._line.open()
        self._line.drain(patient=False)
        self._line.write(frame)
        deadline = time.monotonic() + timeout_s
        began = False
        data = b""
        while True:
            more = self._line.read(deadline - time.monotonic())
            if not more:
                # What comes later must not pass for the answer to the next question.
                self._line.drain(patient=True)
                what = f"half an answer ({len(data)} bytes)" if data else "no answer"
                raise TransportError(f"{self._name} {_spelled(unit)}: {what} in time")
            if not began:
                began = True
                deadline += self._longest_frame_s
            data += more
            length = frame_length(data)
            if length is not None and len(data) >= length:
                if len(data) > length:
                    raise TelegramError(f"{len(data) - length} bytes after the frame's end")
                return data


def _spelled(unit: int) -> str:
    return f"address {unit}" if unit <= HIGHEST_PRIMARY else f"secondary address {unit:016X}"


class MbusProtocol:
    """See DeviceProtocol; all points of a group come with one request."""

    name = "mbus"
    schemes = ("mbus+tcp", "mbus+serial")
    point_schema: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "quantity": {"enum": list(QUANTITY_UNITS)},
                "function": {"enum": list(FUNCTIONS)},
                "storage": {"type": "integer", "minimum": 0},
                "tariff": {"type": "integer", "minimum": 0},
                "subunit": {"type": "integer", "minimum": 0},
                "header": {"enum": list(HEADER_FIELDS)},
            },
            "oneOf": [{"required": ["quantity"]}, {"required": ["header"], "maxProperties": 1}],
        }
    )

    def parse_target(self, text: str) -> MbusTarget:
        """See DeviceProtocol; `address` is primary, `secondary` 16 hex digits."""
        url = split_target(text, _FORM, (*LINE_OPTIONS, "address", "secondary"))
        line = line_target(url, _FORM)
        secondary = url.options.get("secondary")
        if secondary is None:
            return MbusTarget(line, url.number("address", 0, HIGHEST_PRIMARY))
        if "address" in url.options:
            raise TargetError(f"target {url.text!r}: both address and secondary")
        if len(secondary) != 16 or not set(secondary.upper()) <= set("0123456789ABCDEF"):
            raise TargetError(f"target {url.text!r}: secondary {secondary!r} is not 16 hex digits")
        if int(secondary, 16) <= HIGHEST_PRIMARY:
            raise TargetError(f"target {url.text!r}: secondary {secondary!r} names no meter")
        return MbusTarget(line, int(secondary, 16))

    def transport(self, target: MbusTarget, settings: TransportSettings) -> MbusTransport:
        """See DeviceProtocol."""
        baud = target.line.baud or settings.baud[0]
        return MbusTransport(byte_line(target.line, settings), target.bus, baud)

    def plan(self, profile: Profile, codecs: Sequence[PointCodec]) -> NumberPlan:
        """See DeviceProtocol; ProfileError when a point's unit is not its quantity's."""
        refuse_writes(profile, codecs, "M-Bus")
        for codec in codecs:
            unit = QUANTITY_UNITS.get(codec.point.at.get("quantity", ""), "1")
            if codec.point.unit != unit:
                raise ProfileError(
                    f"{profile.path}: points/{codec.point.name}/unit: "
                    f"this quantity comes in {unit}, not in {codec.point.unit}"
                )
        return NumberPlan(codecs, [(tuple(map(_key, codecs)), range(len(codecs)))])

    def heartbeat(self, profile: Profile) -> tuple[RecordKey | HeaderField, ...]:  # noqa: ARG002
        """See DeviceProtocol."""
        # Nothing but the link: a whole telegram twice a second would be too much for the meter.
        return ()

    def write_request(self, codec: PointCodec, value: float) -> object:
        """Never: `plan` refuses profiles with writable points."""
        raise WriteRefusedError(f"{codec.point.name}: M-Bus is only read (asked for {value:g})")


def _key(codec: PointCodec) -> RecordKey | HeaderField:
    at = codec.point.at
    return HeaderField(at["header"]) if "header" in at else RecordKey(**at)


MBUS = MbusProtocol()
