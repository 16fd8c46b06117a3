"""Faults of the plant and its devices: where each enters, and that it ends when its last one does.

A campus with faults is still one truth: what a fault of the plant changes has happened, what a
fault of a device changes is shown only.
"""

from __future__ import annotations

import difflib
import math
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

from drivers.simulation import Fault as DeviceFault
from drivers.simulation import SimulatedDevice
from emulator.faults.vocabulary import Fault
from emulator.plant.campus import Campus
from emulator.plant.errors import FaultError
from emulator.plant.facility import Facility
from emulator.plant.field_devices import FieldDevices, gateway_of, profiles_of
from emulator.plant.it_load import Workload

PLACES = ("plant", "device")
"""Of the faults that enter here."""

_NEAREST = 4  # names that an error offers
_SHOWN = 80  # characters of a name that an error repeats
_AMOUNTS = {
    "stuck": None,
    "noise": "amount",
    "bias": "amount",
    "drift": "amount",
    "factor": "factor",
    "lag": "time_constant_s",
}
"""Faults of what is measured, by the names that they have in drivers.simulation, too."""


class Reach(Protocol):
    """What can put a device, a gateway or a stream out of reach, and back."""

    def stop_device(self, name: str) -> None:
        """It answers nothing any more."""

    def start_device(self, name: str) -> None:
        """It answers again."""


def check_fault(fault: Fault, facility: Facility) -> None:
    """FaultError when there is no such loop, device or point in the facility."""
    profiles = profiles_of(facility)
    loop, device = fault.parameters.get("loop"), fault.parameters.get("device")
    if loop is not None:
        _check_name("loop", loop, facility.loop_ids)
    if device is None:
        return
    if fault.kind == "dead":
        shared = [*map(gateway_of, facility.hall_ids), *facility.hall_ids]
        _check_name("device", device, [*profiles, *shared])
        return
    _check_name("device", device, profiles)
    point = fault.parameters.get("point")
    if point is not None:
        _check_name("point", point, profiles[device].points)


