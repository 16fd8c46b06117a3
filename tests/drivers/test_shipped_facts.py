"""What the shipped Modbus profiles say: distinct maps, quantities, and the facts behind them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from drivers.profile import Profile, list_profiles, load_profile
from drivers.units import conversion

# The profiles of other protocols have tests of their own.
PROFILES = [profile for profile in list_profiles() if profile.protocol == "modbus"]

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


def test_racks_whose_register_map_names_no_parity_have_even() -> None:
    """Rackmon, whose maps these are, takes even parity where a map is silent."""
    framings = {name: load_profile(f"ocp.orv3_{name}").transport.framing
                for name in ("psu", "bbu", "hpr_bbu", "rpu")}  # fmt: skip
    assert framings == {"psu": "8E1", "bbu": "8E1", "hpr_bbu": "8E1", "rpu": "8N1"}


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


def test_points_show_where_dcpi_has_a_place_for_them() -> None:
    """What a profile names in a DCPI message is a member of that message's published schema."""
    messages = files("schemas") / "messages"
    named = {p.dcpi for profile in list_profiles() for p in profile.points.values() if p.dcpi}
    assert len(named) >= 8
    for place in named:
        endpoint, _, member = place.rpartition("/")
        schema = (messages / f"{endpoint.replace('/', '_')}.schema.json").read_text("utf-8")
        assert f'"{member}": ' in schema, place


# What the names of properties and members say of their unit, as the drivers' canonical unit.
_UNIT_OF_NAME = {
    "_mw": "W", "_mvar": "var", "_mva": "VA", "_mwh": "J", "_hz": "Hz", "_c": "Cel",
    "_lpm": "L/min", "_bar": "bar", "_percent": "%", "power_factor": "1", "Watts": "W",
    "EnergykWh": "J",
    "FrequencyHz": "Hz", "Voltage": "V", "Amps": "A", "Celsius": "Cel", "kPa": "bar",
    "RemovedkW": "W", "FlowLitersPerMinute": "L/min", "Percent": "%", "RPM": "/min",
}  # fmt: skip


def test_a_point_is_of_the_quantity_that_it_shows_as() -> None:
    """No share of a valve shows as a flow, and no voltage as a current."""
    shown = [
        (f"{profile.id} {point.name}", name, conversion(point.unit).unit)
        for profile in list_profiles()
        for point in profile.points.values()
        for name in (point.redfish, point.dcpi)
        if name is not None
    ]
    judged = 0
    for where, name, unit in shown:
        words = [word.removesuffix("s") for word in name.split("/")]
        for end, wanted in _UNIT_OF_NAME.items():
            if any(word.endswith(end.removesuffix("s")) for word in words):
                judged += 1
                assert unit == wanted, f"{where} is in {unit} and shows as {name}"
    assert judged >= 0.9 * len(shown)


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
