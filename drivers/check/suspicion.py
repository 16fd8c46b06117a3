"""When values do not fit: which byte order, address or scale they would fit in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from drivers.check.observations import Suspicion
from drivers.codec import QUALITIES, PointCodec
from drivers.errors import TransportError
from drivers.profile_types import Point, Profile
from drivers.protocol import Transport, protocol_named
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.register_types import ORDERS

_SHIFTS = (0, -1, 1)
# A value that is within this share of the reference fits it.
_FITS = 0.05
# Beyond this share of the reference a value is not inexact but another one.
_FAR = 0.2
# What explains fewer of the demands is chance.
_CONVINCING = 0.85
# Scales that are taken for one another: powers of ten, minutes and seconds, hours, m³/h.
_SCALES = {
    1e-3: "1000 times too small",
    1e-2: "100 times too small",
    0.1: "10 times too small",
    10.0: "10 times too large",
    100.0: "100 times too large",
    1e3: "1000 times too large",
    60.0: "60 times too large: per minute or per hour?",
    1 / 60.0: "60 times too small: per minute or per hour?",
    16.6667: "16.67 times too large: m3/h read as L/min?",
    0.06: "16.67 times too small: L/min read as m3/h?",
    6.89476: "6.895 times too large: kPa read as psi?",
    14.5038: "14.5 times too large: psi read as bar?",
}
_SCALE_FITS = 0.03


@dataclass(frozen=True, slots=True)
class _Fit:
    order: str | None
    shift: int
    right: int
    asked: int

    @property
    def text(self) -> str:
        order = "the profile's byte order" if self.order is None else f"byte order {self.order}"
        where = f"addresses {self.shift:+d}" if self.shift else "the profile's addresses"
        return f"{order}, {where}"


def suspicions(
    transport: Transport,
    unit: int,
    profile: Profile,
    timeout_s: float,
    truth: Mapping[str, float],
) -> list[Suspicion]:
    """All four byte orders at the profile's addresses and one beside: those that fit better.

    `truth` are values of the reference, by point, canonical. An order or address is named when it
    meets most of what the profile and the reference ask, and more than the profile's own does.
    """
    fits = list(_fits(transport, unit, profile, timeout_s, truth))
    own = next(fit for fit in fits if fit.order is None and fit.shift == 0)
    if own.right == own.asked:
        return []
    better = [f for f in fits if f.right > own.right and f.right >= _CONVINCING * f.asked]
    best = max((fit.right for fit in better), default=0)
    return [
        Suspicion(
            f"the values fit with {fit.text}",
            f"{fit.right} of {fit.asked} ranges, conditions, checks and reference values hold, "
            f"with the profile's own {own.right}",
        )
        for fit in better
        if fit.right == best
    ]


def _fits(
    transport: Transport,
    unit: int,
    profile: Profile,
    timeout_s: float,
    truth: Mapping[str, float],
) -> Iterator[_Fit]:
    wide = any(point.registers > 1 for point in profile.points.values())
    for shift in _SHIFTS:
        cache: dict[ReadBlock, bytes | None] = {}
        for order in (None, *ORDERS) if wide else (None,):
            points = [_moved(point, order, shift) for point in profile.points.values()]
            if order is not None and all(
                point.order == profile.points[point.name].order for point in points
            ):
                continue
            values: dict[str, float | None] = {}
            for group in profile.groups:
                members = [point for point in points if point.group == group]
                values |= _read(transport, unit, members, profile, timeout_s, cache)
            right, asked = _score(profile, values, truth)
            yield _Fit(order, shift, right, asked)


def _moved(point: Point, order: str | None, shift: int) -> Point:
    address = min(max(point.address + shift, 0), 0x10000 - point.registers)
    return replace(point, order=order or point.order, address=address)


def _read(
    transport: Transport,
    unit: int,
    points: Sequence[Point],
    profile: Profile,
    timeout_s: float,
    cache: dict[ReadBlock, bytes | None],
) -> dict[str, float | None]:
    """Values by point, canonical; None where they are not to be had or impossible."""
    if not points:
        return {}
    plan = protocol_named(profile.protocol).plan(profile, [PointCodec(point) for point in points])
    for block in plan.requests:
        if block not in cache:
            cache[block] = _answer(transport, unit, block, timeout_s)
    unread = [block for block in plan.requests if cache[block] is None]
    numbers, qualities = plan.decode(
        [cache[block] or bytes(2 * block.count) for block in plan.requests]
    )
    return {
        point.name: float(number)
        if QUALITIES[quality] is Quality.OK and not _in(point, unread)
        else None
        for point, number, quality in zip(points, numbers, qualities, strict=True)
    }


def _answer(transport: Transport, unit: int, block: ReadBlock, timeout_s: float) -> bytes | None:
    """The registers; None when they are refused, or twice not answered."""
    for _ in range(2):
        try:
            answer: bytes = transport.read(unit, block, timeout_s)
        except TransportError as error:
            if error.refused:
                return None
        else:
            return answer
    return None


def _in(point: Point, blocks: Iterable[ReadBlock]) -> bool:
    return any(
        block.fc == point.fc and block.address <= point.address < block.address + block.count
        for block in blocks
    )


def _score(
    profile: Profile, values: Mapping[str, float | None], truth: Mapping[str, float]
) -> tuple[int, int]:
    """How many of the profile's demands and the reference's values the values meet, and of all."""
    own = {
        name: PointCodec(profile.points[name]).to_device(value)
        for name, value in values.items()
        if value is not None
    }
    demands = [name in own for name in profile.points]
    demands += [
        condition.low <= own.get(condition.point, math.nan) <= condition.high
        for condition in profile.identify
    ]
    demands += [check.holds(own) is True for check in profile.checks]
    demands += [
        abs((values.get(name) or 0.0) - true) <= _FITS * abs(true)
        for name, true in truth.items()
        if true
    ]
    return sum(demands), len(demands)


def scale_suspicion(point: str, device: float | None, reference: float) -> Suspicion | None:
    """Whether a value stands to the reference's as scales do that get mixed up."""
    if not reference or not device:
        return None
    ratio = device / reference
    if math.isclose(ratio, -1.0, rel_tol=_SCALE_FITS):
        return Suspicion(f"{point} has the opposite sign", f"it reads {ratio:.4g} of the reference")
    for factor, text in _SCALES.items():
        if math.isclose(ratio, factor, rel_tol=_SCALE_FITS):
            return Suspicion(f"{point} is {text}", f"it reads {ratio:.5g} times the reference")
    return None


def far_off(seen: Mapping[str, float], truth: Mapping[str, float]) -> bool:
    """Whether any value is nowhere near the reference's."""
    return any(
        abs(seen[name] - true) > _FAR * abs(true) for name, true in truth.items() if name in seen
    )
