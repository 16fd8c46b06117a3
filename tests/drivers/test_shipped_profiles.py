"""Every shipped profile: loaded, held against its golden vectors, simulated and read back."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pymodbus.client import ModbusTcpClient

from drivers.codec import PointCodec, registers_to_bytes
from drivers.engine import DeviceSpec, Engine
from drivers.errors import TransportError
from drivers.probe import scan
from drivers.profile import SHIPPED_DIRECTORY, Profile, list_profiles, load_profile
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.register_image import golden_values
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice
from drivers.simulation.device import RefusedRequestError
from drivers.units import conversion

# The profiles of other protocols have tests of their own.
PROFILES = [profile for profile in list_profiles() if profile.protocol == "modbus"]
each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)

Place = tuple[object, ...]


def places(profile: Profile) -> set[Place]:
    """Function and register of everything that the profile reads."""
    return {place[:2] for place in meanings(profile)}


def meanings(profile: Profile) -> set[Place]:
    """The same, each with the type and the canonical unit that is read there."""
    return {
        (point.fc, register, point.type, conversion(point.unit).unit)
        for point in profile.points.values()
        for register in range(point.address, point.address + point.registers)
    }


def distinct(maps: Mapping[str, set[Place]], limit: float) -> list[str]:
    """The maps, larger ones first, without those of whose places one before has over `limit`."""
    kept: list[str] = []
    for name in sorted(maps, key=lambda name: (-len(maps[name]), name)):
        shared = (len(maps[name] & maps[other]) / len(maps[name]) for other in kept)
        if all(share <= limit for share in shared):
            kept.append(name)
    return kept


def test_forty_distinct_maps_are_shipped() -> None:
    """At least forty Modbus maps of which none has over 80 % of its registers in another.

    Small maps at low addresses lie within large ones by chance and are not counted, though no two
    profiles mean the same by more than 80 % of their registers.
    """
    assert len(distinct({profile.id: places(profile) for profile in PROFILES}, 0.8)) >= 40
    assert len(distinct({profile.id: meanings(profile) for profile in PROFILES}, 0.8)) == len(
        PROFILES
    )


def test_a_copy_of_a_map_counts_once() -> None:
    """A profile whose registers are those of another, or a part of them, is not a new map."""
    one: set[Place] = {(3, register) for register in range(100)}
    part: set[Place] = {(3, register) for register in range(20)}
    near: set[Place] = {(3, register) for register in range(19, 119)}
    other: set[Place] = {(4, register) for register in range(100)}
    maps = {"near": near, "one": one, "other": other, "part": part}
    assert distinct(maps, 0.8) == ["near", "other", "part"]
    assert distinct(maps, 0.82) == ["near", "one", "other"]


def test_every_kind_of_device_and_a_dozen_meter_vendors_are_shipped() -> None:
    """Power meters of at least twelve vendors, and every other kind that the readers know."""
    vendors = {profile.vendor for profile in PROFILES if profile.kind == "PowerMeter"}
    assert len(vendors) >= 12
    assert {profile.kind for profile in PROFILES} >= {
        "PowerMeter", "FlowMeter", "PressureTransmitter", "TemperatureModule", "HeatMeter", "Drive",
        "Valve", "Cdu", "RearDoorCooler", "Chiller", "LeakDetector", "Pdu", "Ups", "Battery",
        "PowerSupply",
    }  # fmt: skip


def test_the_schema_itself_is_valid() -> None:
    """The published schema of profiles is JSON Schema 2020-12."""
    schema = json.loads((SHIPPED_DIRECTORY / "device-profile.schema.json").read_text())
    Draft202012Validator.check_schema(schema)


_STRUCT = {
    "u16": "H", "i16": "h", "bits": "H", "bool": "H", "u32": "I", "i32": "i", "bits32": "I",
    "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip


def by_struct(profile: Profile, name: str, registers: Mapping[int, int]) -> float | None:
    """A point's own value from registers, by struct and the profile's rule: not by the codec."""
    point = profile.points[name]
    words = [registers[point.address + k].to_bytes(2, "big") for k in range(point.registers)]
    if point.order in ("CDAB", "DCBA"):
        words.reverse()
    if point.order in ("BADC", "DCBA"):
        words = [word[::-1] for word in words]
    data = b"".join(words)
    raw: float
    if point.type == "i8":
        raw = struct.unpack("b", data[1:])[0]
    else:
        raw = struct.unpack(f">{_STRUCT[point.type]}", data)[0]
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
    assert set(without) <= {"abb.acs580", "advantech.adam6015", "danfoss.fc102"}


def test_points_show_where_dcpi_has_a_place_for_them() -> None:
    """What a profile names in a DCPI message is a member of that message's published schema."""
    messages = files("schemas") / "messages"
    named = {p.dcpi for profile in list_profiles() for p in profile.points.values() if p.dcpi}
    assert len(named) >= 8
    for place in named:
        endpoint, _, member = place.rpartition("/")
        schema = (messages / f"{endpoint.replace('/', '_')}.schema.json").read_text("utf-8")
        assert f'"{member}": ' in schema, place


