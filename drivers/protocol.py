"""The seam between the engine and the protocols that devices speak: Modbus is one among others.

A vendor's own protocol is an object that keeps DeviceProtocol, named by an entry point of the group
`dcpi_bmc.protocols` whose name is the `protocol:` of its profiles.
"""

from __future__ import annotations

import functools
import importlib
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from drivers.errors import DriverError, ProfileError, TransportError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from drivers.codec import PointCodec
    from drivers.profile_types import Profile
    from drivers.profile_types import Transport as TransportSettings

_GROUP = "dcpi_bmc.protocols"

# Imported when the first profile asks for it: module and object.
_BUILT_IN = {
    "modbus": "drivers.modbus_protocol:MODBUS",
    "sunspec": "drivers.protocols.sunspec:SUNSPEC",
    "mbus": "drivers.protocols.mbus:MBUS",
    "snmp": "drivers.protocols.snmp:SNMP",
    "sysfs": "drivers.protocols.sysfs:SYSFS",
    "line": "drivers.protocols.line:LINE",
}


class Target(typing.Protocol):
    """Where a device is. Devices with one `bus` share a connection and its owner."""

    @property
    def bus(self) -> str:
        """The connection's name, in messages too."""


class Transport(typing.Protocol):
    """What the owner of a bus needs from its wire; one thread uses it; all raise TransportError.

    It gets a thread of its own, unless it is a PatientTransport, too, whose `may_wait` is False.
    """

    def open(self) -> None:
        """Connect unless connected; the error's `connected` is False."""

    def read(self, unit: int, request: Any, timeout_s: float) -> Any:
        """The answer to one request of a plan; it connects by itself when it has to."""

    def write(self, unit: int, request: Any, timeout_s: float) -> None:
        """Send a write request; what the device made of it, a read must tell."""

    def close(self) -> None:
        """Disconnect; a no-op when disconnected."""


class Watcher(typing.Protocol):
    """Who waits for a transport's descriptor; a new one comes with each connect."""

    def watch(self, number: int, *, writable: bool) -> None:
        """Call `advance` when descriptor `number` can be read, or written when `writable`."""

    def forget(self, number: int) -> None:
        """It is about to be closed."""


class PatientTransport(typing.Protocol):
    """A transport that never waits unless `may_wait` is set. All raise TransportError."""

    watcher: Watcher | None
    may_wait: bool

    def begin(self, unit: int, request: Any) -> bool:
        """Send a request, or only connect for None; True when nothing is left to wait for."""

    def advance(self) -> Any:
        """Go on, the descriptor is ready: the answer, or None while it is not all here."""

    def expire(self) -> TransportError:
        """The time of the request is up; disconnects and gives the error that it ends with."""

    def close(self) -> None:
        """Disconnect; a no-op when disconnected."""


class GroupPlan(typing.Protocol):
    """How a group of points is fetched."""

    @property
    def requests(self) -> tuple[Any, ...]:
        """What to ask, in this order."""

    def decode(self, answers: Sequence[Any]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Canonical values and codes of `codec.QUALITIES`, both (points,), in the points' order.

        A value whose code is not OK is NaN. `answers` are those to all `requests`. A plan may also
        have `decode_many`, which takes the answers of many devices, gives arrays (devices, points),
        and must not fail whatever the answers are.
        """


class DeviceProtocol(typing.Protocol):
    """One protocol: its addresses, its requests and its wire."""

    @property
    def name(self) -> str:
        """What a profile names it by."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes of its targets, such as `tcp` in `tcp://HOST:PORT`."""

    @property
    def point_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of a point's `at`."""

    def parse_target(self, text: str) -> Target:
        """The target that `text` names; TargetError says what is wrong with it."""

    def transport(self, target: Any, settings: TransportSettings) -> Transport:
        """A transport to one of its own targets, not yet open; TargetError if there can be none."""

    def plan(self, profile: Profile, codecs: Sequence[PointCodec]) -> GroupPlan:
        """How to fetch these points of a profile."""

    def heartbeat(self, profile: Profile) -> Any:
        """The cheapest request that shows that the device lives."""

    def write_request(self, codec: PointCodec, value: float) -> Any:
        """What sets a writable point to a value in its canonical unit."""


def protocol_named(name: str) -> DeviceProtocol:
    """The protocol of that name; ProfileError names those that there are, or why it is broken."""
    known = protocols()
    if name not in known:
        raise ProfileError(f"no protocol {name!r}; there are: {', '.join(known)}")
    return known[name]


@functools.cache
def protocols() -> Mapping[str, DeviceProtocol]:
    """All protocols by name, each loaded when it is asked for, so that a broken one harms no other.

    Access raises KeyError for an unknown name and ProfileError for one that cannot be loaded.
    """
    return _Registry({entry.name: entry for entry in entry_points(group=_GROUP)})


class _Registry(Mapping[str, DeviceProtocol]):
    """The built-in protocols, which no plug-in can replace, and the entry points."""

    def __init__(self, plug_ins: Mapping[str, EntryPoint]) -> None:
        self._plug_ins = {name: entry for name, entry in plug_ins.items() if name not in _BUILT_IN}
        self._loaded: dict[str, DeviceProtocol] = {}

    def __iter__(self) -> Iterator[str]:
        yield from _BUILT_IN
        yield from self._plug_ins

    def __len__(self) -> int:
        return len(_BUILT_IN) + len(self._plug_ins)

    def __contains__(self, name: object) -> bool:
        return name in _BUILT_IN or name in self._plug_ins

    def __getitem__(self, name: str) -> DeviceProtocol:
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> DeviceProtocol:
        if name in _BUILT_IN:
            module, _, attribute = _BUILT_IN[name].partition(":")
            built_in: DeviceProtocol = getattr(importlib.import_module(module), attribute)
            return built_in
        entry = self._plug_ins[name]
        try:
            found: Any = entry.load()
        except DriverError:
            raise
        except Exception as error:  # whatever a plug-in does, the others go on
            raise ProfileError(
                f"protocol {name!r} ({entry.value}) cannot be loaded: {error}"
            ) from error
        missing = [member for member in _MEMBERS if not hasattr(found, member)]
        if missing:
            raise ProfileError(f"protocol {name!r} ({entry.value}) lacks {', '.join(missing)}")
        plug_in: DeviceProtocol = found
        return plug_in


_MEMBERS = tuple(member for member in vars(DeviceProtocol) if not member.startswith("_"))
