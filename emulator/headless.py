"""A scenario without wall clock: plant and drivers in lock-step, the same for a seed to the bit.

The plant's devices answer Modbus requests over a byte port in memory, and the drivers' own bus
owners ask them with the codecs of their profiles, on a clock that jumps from one moment at which
something happens to the next. There is no service, and no waveform is made: of the halls' feeds
only the truth is told.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any

from drivers.bus import Ask, BusOwner
from drivers.errors import TransportError
from drivers.field_device import HEARTBEAT_S, DeviceModel, DeviceSpec, FieldDevice
from drivers.modbus_pdu import answer_of, exception_of, request_pdu
from drivers.modbus_protocol import MODBUS
from drivers.reading import Quality
from drivers.simulation import SimulatedDevice, answer_pdu
from emulator.faults.scenario import Scenario
from emulator.faults.vocabulary import Fault
from emulator.plant.campus import STEP_S, Campus
from emulator.plant.facility import Facility
from emulator.plant.faults import PLACES, PlantFaults
from emulator.plant.field_devices import TICK_S, FieldDevices, meter_of
from emulator.plant.fieldbus import gateways, own_ports, serial_device
from emulator.plant.truth import truth_of

EPOCH_UNIX_S = 1_767_225_600.0
"""When every run begins: 2026-01-01T00:00:00Z."""

_STEPS_PER_TICK = round(TICK_S / STEP_S)
_TICKS_PER_RECORD = round(1.0 / TICK_S)

Record = dict[str, Any]


class Headless:
    """One run; `records` may be gone through once."""

    def __init__(self, facility: Facility, seed: int, scenario: Scenario) -> None:
        self._now_s = 0.0
        self._campus = Campus(facility, seed, EPOCH_UNIX_S)
        self._field = FieldDevices(self._campus, seed)
        self._reach = _Reach(facility, self._field.devices)
        self._faults = PlantFaults(
            self._campus, self._field, self._reach, seed, contextlib.nullcontext()
        )
        self._edges = _edges(scenario)
        self._polled: dict[str, FieldDevice] = {}
        self._due: list[tuple[float, int, _Lane]] = []
        self._sequence = itertools.count()
        phases = itertools.count()
        models = _models(facility, self._field.devices)
        for bus, units in self._reach.buses.items():
            owner = BusOwner(
                bus,
                _Nothing(),
                wall=lambda: EPOCH_UNIX_S + self._now_s,
                monotonic=lambda: self._now_s,
                chance=random.Random(f"{seed} {bus}"),
                phases=phases,
            )
            for unit, name in units.items():
                self._polled[name] = _polled(name, unit, models[name])
                owner.add(self._polled[name])
            self._push(0.0, _Lane(owner, bus, self._reach))

    def records(self, for_s: float) -> Iterator[Record]:
        """Faults as they begin and end, and each second the truth and all readings."""
        for tick in range(1, round(for_s / TICK_S) + 1):
            for _ in range(_STEPS_PER_TICK):
                yield from self._change_faults()
                self._campus.step()
            self._field.measure()
            self._poll_until(tick * TICK_S)
            if tick % _TICKS_PER_RECORD == 0:
                yield from self._state(tick / _TICKS_PER_RECORD)

    def _change_faults(self) -> Iterator[Record]:
        """Begin and end what is due at the beginning of the next step."""
        time_s = self._campus.steps * STEP_S
        while self._edges and self._edges[0][0] <= time_s + STEP_S / 2:
            _, fault_id, fault, begins = self._edges.pop(0)
            if begins:
                self._faults.inject(fault_id, fault)
            else:
                self._faults.clear(fault_id)
            happened = "begins" if begins else "ends"
            yield {"t_s": round(time_s, 3), "event": happened, "fault": fault.document}

    def _poll_until(self, time_s: float) -> None:
        while self._due and self._due[0][0] <= time_s:
            self._now_s, _, lane = heapq.heappop(self._due)
            self._push(lane.go_on(self._now_s), lane)
        self._now_s = time_s

    def _push(self, time_s: float, lane: _Lane) -> None:
        heapq.heappush(self._due, (time_s, next(self._sequence), lane))

    def _state(self, time_s: float) -> Iterator[Record]:
        yield {"t_s": time_s, "truth": truth_of(self._campus)}
        for name, device in self._polled.items():
            readings = device.readings(self._now_s)
            bad = {p: str(r.quality) for p, r in readings.items() if r.quality is not Quality.OK}
            values = {point: reading.value for point, reading in readings.items()}
            yield {"t_s": time_s, "device": name, "readings": values, "not_ok": bad}


def left_out(scenario: Scenario) -> int:
    """How many of a scenario's events have no place in a run without a service."""
    return sum(event.fault.place not in PLACES for event in scenario.events)