def test_points_show_in_properties_that_redfish_has(shared: Path) -> None:
    """What a profile names in Redfish is a property of the DMTF's schemas."""
    csdl = "".join(
        path.read_text("utf-8") for path in (shared / "data" / "redfish-csdl").glob("*.xml")
    )
    known = set(re.findall(r'Property Name="(\w+)"', csdl))
    for profile in list_profiles():
        for point in profile.points.values():
            for part in (point.redfish or "").split("/"):
                assert not part or part in known, f"{profile.id} {point.name}: {part}"


def test_a_swapped_word_order_fails_the_cross_check() -> None:
    """The SDM630's check finds a total that was read with its words swapped."""
    profile = load_profile("eastron.sdm630")
    values = {f"power.active.L{k}": 4000.0 for k in (1, 2, 3)}
    check = profile.checks[0]
    assert check.holds(values) is None
    assert check.holds(values | {"power.active.total": 12_000.0}) is True
    assert check.holds(values | {"power.active.total": 6.2e-41}) is False


# Where two public maps disagree the profile's note says so and which one it follows.
_DECIDED = {
    "socomec.countis_e24": {50946, 50952},
    "siemens.pac3200": set(),
    "belimo.energy_valve": {8},
}


@pytest.mark.parametrize(
    ("profile_id", "map_name", "least"),
    [
        ("abb.acs580", "abb_acs580_vfd", 6),
        ("abb.b23", "abb_b23_b24_m4m", 14),
        ("accuenergy.acuvim2", "accuenergy_acuvim2", 13),
        ("advantech.adam6015", "advantech_adam6015", 7),
        ("apc.smartups", "apc_smartups_modbus", 14),
        ("belimo.energy_valve", "belimo_energy_valve", 9),
        ("carlogavazzi.em24", "carlo_gavazzi_em24", 20),
        ("carlogavazzi.em340", "carlo_gavazzi_em340", 20),
        ("danfoss.fc102", "danfoss_fc102_vfd", 4),
        ("eastron.sdm630", "eastron_sdm630", 25),
        ("janitza.umg604", "janitza_umg604", 17),
        ("janitza.umg96", "janitza_umg96_512_19000block", 20),
        ("keller.33x", "keller_33x_35x", 4),
        ("oem.tuf2000m", "tuf2000m_ultrasonic_flow", 8),
        ("satec.pm130", "satec_pm130_296", 14),
        ("schneider.iem3000", "schneider_iem3000", 17),
        ("schneider.pm5560", "schneider_pm5560_powerlogic_block", 12),
        ("siemens.mag6000", "siemens_mag6000_mass6000", 5),
        ("siemens.pac3200", "siemens_pac2200_3200_4200", 22),
        ("socomec.countis_e24", "socomec_diris_countis", 12),
        ("tripplite.modbuscard", "tripplite_modbuscard", 8),
        ("vertiv.dcdactive", "vertiv_liebert_dcd_reardoor", 6),
        ("vertiv.icom_liquid", "vertiv_liebert_icom_liquid", 8),
        ("vertiv.liebert_aps", "liebert_ups_intellislot", 8),
        ("vertiv.liebert_hpc", "vertiv_liebert_hpc_chiller", 10),
    ],
)
def test_profiles_agree_with_the_collected_register_maps(
    profile_id: str, map_name: str, least: int, shared: Path
) -> None:
    """Type, order and size of each point that the collected map has are those of the map."""
    text = (shared / "data" / "register-maps" / f"{map_name}.yaml").read_text()
    known = {(entry["addr"], entry["fc"]): entry for entry in yaml.safe_load(text)["points"]}
    agreed = 0
    for point in load_profile(profile_id).points.values():
        entry = known.get((point.address, point.fc))
        if entry is None or point.address in _DECIDED.get(profile_id, set()):
            continue
        agreed += 1
        assert entry["type"] == point.type, point.name
        if point.registers > 1 and point.type != "f64":
            assert entry["order"] == point.order, point.name
        if entry["scale"] is not None:
            canonical = conversion(point.unit).factor * point.scale
            stated = conversion(_UCUM.get(entry["unit"], entry["unit"])).factor * entry["scale"]
            assert canonical == pytest.approx(stated), point.name
    assert agreed >= least


# How the collected maps write what UCUM writes otherwise, or leave to a note.
_UCUM = {
    "": "1", "l/s": "L/s", "l/min": "L/min", "rpm": "/min", "enum": "1", "raw": "1", "bits": "1",
    "% (20000 = par 46.01/46.02)": "%", "% (0-99)": "%", "0 off 1 on": "1",
    "enum 0 off 1 on": "1", "24=MAG6000 25=MASS6000": "1",
}  # fmt: skip
