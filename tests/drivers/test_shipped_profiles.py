"""Every shipped profile: loaded, held against its golden vectors, simulated and read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from drivers.codec import PointCodec, registers_to_bytes
from drivers.engine import DeviceSpec, Engine
from drivers.profile import SHIPPED_DIRECTORY, Profile, list_profiles, load_profile
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice

PROFILES = list_profiles()
each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)


def test_the_first_profiles_are_shipped() -> None:
    """A meter, a flow meter, a pressure and a temperature sensor and two drives are there."""
    assert [profile.id for profile in PROFILES] == [
        "abb.acs580", "advantech.adam6015", "danfoss.fc102", "eastron.sdm630", "keller.33x",
        "oem.tuf2000m",
    ]  # fmt: skip


def test_the_schema_itself_is_valid() -> None:
    """The published schema of profiles is JSON Schema 2020-12."""
    schema = json.loads((SHIPPED_DIRECTORY / "device-profile.schema.json").read_text())
    Draft202012Validator.check_schema(schema)


@each_profile
def test_golden_vectors_hold(profile: Profile) -> None:
    """Registers from manuals and from IEEE 754 by hand decode to what they are known to mean."""
    assert profile.golden
    for vector in profile.golden:
        assert vector.origin, "a golden vector says where it comes from"
        for name, expected in vector.expect.items():
            point = profile.point(name)
            assert point.fc == vector.fc
            start = point.address - vector.address
            registers = vector.registers[start : start + point.registers]
            codec = PointCodec(point)
            value, quality = codec.decode(registers_to_bytes(registers))
            if expected is None:
                assert quality is Quality.ABSENT
            else:
                assert value is not None
                assert codec.to_device(value) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@each_profile
def test_a_simulated_device_is_read_back(
    profile: Profile,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Every point of a simulated device arrives over TCP, ok, with the value that was set."""
    device = SimulatedDevice(profile)
    SimulatedBehaviour(device).advance(1.0)
    assert set(profile.simulation) == set(profile.points)
    server = serve_tcp({profile.transport.unit: device})
    target = f"tcp://127.0.0.1:{server.port}"
    engine = run_engine(DeviceSpec("d", profile.id, target, profile.transport.unit))
    wait_until(lambda: {r.quality for r in engine.readings("d").values()} == {Quality.OK}, 3.0)
    for point, reading in engine.readings("d").items():
        assert reading.value == device.get(point)
        assert reading.unit == PointCodec(profile.points[point]).unit
        assert reading.measured_at is not None
        assert reading.source_interval_s == profile.groups[profile.points[point].group].source_s
        assert (reading.uncertainty is None) == (profile.points[point].accuracy is None)


@each_profile
def test_the_simulation_meets_the_identify_conditions(profile: Profile) -> None:
    """A profile recognises its own simulated device."""
    device = SimulatedDevice(profile)
    SimulatedBehaviour(device)
    assert profile.identify
    for condition in profile.identify:
        value = device.get(condition.point)
        assert value is not None
        device_value = PointCodec(profile.points[condition.point]).to_device(value)
        assert condition.low <= device_value <= condition.high


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
    assert all(check.holds(values) for check in profile.checks)


def test_a_swapped_word_order_fails_the_cross_check() -> None:
    """The SDM630's check finds a total that was read with its words swapped."""
    profile = load_profile("eastron.sdm630")
    values = {f"power.active.L{k}": 4000.0 for k in (1, 2, 3)}
    check = profile.checks[0]
    assert check.holds(values) is None
    assert check.holds(values | {"power.active.total": 12_000.0}) is True
    assert check.holds(values | {"power.active.total": 6.2e-41}) is False


@pytest.mark.parametrize(
    ("profile_id", "map_name"),
    [
        ("abb.acs580", "abb_acs580_vfd"),
        ("advantech.adam6015", "advantech_adam6015"),
        ("danfoss.fc102", "danfoss_fc102_vfd"),
        ("eastron.sdm630", "eastron_sdm630"),
        ("keller.33x", "keller_33x_35x"),
        ("oem.tuf2000m", "tuf2000m_ultrasonic_flow"),
    ],
)
def test_profiles_agree_with_the_collected_register_maps(
    profile_id: str, map_name: str, shared: Path
) -> None:
    """Address, function, type and order of each point are those of the collected map."""
    text = (shared / "data" / "register-maps" / f"{map_name}.yaml").read_text()
    known = {(entry["addr"], entry["fc"]): entry for entry in yaml.safe_load(text)["points"]}
    for point in load_profile(profile_id).points.values():
        entry = known[point.address, point.fc]
        assert entry["type"] == point.type, point.name
        if point.registers > 1:
            assert entry["order"] == point.order, point.name
        if entry["scale"] is not None:
            assert entry["scale"] == point.scale, point.name