def _check_name(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise FaultError(f"{what}: no {what} {name[:_SHOWN]!r}{nearest(name, known)}")


def nearest(name: str, known: Collection[str]) -> str:
    """The known names most like the one that is not, as the end of an error."""
    found = difflib.get_close_matches(name[:_SHOWN], known, n=_NEAREST, cutoff=0.0)
    return f"; known are {', '.join(found)} and {len(known) - len(found)} more"


class PlantFaults:
    """All active faults of a plant by id.

    `physics` is held while the campus or a device changes, and never while a port is closed or
    opened: that takes a while.
    """

    def __init__(
        self,
        campus: Campus,
        devices: FieldDevices,
        reach: Reach,
        seed: int,
        physics: AbstractContextManager[Any],
    ) -> None:
        self._campus, self._field = campus, devices
        self._reach, self._seed, self._physics = reach, seed, physics
        self._changing = threading.Lock()
        self._active: dict[str, Fault] = {}

    def inject(self, fault_id: str, fault: Fault) -> None:
        """Let a fault begin; FaultError when nothing here can have it."""
        if fault.place not in PLACES:
            raise FaultError(f"{fault.kind} is no fault of the plant or of a device")
        check_fault(fault, self._campus.facility)
        with self._changing:
            if fault_id in self._active:
                raise FaultError(f"there is a fault {fault_id!r} already")
            self._active[fault_id] = fault
            self._renew(fault_id, fault, begins=True)

    def clear(self, fault_id: str) -> None:
        """End a fault; what another active one causes stays. Unknown: KeyError."""
        with self._changing:
            self._renew(fault_id, self._active.pop(fault_id), begins=False)

    def _renew(self, fault_id: str, fault: Fault, *, begins: bool) -> None:
        if fault.kind == "dead":
            self._reach_or_not(fault.parameters["device"])
            return
        with self._physics:
            if fault.kind in _AMOUNTS:
                self._disturb(fault_id, fault, begins)
            elif fault.kind == "load-step":
                self._load(fault_id, fault, begins)
            else:
                self._RENEWALS[fault.kind](self, fault)

    def _of(self, kind: str, **parameters: str) -> Iterator[Fault]:
        """The active faults of a kind with these parameters."""
        for fault in self._active.values():
            if fault.kind == kind and parameters.items() <= fault.parameters.items():
                yield fault

    def _has(self, kind: str, **parameters: str) -> bool:
        return next(self._of(kind, **parameters), None) is not None

    def _reach_or_not(self, device: str) -> None:
        change = (
            self._reach.stop_device
            if self._has("dead", device=device)
            else self._reach.start_device
        )
        change(device)

    def _disturb(self, fault_id: str, fault: Fault, begins: bool) -> None:
        if not begins:
            self._field.settle(fault_id)
            return
        amount, relative = _amount(fault)
        found = DeviceFault(fault.kind, amount, relative, fault.parameters.get("point"))
        self._field.disturb(fault_id, fault.parameters["device"], found, fault.seed(self._seed))

    def _load(self, fault_id: str, fault: Fault, begins: bool) -> None:
        workloads, name = self._campus.it.workloads, f"fault {fault_id}"
        if not begins:
            workloads.remove(name, self._campus.unix_s)
            return
        power_w = fault.parameters["power_w"]
        ramp_w_per_s = fault.parameters.get("ramp_w_per_s", 1e12)
        now_s = self._campus.unix_s
        workloads.announce(Workload(name, now_s, None, power_w, power_w, power_w, ramp_w_per_s))

    def _wet(self, fault: Fault) -> None:
        loop = fault.parameters["loop"]
        change = self._campus.leaking.add if self._has("leak", loop=loop) else self._dry
        change(loop)

    def _dry(self, loop: str) -> None:
        self._campus.leaking.discard(loop)

    def _stop_pump(self, fault: Fault) -> None:
        loop = fault.parameters["loop"]
        position = self._campus.facility.loop_ids.index(loop)
        self._campus.coolant.stopped[position] = self._has("pump-stop", loop=loop)

    def _bend_voltage(self, fault: Fault) -> None:
        found = (other.parameters["per_unit"] for other in self._of(fault.kind))
        self._campus.grid.disturbance_pu = math.prod(found, start=1.0)

    def _bend_frequency(self, fault: Fault) -> None:
        found = (other.parameters["offset_hz"] for other in self._of(fault.kind))
        self._campus.grid.offset_hz = math.fsum(found)

    def _ignore_writes(self, fault: Fault) -> None:
        device = fault.parameters["device"]
        self._device(fault).ignores_writes = self._has("ignores-writes", device=device)

    def _hinder(self, fault: Fault) -> None:
        """The worst of each kind counts."""
        device, name = self._device(fault), fault.parameters["device"]

        def worst(kind: str, parameter: str) -> float:
            found = self._of(kind, device=name)
            return max((float(other.parameters[parameter]) for other in found), default=0.0)

        device.random.seed(fault.seed(self._seed))
        device.delay_s = worst("slow", "delay_s")
        device.drop_outs = worst("drop-outs", "share")
        device.exceptions = worst("exceptions", "share")

    def _device(self, fault: Fault) -> SimulatedDevice:
        return self._field.devices[fault.parameters["device"]]

    _RENEWALS: ClassVar[dict[str, Callable[[PlantFaults, Fault], None]]] = {
        "leak": _wet,
        "pump-stop": _stop_pump,
        "grid-voltage": _bend_voltage,
        "grid-frequency": _bend_frequency,
        "ignores-writes": _ignore_writes,
        "slow": _hinder,
        "drop-outs": _hinder,
        "exceptions": _hinder,
    }


def _amount(fault: Fault) -> tuple[float, bool]:
    """How much, and whether it is a share of the value."""
    name = _AMOUNTS[fault.kind]
    value = 0.0 if name is None else fault.parameters[name]
    if isinstance(value, str):
        return float(value.removesuffix("%")) / 100.0, True
    return float(value), False
