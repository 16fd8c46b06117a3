"""The driver engine: polls all configured devices and answers with Readings.

One thread owns one bus (a TCP host and port, or a serial line). Readers never wait for it: a
Reading is made on access from the newest sample of its group.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drivers.bus import BusOwner
from drivers.bus_load import PollLoad, bus_utilisation, check_bus_fits
from drivers.errors import TargetError
from drivers.field_device import (
    HEARTBEAT_S,
    DeviceSpec,
    DeviceStatistics,
    FieldDevice,
)
from drivers.profile import Check, load_profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocol import DeviceProtocol, Target, protocol_named
from drivers.read_plan import ReadBlock
from drivers.reading import Reading
from drivers.set_point import PendingWrite, WriteResult
from drivers.target import SerialTarget

__all__ = ["DeviceSpec", "DeviceStatistics", "Engine", "WriteResult"]

# Heartbeats are a courtesy: on a serial bus only the polls may take more of it than this.
_HEARTBEAT_UTILISATION = 0.8

_HIGHEST_RTU_UNIT = 247  # Modbus over Serial Line V1.02, 2.2
_HIGHEST_TCP_UNIT = 255


@dataclass
class _Bus:
    """The devices of one bus; `baud` and `framing` matter on a serial Modbus line only."""

    protocol: DeviceProtocol
    target: Target
    settings: TransportSettings
    baud: int = 0
    framing: str = ""
    devices: list[FieldDevice] = field(default_factory=list)
    owner: BusOwner | None = None

    def loads(self) -> list[PollLoad]:
        """What the bus is asked for."""
        return [load for device in self.devices for load in _loads(device)]


class Engine:
    """Polls devices from `start` to `stop`; every other method may be called from any thread.

    Profiles are looked for in `profile_dirs` first. `wall` gives the Unix seconds of readings,
    `monotonic` the seconds that deadlines are kept by. Raises ProfileError, TargetError, and
    ValueError when an id is given twice.
    """

    def __init__(
        self,
        devices: Iterable[DeviceSpec],
        *,
        profile_dirs: Iterable[str | Path] = (),
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile_dirs = tuple(profile_dirs)
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buses: dict[str, _Bus] = {}
        self._running = False
        # Replaced, never changed: readers need no lock.
        self._devices: dict[str, tuple[FieldDevice, _Bus]] = {}
        for settings in devices:
            self._register(settings)

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The ids of all devices, in the order in which they were added."""
        return tuple(self._devices)

    def start(self) -> None:
        """Begin to poll; BusOverloadError, before any thread runs, when a serial bus cannot fit."""
        with self._lock:
            for bus in self._buses.values():
                _check_fits(bus)
            self._running = True
            for bus in self._buses.values():
                self._run(bus)

    def stop(self) -> None:
        """Stop polling and disconnect; readings go stale. May be started again."""
        with self._lock:
            self._running = False
            owners = [bus.owner for bus in self._buses.values() if bus.owner is not None]
            for bus in self._buses.values():
                bus.owner = None
        for owner in owners:
            owner.stop()

    def add(self, settings: DeviceSpec) -> None:
        """Add a device, while running or not; the same errors as the constructor and `start`."""
        with self._lock:
            device, bus = self._register(settings)
            if not self._running:
                return
            try:
                _check_fits(bus)
            except Exception:
                self._forget(device.id)
                raise
            if bus.owner is None:
                self._run(bus)
            else:
                _grant_heartbeat(bus, device)
                bus.owner.add(device)

    def remove(self, device_id: str) -> None:
        """Leave a device alone and forget it; KeyError names an unknown one."""
        with self._lock:
            device, bus = self._find(device_id)
            self._forget(device_id)
            owner = bus.owner
        if owner is not None:
            owner.remove(device)
            if not bus.devices:
                owner.stop()

    def reading(self, device_id: str, point: str) -> Reading:
        """The newest Reading of a point; KeyError names an unknown device or point."""
        return self._find(device_id)[0].reading(point, self._monotonic())

    def readings(self, device_id: str) -> dict[str, Reading]:
        """The newest Readings of all points of a device; KeyError names an unknown one."""
        return self._find(device_id)[0].readings(self._monotonic())

    def statistics(self, device_id: str) -> DeviceStatistics:
        """Polls, errors, missed slots and writes of a device; KeyError names an unknown one."""
        return self._find(device_id)[0].statistics

    def checks(self, device_id: str) -> tuple[tuple[Check, bool | None], ...]:
        """The profile's checks and whether each holds on the device, None where that is not told.

        While one fails no value of the device is known. KeyError names an unknown device.
        """
        device = self._find(device_id)[0]
        return tuple(zip(device.profile.checks, device.verdicts, strict=True))

    def utilisation(self, device_id: str) -> float | None:
        """The share of the device's serial Modbus line that all its polls take, None elsewhere."""
        bus = self._find(device_id)[1]
        if not isinstance(bus.target, SerialTarget):
            return None
        return bus_utilisation(bus.loads(), bus.baud, bus.framing)

    def write(
        self, device_id: str, point: str, value: float, *, timeout_s: float = 0.8
    ) -> WriteResult:
        """Set a point to a value in its canonical unit and read back what the device then holds.

        Raises KeyError for an unknown device and WriteRefusedError, before anything is sent, for an
        unknown or read-only point and for a value outside the profile's bounds.
        """
        device, bus = self._find(device_id)
        pending = PendingWrite(device, point, value)
        owner = bus.owner
        if owner is None:
            return WriteResult(point, value, None, "comm_error", "the engine is not running")
        owner.write(pending)
        return pending.result(timeout_s)

    def _find(self, device_id: str) -> tuple[FieldDevice, _Bus]:
        try:
            return self._devices[device_id]
        except KeyError:
            raise KeyError(f"no device {device_id!r}") from None

    def _register(self, settings: DeviceSpec) -> tuple[FieldDevice, _Bus]:
        if settings.id in self._devices:
            raise ValueError(f"device id {settings.id!r} is given twice")
        profile = load_profile(settings.profile, self._profile_dirs)
        protocol = protocol_named(profile.protocol)
        target = protocol.parse_target(settings.target)
        serial = isinstance(target, SerialTarget)
        highest = _HIGHEST_RTU_UNIT if serial else _HIGHEST_TCP_UNIT
        if not int(serial) <= settings.unit <= highest:
            raise TargetError(
                f"device {settings.id!r}: unit {settings.unit} is not in {int(serial)} to {highest}"
            )
        device = FieldDevice(settings, profile, protocol, serial=serial)
        bus = self._buses.get(target.bus)
        if bus is not None and bus.protocol is not protocol:
            raise TargetError(
                f"device {settings.id!r} speaks {protocol.name} on {target.bus}, where "
                f"{bus.devices[0].id!r} speaks {bus.protocol.name}"
            )
        if isinstance(target, SerialTarget):
            bus = _serial_bus(bus, target, device)
        bus = bus or _Bus(protocol, target, profile.transport)
        self._buses[target.bus] = bus
        bus.devices.append(device)
        self._devices = {**self._devices, settings.id: (device, bus)}
        return device, bus

    def _forget(self, device_id: str) -> None:
        device, bus = self._devices[device_id]
        self._devices = {k: entry for k, entry in self._devices.items() if k != device_id}
        bus.devices.remove(device)
        if not bus.devices:
            del self._buses[bus.target.bus]

    def _run(self, bus: _Bus) -> None:
        bus.owner = BusOwner(
            bus.target.bus,
            bus.protocol.transport(bus.target, bus.settings),
            wall=self._wall,
            monotonic=self._monotonic,
        )
        for device in bus.devices:
            _grant_heartbeat(bus, device)
            bus.owner.add(device)
        bus.owner.start()


