"""The published message schemas against the texts of the standard and against our examples."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import schemas
from bmc_ext.errors import MessageError
from bmc_ext.messages import strict_json
from bmc_ext.messages.validate import FULL, ignored_members, validate

MESSAGES = Path(str(schemas.path("messages")))
EXAMPLES = Path(str(schemas.path("examples")))

NAMED_BY_THE_STANDARD = {
    "workload_announcement",
    "infrastructure_response",
    "power_control",
    "thermal_control",
    "load_forecast",
    "demand_response_request",
    "heat_availability",
    "heat_demand_request",
}
OURS = {
    "capabilities",
    "grid_signal",
    "grid_signal_response",
    "grid_status",
    "power_events",
    "power_history",
    "power_realtime",
    "power_stream",
    "thermal_control_response",
    "thermal_status",
    "workload_control",
    "workload_status",
}


def schema_names() -> list[str]:
    """The message schemas by name."""
    return sorted(path.name.removesuffix(".schema.json") for path in MESSAGES.glob("*.json"))


def message_examples() -> list[str]:
    """The examples that are messages, by file name."""
    files = sorted(EXAMPLES.glob("*.json"))
    return [path.name for path in files if not path.name.endswith(".redfish.json")]


def blocks(shared: Path) -> list[Any]:
    """Every JSON block of both texts, read strictly."""
    found = []
    for text in ("dcpi-standard-draft.md", "dcpi-normative.md"):
        source = (shared / "spec" / text).read_text(encoding="utf-8")
        bodies = re.findall(r"```json\n(.*?)```", source, re.DOTALL)
        found += [strict_json.loads(body.encode()) for body in bodies]
    return found


def annex_schema(shared: Path, message_type: str) -> dict[str, Any]:
    """Annex A's own schema of that message type."""
    for block in blocks(shared):
        if "$schema" in block and block["properties"]["message_type"]["enum"] == [message_type]:
            return dict(block)
    raise AssertionError(f"Annex A has no schema of {message_type}")


def test_there_is_one_schema_per_message_type() -> None:
    """Every message of the two texts and every one of ours has a schema, and nothing else has."""
    assert set(schema_names()) == NAMED_BY_THE_STANDARD | OURS | {f"{name}.full" for name in FULL}


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_is_valid_and_names_itself(name: str) -> None:
    """A schema is valid 2020-12, its $id ends in its file name, and its type is in message_type."""
    schema = schemas.schema(f"messages/{name}")
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(f"/schemas/messages/{name}.schema.json")
    assert schema["properties"]["message_type"]["enum"] == [name.removesuffix(".full")]
    assert schema["properties"]["dcpi_version"]["enum"] == ["1.0"]


@pytest.mark.parametrize("name", schema_names())
def test_a_number_tells_its_unit(name: str) -> None:
    """Every member with a unit in its name tells the unit in its description as well."""
    units = {
        "_mw": "MW", "_mwh": "MWh", "_mvar": "Mvar", "_mva": "MVA", "_hz": "Hz", "_c": "°C",
        "_lpm": "L/min", "_bar": "bar", "_percent": "%", "_sec": " s", "_hours": " h", "_ms": "ms",
        "_v": " V", "_a": " A", "_m3h": "m³/h", "_mw_per_sec": "MW/s", "_per_mwh": "MWh",
        "_g_co2_kwh": "g CO2 per kWh",
    }  # fmt: skip
    for member, description in numbers(schemas.schema(f"messages/{name}")):
        suffix = max((end for end in units if member.endswith(end)), key=len, default=None)
        if suffix is not None:
            where = "MW/s" if member.endswith("_mw_per_sec") else units[suffix]
            assert where in description, member


