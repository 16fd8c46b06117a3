"""Who is there: finds units on a bus and the profiles that describe them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from drivers.codec import (
    QUALITIES,
    BlockCodec,
    PointCodec,
    bytes_to_registers,
)
from drivers.errors import TransportError
from drivers.profile_types import Condition, Point, Profile, TextCondition
from drivers.protocol import Transport
from drivers.read_plan import ReadBlock, plan_reads
from drivers.reading import Quality
from drivers.register_types import is_float, mask_shift

_FLOAT_BITS = 7.0

# A unit that leaves so many reads unanswered, or takes so long, is not asked for more profiles.
_MOST_UNHEARD = 4
_LONGEST_S = 15.0


@dataclass(frozen=True, slots=True)
class FoundUnit:
    """A unit that answers, and the profiles whose identify conditions it meets, best first.

    `untried` profiles were left out, since the unit answered too few of its reads in time.
    """

    unit: int
    profiles: tuple[Profile, ...]
    untried: int = 0


def scan(
    transport: Transport,
    units: Iterable[int],
    profiles: Sequence[Profile],
    timeout_s: float,
    progress: Callable[[int, float], None] | None = None,
) -> Iterator[tuple[int, FoundUnit | None]]:
    """Ask each unit in turn; gives every unit asked, with what was found there.

    No read is made twice on a unit, however many profiles want it, and a unit gets at most
    `_LONGEST_S`. `progress` is told the unit and the share of the profiles that were tried on it.
    Raises TransportError when the bus itself cannot be reached.
    """
    for unit in units:
        if not _answers(transport, unit, timeout_s):
            yield unit, None
            continue
        memory = _Memory(transport)
        matching = []
        tried = 0
        for profile in profiles:
            if memory.exhausted:
                break
            if _matches(memory, unit, profile, timeout_s):
                matching.append(profile)
            tried += 1
            if progress is not None:
                progress(unit, tried / len(profiles))
        matching.sort(key=evidence_bits, reverse=True)
        yield unit, FoundUnit(unit, tuple(matching), len(profiles) - tried)


class _Memory:
    """Reads of one unit, each made once: what is known already, or refused, is not asked again."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: list[tuple[ReadBlock, bytes]] = []
        self._failed: dict[ReadBlock, TransportError] = {}
        self._unheard = 0
        self._until = time.monotonic() + _LONGEST_S

    @property
    def exhausted(self) -> bool:
        """Whether more reads are not worth their time."""
        return self._unheard >= _MOST_UNHEARD or time.monotonic() > self._until

    def read(self, unit: int, request: ReadBlock, timeout_s: float) -> bytes:
        """See Transport."""
        for block, data in self._known:
            start = request.address - block.address
            if block.fc == request.fc and 0 <= start <= block.count - request.count:
                return data[2 * start : 2 * (start + request.count)]
        if request in self._failed:
            raise self._failed[request]
        try:
            answer: bytes = self._transport.read(unit, request, timeout_s)
        except TransportError as error:
            self._failed[request] = error
            self._unheard += not error.refused
            raise
        self._known.append((request, answer))
        return answer


def _answers(transport: Transport, unit: int, timeout_s: float) -> bool:
    """Whether the unit says anything: an exception to a read is an answer too."""
    try:
        transport.read(unit, ReadBlock(3, 0, 1), timeout_s)
    except TransportError as error:
        if not error.connected:
            raise
        return error.refused
    return True


def _matches(transport: _Memory, unit: int, profile: Profile, timeout_s: float) -> bool:
    """Whether every identify condition of the profile holds on the unit."""
    if profile.protocol != "modbus" or not (profile.identify or profile.identify_texts):
        return False
    asked = [profile.points[condition.point] for condition in profile.identify]
    names = dict.fromkeys(name for point in asked for name in (point.name, *point.links))
    points = [profile.points[name] for name in names]
    plan = plan_reads(points, profile.transport)
    try:
        if not all(_text_holds(transport, unit, t, timeout_s) for t in profile.identify_texts):
            return False
        data = b"".join(transport.read(unit, block, timeout_s) for block in plan.blocks)
    except TransportError:
        return False
    codecs = {point.name: PointCodec(point) for point in points}
    values, qualities = BlockCodec(list(codecs.values()), plan.positions).decode(data)
    rows = {point.name: row for row, point in enumerate(points)}
    return all(
        QUALITIES[qualities[rows[condition.point]]] is Quality.OK
        and _holds(condition, profile.points[condition.point], float(values[rows[condition.point]]))
        for condition in profile.identify
    )


def evidence_bits(profile: Profile) -> float:
    """How much it says that all identify conditions hold: -log2 of the chance that noise does.

    An interval of an integer register is judged by its share of the register's span; of random
    float32 patterns about 1 in 128, two powers of two, lies in a usual interval. A text says eight
    bits a character.
    """
    texts = sum(8.0 * len(condition.text) for condition in profile.identify_texts)
    return texts + sum(_condition_bits(c, profile.points[c.point]) for c in profile.identify)


def _text_holds(transport: _Memory, unit: int, text: TextCondition, timeout_s: float) -> bool:
    data = transport.read(unit, ReadBlock(text.fc, text.address, len(text.registers)), timeout_s)
    return text.holds(bytes_to_registers(data))


def _condition_bits(condition: Condition, point: Point) -> float:
    if is_float(point.type) or point.links:
        return _FLOAT_BITS
    steps = 2.0 ** (16 * point.registers)
    if point.mask is not None:
        steps = float((point.mask >> mask_shift(point.mask)) + 1)
    width = (condition.high - condition.low) / abs(point.scale) + 1.0
    return max(0.0, math.log2(steps / width))


def _holds(condition: Condition, point: Point, canonical: float) -> bool:
    return condition.low <= PointCodec(point).to_device(canonical) <= condition.high