def _serial_bus(bus: _Bus | None, target: SerialTarget, device: FieldDevice) -> _Bus:
    """The serial bus of a device; all devices on a line speak at one rate and framing."""
    transport = device.profile.transport
    baud = target.baud or transport.baud[0]
    framing = target.framing or transport.framing
    if bus is None:
        settled = replace(transport, baud=(baud,), framing=framing)
        return _Bus(device.protocol, target, settled, baud, framing)
    if (bus.baud, bus.framing) != (baud, framing):
        raise TargetError(
            f"device {device.id!r} wants {baud} Bd {framing} on {target.path}, where "
            f"{bus.devices[0].id!r} has {bus.baud} Bd {bus.framing}"
        )
    return bus


def _loads(device: FieldDevice) -> list[PollLoad]:
    turnaround_s = device.profile.transport.turnaround_s
    return [
        PollLoad(
            device.id,
            group.name,
            tuple(_registers(request) for request in group.requests),
            group.every_s,
            turnaround_s,
        )
        for group in device.groups
    ]


def _registers(request: Any) -> int:
    return request.count if isinstance(request, ReadBlock) else 0


def _check_fits(bus: _Bus) -> None:
    if isinstance(bus.target, SerialTarget):
        check_bus_fits(bus.target.bus, bus.baud, bus.framing, bus.loads())


def _grant_heartbeat(bus: _Bus, device: FieldDevice) -> None:
    """A slow device is asked in between whether it lives, where the bus has room for that."""
    device.heartbeat_s = None
    if device.fastest_s <= HEARTBEAT_S:
        return
    if isinstance(bus.target, SerialTarget):
        turnaround_s = device.profile.transport.turnaround_s
        asked = [
            PollLoad(
                other.id, "heartbeat", (_registers(other.heartbeat),), HEARTBEAT_S, turnaround_s
            )
            for other in bus.devices
            if other is device or other.heartbeat_s is not None
        ]
        taken = bus_utilisation([*bus.loads(), *asked], bus.baud, bus.framing)
        if taken > _HEARTBEAT_UTILISATION:
            return
    device.heartbeat_s = HEARTBEAT_S