def numbers(schema: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and description of every number in the schema, at any depth."""
    found = []
    for name, member in schema.get("properties", {}).items():
        kinds = member.get("type", [])
        if {"number", "integer"} & set([kinds] if isinstance(kinds, str) else kinds):
            found.append((name, member["description"]))
        found += numbers(member) + numbers(member.get("items", {}))
    for part in schema.get("$defs", {}).values():
        found += numbers(part)
    return found


def test_every_json_block_of_both_texts_validates(shared: Path) -> None:
    """Each message in the texts is valid, each fragment fits its part, each schema is a schema."""
    messages = fragments = texts = 0
    for block in blocks(shared):
        if "message_type" in block:
            validate(block, block["message_type"], strict=True)
            messages += 1
        elif "$schema" in block:
            Draft202012Validator.check_schema(block)
            texts += 1
        else:
            part = "load_point" if "predicted_load_mw" in block else "green_energy_point"
            schema = schemas.schema("messages/load_forecast")["$defs"][part]
            Draft202012Validator(schema).validate(block)
            fragments += 1
    assert (messages, fragments, texts) == (8, 2, 2)


def test_every_message_type_of_the_texts_is_covered(shared: Path) -> None:
    """The types in the texts are exactly those that are listed here as the standard's."""
    types = {block["message_type"] for block in blocks(shared) if "message_type" in block}
    assert types == NAMED_BY_THE_STANDARD


ANNEX_PROFILE = frozenset(
    schemas.schema("messages/workload_announcement")["properties"]["power_profile"]["properties"]
)
"""Members of power_profile that Annex A constrains."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
powers = st.integers(0, 500) | st.floats(0, 1e308)
odd_powers = powers | st.just(-1) | json_values
profiles = st.fixed_dictionaries(
    {"peak_power_mw": powers, "baseline_power_mw": powers | odd_powers},
    optional={
        "ramp_rate_mw_per_sec": powers | odd_powers,
        "duration_estimate_sec": st.sampled_from([0, 3600, 3600.0, 10**30, 0.5, -1, True, None]),
        "start_time_estimate": json_values,
        "priority": json_values,
        "flexibility": json_values
        | st.fixed_dictionaries(
            {}, optional={"can_delay": json_values, "min_power_mw": odd_powers}
        ),
        "unknown": json_values,
    },
)


FREE = ("thermal_profile", "facility_id", "correlation_id", "conditions", "reasons")
"""Members that Annex A does not know."""


def documents(message_type: str) -> st.SearchStrategy[dict[str, Any]]:
    """Documents that are mostly of that type, and mostly well formed."""
    other = "infrastructure_response"
    return st.fixed_dictionaries(
        {
            "dcpi_version": st.sampled_from(["1.0"] * 6 + ["2.0", 1.0]),
            "message_type": st.sampled_from([message_type] * 6 + [other, 7]),
            "timestamp": st.sampled_from(["2026-03-04T10:15:30Z"] * 6 + ["yesterday", 5]),
            "workload_id": st.text(max_size=5) | st.text(max_size=5) | json_values,
            "power_profile": profiles | profiles | json_values,
            "approval_status": st.sampled_from(["approved", "rejected", "perhaps"]),
        },
        optional=dict.fromkeys(FREE, json_values),
    )


@pytest.mark.parametrize("message_type", sorted(FULL))
def test_what_annex_a_accepts_is_accepted_and_nothing_else(shared: Path, message_type: str) -> None:
    """Our verdict on any document is that of Annex A's own schema, with formats enforced."""
    annex = Draft202012Validator(
        annex_schema(shared, message_type), format_checker=Draft202012Validator.FORMAT_CHECKER
    )

    @settings(max_examples=400, deadline=None)
    @given(documents(message_type), st.sampled_from(["", "", "", "workload_id", "timestamp"]))
    def agrees(document: dict[str, Any], missing: str) -> None:
        document.pop(missing, None)
        try:
            validate(document, message_type)
        except MessageError:
            accepted = False
        else:
            accepted = True
        assert accepted == annex.is_valid(document)

    agrees()


annex_profiles = st.fixed_dictionaries(
    {"peak_power_mw": powers, "baseline_power_mw": powers},
    optional={
        "ramp_rate_mw_per_sec": powers,
        "duration_estimate_sec": st.integers(0) | st.integers(0, 10**6).map(float),
        **dict.fromkeys(("start_time_estimate", "priority", "flexibility", "else"), json_values),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=5),
    annex_profiles,
    st.datetimes(datetime.datetime(1990, 1, 1), timezones=st.timezones()).map(
        datetime.datetime.isoformat
    ),
    st.dictionaries(st.sampled_from(FREE), json_values),
)
def test_an_announcement_may_carry_anything_beside_annex_a(
    workload_id: str, profile: dict[str, Any], timestamp: str, free: dict[str, Any]
) -> None:
    """Whatever the members are that Annex A does not know, the announcement is accepted."""
    document = {
        "dcpi_version": "1.0",
        "message_type": "workload_announcement",
        "timestamp": timestamp,
        "workload_id": workload_id,
        "power_profile": profile,
        **free,
    }
    assert validate(document, "workload_announcement")["workload_id"] == workload_id


@settings(max_examples=300, deadline=None)
@given(profiles, json_values)
def test_what_is_left_of_an_announcement_has_the_drafts_types(
    profile: dict[str, Any], thermal_profile: object
) -> None:
    """What validate returns for an accepted announcement is strictly valid; the rest is named."""
    profile = {name: value for name, value in profile.items() if name not in ANNEX_PROFILE}
    document = {
        "dcpi_version": "1.0",
        "message_type": "workload_announcement",
        "timestamp": "2026-03-04T10:15:30Z",
        "workload_id": "w",
        "power_profile": {**profile, "peak_power_mw": 2, "baseline_power_mw": 1},
        "thermal_profile": thermal_profile,
    }
    before = json.dumps(document)
    kept = validate(document, "workload_announcement")
    assert validate(kept, "workload_announcement", strict=True) == kept
    assert (kept == document) == (not ignored_members(document, "workload_announcement"))
    assert json.dumps(document) == before


@pytest.mark.parametrize("name", message_examples())
def test_a_message_example_validates_strictly(name: str) -> None:
    """Each example message is strictly valid for the type that it says it is."""
    document = strict_json.loads((EXAMPLES / name).read_bytes())
    assert isinstance(document, dict)
    validate(document, document["message_type"], strict=True)


def test_our_answers_carry_the_whole_header() -> None:
    """Every example that this service answers has all header fields of 5.2.1."""
    for name in message_examples():
        if not name.endswith(".request.json"):
            document = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
            assert list(document)[:5] == [
                "dcpi_version", "message_type", "timestamp", "facility_id", "correlation_id",
            ], name  # fmt: skip


def test_every_message_type_of_an_endpoint_has_an_example() -> None:
    """Each type that an endpoint takes or answers has an example; others have no endpoint yet."""
    shown = {
        json.loads((EXAMPLES / name).read_text(encoding="utf-8"))["message_type"]
        for name in message_examples()
    }
    without_endpoint = {
        "heat_availability", "heat_demand_request", "load_forecast", "power_control",
        "workload_control",
    }  # fmt: skip
    assert shown == (NAMED_BY_THE_STANDARD | OURS) - without_endpoint


@pytest.mark.parametrize(
    ("message", "redfish", "pairs"),
    [
        (
            "power_realtime",
            "power_realtime",
            {
                "window_id": ("WindowId", 1),
                "total.power_mw": ("Total.PowerWatts", 1e6),
                "total.reactive_power_mvar": ("Total.ReactivePowerVAR", 1e6),
                "total.apparent_power_mva": ("Total.ApparentPowerVA", 1e6),
                "total.power_factor": ("Total.PowerFactor", 1),
                "total.energy_import_mwh": ("Total.EnergyImportkWh", 1e3),
                "feeds.0.phases.2.voltage_v": ("Feeds.0.Phases.2.VoltageVolts", 1),
                "feeds.0.ten_twelve_cycle.power_mw": ("Feeds.0.TenTwelveCycle.PowerWatts", 1e6),
                "feeds.0.ten_twelve_cycle.phases.1.thds_current_percent": (
                    "Feeds.0.TenTwelveCycle.Phases.1.CurrentTHDSPercent",
                    1,
                ),
                "feeds.0.ten_minute_aggregate.intervals": (
                    "Feeds.0.TenMinuteAggregate.Intervals",
                    1,
                ),
                "feeds.0.ten_second_frequency.frequency_hz": (
                    "Feeds.0.TenSecondFrequency.FrequencyHz",
                    1,
                ),
                "feeds.1.power_mw": ("Feeds.1.PowerWatts", 1e6),
                "feeds.1.energy_import_mwh": ("Feeds.1.EnergyImportkWh", 1e3),
                "feeds.1.power_uncertainty_mw": ("Feeds.1.PowerUncertaintyWatts", 1e6),
                "feeds.1.redundancy.members.1.power_mw": (
                    "Feeds.1.Redundancy.Members.1.Reading",
                    1e6,
                ),
                "feeds.1.calibrations.0.overdue": ("Feeds.1.Calibrations.0.Overdue", 1),
            },
        ),
        (
            "thermal_status",
            "thermal_status",
            {
                "window_id": ("WindowId", 1),
                "total_heat_mw": ("TotalHeatWatts", 1e6),
                "loops.0.flow_lpm": ("Loops.0.FlowLitersPerMinute", 1),
                "silicon.0.temperature_c": ("Silicon.0.TemperatureCelsius", 1),
            },
        ),
        (
            "grid_status",
            "grid_status",
            {
                "import_mw": ("ImportPowerWatts", 1e6),
                "available_mw": ("AvailablePowerWatts", 1e6),
                "events.0.target_reduction_mw": ("Events.0.TargetReductionWatts", 1e6),
            },
        ),
        ("workload", "workload", {"max_power_mw": ("MaxPowerWatts", 1e6)}),
        ("power_history", "power_history", {"points.0.power_mw": ("Points.0.PowerWatts", 1e6)}),
        (
            "power_events",
            "power_events",
            {
                "events.0.power_change_mw": ("Events.0.PowerChangeWatts", 1e6),
                "events.1.voltage_v": ("Events.1.VoltageVolts", 1),
            },
        ),
        ("dcpi_service", "dcpi_service", {"rated_power_mw": ("RatedPowerWatts", 1e6)}),
    ],
)
def test_both_faces_show_one_truth(
    message: str, redfish: str, pairs: dict[str, tuple[str, float]]
) -> None:
    """The examples of both faces hold the same values, each in its own unit."""
    sent = json.loads((EXAMPLES / f"{message}.message.json").read_text(encoding="utf-8"))
    shown = json.loads((EXAMPLES / f"{redfish}.redfish.json").read_text(encoding="utf-8"))
    for place, (other, factor) in pairs.items():
        assert at(shown, other) == pytest.approx(at(sent, place) * factor), place


def at(document: Any, place: str) -> Any:
    """The value at a dotted place."""
    for key in place.split("."):
        document = document[int(key) if key.isdigit() else key]
    return document


def test_totals_of_the_examples_are_sums() -> None:
    """A total in an example is the sum of its parts: an example must not lie either."""
    power = json.loads((EXAMPLES / "power_realtime.message.json").read_text(encoding="utf-8"))
    for member in ("power_mw", "reactive_power_mvar", "energy_import_mwh"):
        parts = sum(feed[member] for feed in power["feeds"])
        assert power["total"][member] == pytest.approx(parts), member
    thermal = json.loads((EXAMPLES / "thermal_status.message.json").read_text(encoding="utf-8"))
    heat_mw = sum(loop["heat_mw"] for loop in thermal["loops"])
    assert thermal["total_heat_mw"] == pytest.approx(heat_mw)