def _edges(scenario: Scenario) -> list[tuple[float, str, Fault, bool]]:
    """Begins and ends in the order of time; at one moment ends come first."""
    edges = []
    for number, event in enumerate(scenario.events):
        if event.fault.place in PLACES:
            fault_id = str(number)
            edges.append((event.at_s, fault_id, event.fault, True))
            if event.until_s is not None:
                edges.append((event.until_s, fault_id, event.fault, False))
    return sorted(edges, key=lambda edge: (edge[0], edge[3]))


def _models(facility: Facility, devices: Mapping[str, SimulatedDevice]) -> dict[str, DeviceModel]:
    ratios = {
        meter_of(feed): (plate.ct_ratio, plate.pt_ratio) for feed, plate in facility.metered.items()
    }
    shared: dict[tuple[str, float, float], DeviceModel] = {}
    models = {}
    for name, device in devices.items():
        key = (device.profile.id, *ratios.get(name, (1.0, 1.0)))
        if key not in shared:
            shared[key] = DeviceModel(device.profile, MODBUS, *key[1:])
        models[name] = shared[key]
    return models


def _polled(name: str, unit: int, model: DeviceModel) -> FieldDevice:
    device = FieldDevice(DeviceSpec(name, model.profile.id, "", unit), model, serial=False)
    device.heartbeat_s = HEARTBEAT_S if device.fastest_s > HEARTBEAT_S else None
    return device


class _Nothing:
    """What a bus owner disconnects here."""

    def close(self) -> None:
        """Nothing is connected."""


class _Reach:
    """The byte ports in memory: what a bus' devices say to a request, and whether they do."""

    def __init__(self, facility: Facility, devices: Mapping[str, SimulatedDevice]) -> None:
        alone = [*own_ports(facility), serial_device(facility)]
        self.buses = {**gateways(facility), **{name: {1: name} for name in alone}}
        self._devices = devices
        self._closed: set[str] = set()

    def stop_device(self, name: str) -> None:
        """See Reach."""
        if name in self.buses:
            self._closed.add(name)
        elif name in self._devices:  # the stream of a feed is not there to begin with
            self._devices[name].silent = True

    def start_device(self, name: str) -> None:
        """See Reach."""
        self._closed.discard(name)
        if name in self._devices:
            self._devices[name].silent = False

    def exchange(self, bus: str, ask: Ask) -> tuple[Any, float]:
        """An answer or a TransportError, and how long it took."""
        if bus in self._closed:
            return TransportError(f"{bus}: connection refused", connected=False), 0.0
        if ask.request is None:
            return True, 0.0
        device = self._devices[self.buses[bus][ask.unit]]
        if not device.hears() or device.delay_s > ask.timeout_s:
            return TransportError(f"{bus} unit {ask.unit}: no answer in time"), ask.timeout_s
        pdu = answer_pdu(device, request_pdu(ask.request))
        answer = answer_of(ask.request, pdu)
        if answer is not None:
            return answer, device.delay_s
        error = exception_of(pdu, f"{bus} unit {ask.unit}")
        assert error is not None
        return error, device.delay_s


class _Lane:
    """One bus owner's way through virtual time."""

    def __init__(self, owner: BusOwner, bus: str, reach: _Reach) -> None:
        self._steps = owner.steps()
        self._bus = bus
        self._reach = reach
        self._answer: Any = None

    def go_on(self, now_s: float) -> float:
        """Do the next step; when the one after it is due."""
        answer, self._answer = self._answer, None
        if isinstance(answer, TransportError):
            step = self._steps.throw(answer)
        else:
            step = self._steps.send(answer)
        if not isinstance(step, Ask):
            return step.until
        self._answer, took_s = self._reach.exchange(self._bus, step)
        return now_s + took_s
