"""Every shipped profile: loaded, held against its golden vectors, simulated and read back."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pymodbus.client import ModbusTcpClient

from drivers.codec import PointCodec, registers_to_bytes
from drivers.engine import DeviceSpec, Engine
from drivers.errors import TransportError
from drivers.probe import scan
from drivers.profile import SHIPPED_DIRECTORY, Point, Profile, list_profiles, load_profile
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.register_image import golden_values
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice
from drivers.simulation.device import RefusedRequestError

# The profiles of other protocols have tests of their own.
PROFILES = [profile for profile in list_profiles() if profile.protocol == "modbus"]
each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)


def test_the_schema_itself_is_valid() -> None:
    """The published schema of profiles is JSON Schema 2020-12."""
    schema = json.loads((SHIPPED_DIRECTORY / "device-profile.schema.json").read_text())
    Draft202012Validator.check_schema(schema)


_STRUCT = {
    "u16": "H", "i16": "h", "bits": "H", "bool": "H", "u32": "I", "i32": "i", "bits32": "I",
    "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip


def raw_by_struct(point: Point, registers: Mapping[int, int]) -> float:
    """The number in a point's registers, by struct: not by the codec."""
    words = [registers[point.address + k].to_bytes(2, "big") for k in range(point.registers)]
    if point.order in ("CDAB", "DCBA"):
        words.reverse()
    if point.order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    data = b"".join(words)
    if point.type == "i8":
        return float(struct.unpack("b", data[1:])[0])
    if point.type.startswith("dec"):
        number = 0
        for digit in struct.unpack(f">{point.registers}h", data):
            number = number * 10_000 + digit
        return float(number)
    return float(struct.unpack(f">{_STRUCT[point.type]}", data)[0])


def by_struct(profile: Profile, name: str, registers: Mapping[int, int]) -> float | None:
    """A point's own value from registers, by struct and the profile's rule."""
    point = profile.points[name]
    raw = raw_by_struct(point, registers)
    if raw in point.absent or not math.isfinite(raw):
        return None
    if point.mask is not None:
        raw = (int(raw) & point.mask) // (point.mask & -point.mask)
    factor = point.scale
    if point.fraction is not None:
        raw += by_struct(profile, point.fraction, registers) or 0.0
    if point.scale_by is not None:
        factor *= 10.0 ** (by_struct(profile, point.scale_by, registers) or 0.0)
    if point.factor_by is not None:
        factor *= by_struct(profile, point.factor_by, registers) or 0.0
    return raw * factor + point.offset


@each_profile
def test_golden_vectors_hold(profile: Profile) -> None:
    """Vectors from outside mean what they are known to mean, by the codec and by struct alike."""
    assert profile.golden
    for vector in profile.golden:
        assert vector.origin, "a golden vector says where it comes from"
        assert vector.made_by, "and who made it"
        registers = dict(enumerate(vector.registers, vector.address))
        decoded = golden_values(profile, vector)
        for name, expected in vector.expect.items():
            value, quality = decoded[name]
            independent = by_struct(profile, name, registers)
            if expected is None:
                assert quality is Quality.ABSENT
                assert independent is None
            else:
                assert value == pytest.approx(expected, rel=1e-6, abs=1e-9), name
                assert independent == pytest.approx(expected, rel=1e-6, abs=1e-9), name


def test_a_document_s_own_telegram_stands_behind_the_level_manual() -> None:
    """Most profiles that claim a manual carry one of its examples, none only our own arithmetic."""
    claimed = [profile for profile in PROFILES if profile.evidence in ("manual", "standard")]
    shown = [p for p in claimed if any(v.made_by != "hand" for v in p.golden)]
    assert len(claimed) >= 5
    assert shown == claimed


