"""The driver engine: polls all configured devices and answers with Readings.

One owner has one bus (a TCP host and port, or a serial line), and nobody else uses it. Buses that
never wait share a thread, every other has its own. Readers never wait for a bus: a Reading is made
on access from the newest sample of its group.
"""

from __future__ import annotations

import itertools
import resource
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from drivers.bus import LATTICE_S, BusOwner
from drivers.bus_load import PollLoad, bus_utilisation, check_bus_fits, check_device_fits
from drivers.bus_loop import BusLoop, RunningBus
from drivers.bus_thread import BusThread
from drivers.codec import BIT_FUNCTIONS
from drivers.errors import BusOverloadError, TargetError
from drivers.field_device import (
    HEARTBEAT_S,
    DeviceModel,
    DeviceSpec,
    DeviceStatistics,
    FieldDevice,
)
from drivers.profile import Check, Profile, load_profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocol import DeviceProtocol, Target, protocol_named
from drivers.read_plan import ReadBlock
from drivers.reading import Reading
from drivers.set_point import PendingWrite, WriteResult
from drivers.target import LineTarget

__all__ = ["DeviceSpec", "DeviceStatistics", "Engine", "WriteResult"]

# Heartbeats are a courtesy: on a serial bus only the polls may take more of it than this.
_HEARTBEAT_UTILISATION = 0.8

# The golden ratio spreads any number of threads evenly.
_THREAD_STEP = 0.6180339887498949

