"""What a check is asked for, and whether that can be."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from drivers.check.limits import LIMITS
from drivers.check.reference import DeviceReference, TableReference, matched_points
from drivers.codec import PointCodec
from drivers.errors import CheckError
from drivers.profile_types import Profile
from drivers.protocol import protocol_named

# What tells the meters of one M-Bus line and the chips of one folder apart.
_WHICH = ("address", "secondary", "name", "device")


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What is asked of a check.

    `pairs` names the reference's point or column of a point, `quantities` what a point is judged
    as (a key of LIMITS, or "none"). `duration_s` is how long the device is watched as in service;
    the other parts take about as long again.
    """

    profile: Profile
    target: str
    unit: int
    duration_s: float = 60.0
    reference: TableReference | DeviceReference | None = None
    pairs: Mapping[str, str] = field(default_factory=dict)
    quantities: Mapping[str, str] = field(default_factory=dict)
    allow_writes: bool = False


def checked_pairs(settings: CheckSettings) -> dict[str, str]:
    """The reference's name of each point, once all that is asked is found possible.

    Raises CheckError, or TargetError for what is no address of the profile's protocol.
    """
    protocol_named(settings.profile.protocol).parse_target(settings.target)
    for name in (*settings.pairs, *settings.quantities):
        if name not in settings.profile.points:
            raise CheckError(f"{settings.profile.id} has no point {name!r}")
    for name, quantity in settings.quantities.items():
        _check_quantity(settings.profile, name, quantity)
    reference, pairs = settings.reference, dict(settings.pairs)
    if isinstance(reference, TableReference):
        reference.series(settings.profile, pairs)
    elif reference is not None:
        protocol_named(reference.profile.protocol).parse_target(reference.target)
        if _same_device((settings.target, settings.unit), (reference.target, reference.unit)):
            raise CheckError("a device is never its own reference: both are the same target")
        return matched_points(settings.profile, reference.profile, pairs)
    return pairs


def _check_quantity(profile: Profile, name: str, quantity: str) -> None:
    if quantity == "none":
        return
    if quantity not in LIMITS:
        raise CheckError(f"no quantity {quantity!r} (there are: {', '.join(LIMITS)}, none)")
    unit = PointCodec(profile.points[name]).unit
    if unit != LIMITS[quantity].unit:
        raise CheckError(f"{name} is in {unit}, {quantity} in {LIMITS[quantity].unit}")


def _same_device(one: tuple[str, int], other: tuple[str, int]) -> bool:
    """Whether two targets are one device, under whatever names."""
    return one[1] == other[1] and _place(one[0]) == _place(other[0])


def _place(target: str) -> tuple[str, int, tuple[str, ...]]:
    parts = urlsplit(target)
    options = parse_qs(parts.query)
    which = tuple(options.get(name, [""])[-1] for name in _WHICH)
    if parts.hostname:
        host = parts.hostname
        with contextlib.suppress(OSError):
            host = socket.gethostbyname(host)
        return host, parts.port or 502, which
    return os.path.realpath(Path(parts.path)), 0, which