@each_profile
def test_the_engine_and_an_independent_master_read_a_simulated_device_back(
    profile: Profile,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Every point arrives, ok, with the value that was set; pymodbus reads the same by struct."""
    device = SimulatedDevice(profile)
    SimulatedBehaviour(device).advance(1.0)
    assert set(profile.simulation) == set(profile.points)
    server = serve_tcp({profile.transport.unit: device})
    target = f"tcp://127.0.0.1:{server.port}"
    engine = run_engine(DeviceSpec("d", profile.id, target, profile.transport.unit))
    wait_until(lambda: {r.quality for r in engine.readings("d").values()} == {Quality.OK}, 10.0)
    with ModbusTcpClient("127.0.0.1", port=server.port, timeout=5.0) as master:
        registers = {fc: read_with(master, profile, fc) for fc in (1, 2, 3, 4)}
    for name, reading in engine.readings("d").items():
        point = profile.points[name]
        assert reading.value == device.get(name)
        assert reading.unit == PointCodec(point).unit
        assert reading.measured_at is not None
        assert reading.source_interval_s == profile.groups[point.group].source_s
        assert (reading.uncertainty is None) == (point.accuracy is None)
        independent = by_struct(profile, name, registers[point.fc])
        assert reading.value is not None
        in_own_unit = PointCodec(point).to_device(reading.value)
        assert independent == pytest.approx(in_own_unit, rel=1e-9, abs=1e-9), name


def read_with(master: ModbusTcpClient, profile: Profile, fc: int) -> dict[int, int]:
    """What pymodbus reads of the profile's registers (or coils) of one function."""
    ask = {
        1: master.read_coils,
        2: master.read_discrete_inputs,
        3: master.read_holding_registers,
        4: master.read_input_registers,
    }[fc]
    found: dict[int, int] = {}
    for point in profile.points.values():
        if point.fc == fc and point.address not in found:
            unit = profile.transport.unit
            reply = ask(point.address, count=point.registers, device_id=unit)
            assert not reply.isError(), point.name
            values = [int(bit) for bit in reply.bits] if fc in (1, 2) else reply.registers
            found |= dict(enumerate(values[: point.registers], point.address))
    return found


@each_profile
def test_the_simulation_meets_the_identify_conditions(profile: Profile) -> None:
    """A profile recognises its own simulated device."""
    device = SimulatedDevice(profile)
    SimulatedBehaviour(device)
    assert profile.identify
    for text in profile.identify_texts:
        held = device.read_registers(text.fc, text.address, len(text.registers))
        assert text.holds(held)
    for condition in profile.identify:
        value = device.get(condition.point)
        assert value is not None
        device_value = PointCodec(profile.points[condition.point]).to_device(value)
        assert condition.low <= device_value <= condition.high


class FakeBus:
    """A transport in memory: what `answer` gives for a read."""

    def __init__(self, answer: Callable[[ReadBlock], list[int]]) -> None:
        self._answer = answer

    def open(self) -> None:
        """There is nothing to open."""

    def close(self) -> None:
        """Nor to close."""

    def read(self, unit: int, request: Any, timeout_s: float) -> bytes:  # noqa: ARG002
        """The registers, or the exception that the device would send."""
        try:
            return registers_to_bytes(self._answer(request))
        except RefusedRequestError as error:
            raise TransportError("refused", exception_code=error.code) from error

    def write(self, unit: int, request: Any, timeout_s: float) -> None:  # noqa: ARG002
        """A search writes nothing."""
        raise AssertionError


def found_on(answer: Callable[[ReadBlock], list[int]]) -> list[str]:
    """The shipped profiles that a search recognises there, best first."""
    found = dict(scan(FakeBus(answer), [1], PROFILES, 1.0))[1]
    assert found is not None
    return [profile.id for profile in found.profiles]


@each_profile
def test_a_search_takes_the_simulated_device_for_what_it_is(profile: Profile) -> None:
    """Among all shipped profiles the device's own is the best that a search finds."""
    device = SimulatedDevice(profile)
    SimulatedBehaviour(device).advance(1.0)
    found = found_on(lambda read: device.read_registers(read.fc, read.address, read.count))
    assert found[0] == profile.id


@pytest.mark.parametrize("register", [0x0000, 0xFFFF])
def test_registers_that_all_say_the_same_are_no_device(register: int) -> None:
    """Many devices answer zeros, or all bits, where they have nothing: that identifies no model."""
    assert found_on(lambda read: [register] * read.count) == []


@each_profile
def test_the_simulation_keeps_the_cross_checks(profile: Profile) -> None:
    """A profile's own simulated device satisfies the relations that the profile states."""
    device = SimulatedDevice(profile)
    SimulatedBehaviour(device).advance(3.0)
    values = {}
    for name, point in profile.points.items():
        value = device.get(name)
        assert value is not None
        values[name] = PointCodec(point).to_device(value)
    assert [check.text for check in profile.checks if check.holds(values) is not True] == []


def test_nearly_every_profile_checks_itself() -> None:
    """A cross-check finds a wrong word order or offset where the map has something to compare."""
    without = [profile.id for profile in PROFILES if not profile.checks]
    assert set(without) <= {
        "abb.acs580", "advantech.adam6015", "danfoss.fc102", "schneider.pm700"
    }  # fmt: skip


def test_a_swapped_word_order_fails_the_cross_check() -> None:
    """The SDM630's check finds a total that was read with its words swapped."""
    profile = load_profile("eastron.sdm630")
    values = {f"power.active.L{k}": 4000.0 for k in (1, 2, 3)}
    check = profile.checks[0]
    assert check.holds(values) is None
    assert check.holds(values | {"power.active.total": 12_000.0}) is True
    assert check.holds(values | {"power.active.total": 6.2e-41}) is False