# What else the process may hold open: clients, files, libraries.
_OTHER_DESCRIPTORS = 512

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
    runner: BusThread | RunningBus | None = None

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
        self._loop: BusLoop | None = None
        self._threads = itertools.count()
        self._models: weakref.WeakValueDictionary[tuple[int, float, float], DeviceModel] = (
            weakref.WeakValueDictionary()
        )
        # Replaced, never changed: readers need no lock.
        self._devices: dict[str, tuple[FieldDevice, _Bus]] = {}
        self._ids: tuple[str, ...] = ()
        for settings in devices:
            self._register(settings)

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The ids of all devices, in the order in which they were added."""
        return self._ids

    def start(self) -> None:
        """Begin to poll.

        Raises BusOverloadError, before any thread runs, when the polls of a bus cannot fit or there
        are more buses than the process may have files open.
        """
        with self._lock:
            for bus in self._buses.values():
                _check_fits(bus)
            _allow_descriptors(len(self._buses))
            self._running = True
            for bus in self._buses.values():
                self._run(bus)

    def stop(self) -> None:
        """Stop polling and disconnect; readings go stale. May be started again."""
        with self._lock:
            self._running = False
            runners = [bus.runner for bus in self._buses.values() if bus.runner is not None]
            for bus in self._buses.values():
                bus.owner = bus.runner = None
            loop, self._loop = self._loop, None
        for runner in runners:
            runner.stop()
        if loop is not None:
            loop.stop()

    def add(self, settings: DeviceSpec) -> None:
        """Add a device, while running or not; the same errors as the constructor and `start`."""
        with self._lock:
            device, bus = self._register(settings)
            if not self._running:
                return
            try:
                _check_fits(bus)
                _allow_descriptors(len(self._buses))
            except Exception:
                self._forget(device.id)
                device.forget()
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
            owner, runner = bus.owner, bus.runner
        if owner is not None and runner is not None:
            if bus.devices:
                owner.remove(device)
                return
            runner.stop()
        device.forget()

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
        if not isinstance(bus.target, LineTarget):
            return None
        return bus_utilisation(bus.loads(), bus.baud, bus.framing)

    def write(
        self, device_id: str, point: str, value: float, *, timeout_s: float = 0.8
    ) -> WriteResult:
        """Set a point to a value in its canonical unit and read back what the device then holds.

        Raises KeyError for an unknown device and WriteRefusedError, before anything is sent, for an
        unknown or read-only point, for a value outside the profile's bounds, and when the point was
        written more recently than the profile allows.
        """
        device, bus = self._find(device_id)
        pending = PendingWrite(device, point, value, self._monotonic())
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
        serial = isinstance(target, LineTarget)
        highest = _HIGHEST_RTU_UNIT if serial else _HIGHEST_TCP_UNIT
        if not int(serial) <= settings.unit <= highest:
            raise TargetError(
                f"device {settings.id!r}: unit {settings.unit} is not in {int(serial)} to {highest}"
            )
        # Some targets name their device themselves, such as by an M-Bus secondary address.
        own_unit = getattr(target, "unit", None)
        if own_unit is not None:
            settings = replace(settings, unit=own_unit)
        bus = self._buses.get(target.bus)
        if bus is not None and bus.protocol is not protocol:
            raise TargetError(
                f"device {settings.id!r} speaks {protocol.name} on {target.bus}, where "
                f"{bus.devices[0].id!r} speaks {bus.protocol.name}"
            )
        if isinstance(target, LineTarget):
            bus = _line_bus(bus, target, settings.id, profile, protocol)
        bus = bus or _Bus(protocol, target, profile.transport)
        device = FieldDevice(settings, self._model(profile, protocol, settings), serial=serial)
        self._buses[target.bus] = bus
        bus.devices.append(device)
        self._devices = {**self._devices, settings.id: (device, bus)}
        self._ids = tuple(self._devices)
        return device, bus

    def _model(
        self, profile: Profile, protocol: DeviceProtocol, settings: DeviceSpec
    ) -> DeviceModel:
        key = (id(profile), settings.ct_ratio, settings.pt_ratio)
        model = self._models.get(key)
        if model is None:
            model = DeviceModel(profile, protocol, settings.ct_ratio, settings.pt_ratio)
            self._models[key] = model
        return model

    def _forget(self, device_id: str) -> None:
        device, bus = self._devices[device_id]
        self._devices = {k: entry for k, entry in self._devices.items() if k != device_id}
        self._ids = tuple(self._devices)
        bus.devices.remove(device)
        if not bus.devices:
            del self._buses[bus.target.bus]

    def _run(self, bus: _Bus) -> None:
        transport: Any = bus.protocol.transport(bus.target, bus.settings)
        alone = getattr(transport, "may_wait", True)
        # Threads that all woke at once would take the interpreter from each other.
        offset_s = next(self._threads) * _THREAD_STEP % 1.0 * LATTICE_S if alone else 0.0
        bus.owner = BusOwner(
            bus.target.bus,
            transport,
            wall=self._wall,
            monotonic=self._monotonic,
            offset_s=offset_s,
        )
        for device in bus.devices:
            _grant_heartbeat(bus, device)
            bus.owner.add(device)
        if alone:
            bus.runner = BusThread(bus.owner, transport)
            return
        if self._loop is None:
            self._loop = BusLoop(self._monotonic)
        bus.runner = self._loop.add(bus.owner, transport)


def _line_bus(
    bus: _Bus | None,
    target: LineTarget,
    device_id: str,
    profile: Profile,
    protocol: DeviceProtocol,
) -> _Bus:
    """The bus of a device on a serial line; all on a line speak at one rate and framing."""
    transport = profile.transport
    baud = target.baud or transport.baud[0]
    framing = target.framing or transport.framing
    if bus is None:
        settled = replace(transport, baud=(baud,), framing=framing)
        return _Bus(protocol, target, settled, baud, framing)
    if (bus.baud, bus.framing) != (baud, framing):
        raise TargetError(
            f"device {device_id!r} wants {baud} Bd {framing} on {target.bus}, where "
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
    """What the answer carries; sixteen coils take a register's bytes."""
    if not isinstance(request, ReadBlock):
        return 0
    return -(-request.count // 16) if request.fc in BIT_FUNCTIONS else request.count


def _check_fits(bus: _Bus) -> None:
    for device in bus.devices:
        rest_s = device.profile.transport.min_interval_s
        check_device_fits(bus.target.bus, device.id, rest_s, _loads(device))
    if isinstance(bus.target, LineTarget):
        check_bus_fits(bus.target.bus, bus.baud, bus.framing, bus.loads())


def _allow_descriptors(buses: int) -> None:
    """Each bus holds a file open; the usual limit of a process is 1024, which it may raise."""
    wanted = buses + _OTHER_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if wanted <= soft or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise BusOverloadError(
            f"{buses} buses and {_OTHER_DESCRIPTORS} files of other use are {wanted} open files, "
            f"the system allows this process {hard} (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _grant_heartbeat(bus: _Bus, device: FieldDevice) -> None:
    """A slow device is asked in between whether it lives, where the bus has room for that."""
    device.heartbeat_s = None
    if device.fastest_s <= HEARTBEAT_S:
        return
    if isinstance(bus.target, LineTarget):
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
