"""Whatever comes in: a Redfish error body that names the property, and nothing changed."""

from __future__ import annotations

import copy
import json

import pytest
from e2e.emulator_client import Running
from e2e.test_endpoints import announcement

ANNOUNCE = "/redfish/v1/dcpi/workload/announce"
GOOD = announcement("bad-input", 5, in_s=60)


def without(*path: str) -> dict:
    """The good message less one member."""
    message = copy.deepcopy(GOOD)
    place = message
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return message


def with_value(value: object, *path: str) -> dict:
    """The good message with one member changed."""
    message = copy.deepcopy(GOOD)
    place = message
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return message


TEXT = json.dumps(GOOD)
PEAK = ("power_profile", "peak_power_mw")
CASES = [
    ("not JSON", "{", 400, ""),
    ("nothing", "", 400, ""),
    ("an array", "[]", 400, ""),
    ("duplicate keys", TEXT[:-1] + ', "workload_id": "x"}', 400, "workload_id"),
    ("NaN", TEXT.replace('"peak_power_mw": 5', '"peak_power_mw": NaN'), 400, ""),
    ("1e400", TEXT.replace('"peak_power_mw": 5', '"peak_power_mw": 1e400'), 400, ""),
    ("too deep", "[" * 5000 + "]" * 5000, 400, ""),
    ("missing", without("workload_id"), 400, "workload_id"),
    ("missing inside", without(*PEAK), 400, "power_profile/peak_power_mw"),
    ("negative", with_value(-1, *PEAK), 400, "power_profile/peak_power_mw"),
    ("a string for a number", with_value("5", *PEAK), 400, "power_profile/peak_power_mw"),
    ("unknown version", with_value("9.9", "dcpi_version"), 400, "dcpi_version"),
    ("wrong type", with_value("thermal_control", "message_type"), 400, "message_type"),
    ("no date-time", with_value("yesterday", "timestamp"), 400, "timestamp"),
]

KEYS = {
    "missing": "PropertyMissing",
    "missing inside": "PropertyMissing",
    "negative": "PropertyValueOutOfRange",
    "a string for a number": "PropertyValueTypeError",
    "unknown version": "PropertyValueNotInList",
    "wrong type": "PropertyValueNotInList",
    "no date-time": "PropertyValueFormatError",
}
"""Messages of the Base registry by the fault."""


@pytest.mark.parametrize(("what", "body", "status", "named"), CASES, ids=[c[0] for c in CASES])
def test_bad_announcements(bmc: Running, what: str, body: object, status: int, named: str) -> None:
    """A malformed announcement is refused with the property's name, and nothing is kept."""
    before = bmc.get("/redfish/v1/dcpi/workloads")["Members@odata.count"]
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    answer = bmc.ask("POST", ANNOUNCE, raw=raw)
    assert answer.status == status, (what, answer)
    (info,) = answer.body["error"]["@Message.ExtendedInfo"]
    if named:
        assert info["RelatedProperties"] == [f"#/{named}"]
    if what in KEYS:
        assert info["MessageId"].rpartition(".")[2] == KEYS[what]
        assert info["MessageArgs"][-1] == named.rpartition("/")[2]
    assert bmc.get("/redfish/v1/dcpi/workloads")["Members@odata.count"] == before


def test_body_over_the_limit_is_413(bmc: Running) -> None:
    """A body over the limit is refused with 413."""
    raw = b'{"x": "' + b"a" * 1_100_000 + b'"}'
    answer = bmc.ask("POST", ANNOUNCE, raw=raw)
    assert answer.status == 413


def test_wrong_content_type_is_415(bmc: Running) -> None:
    """Another media type than JSON is refused with 415."""
    answer = bmc.ask("POST", ANNOUNCE, raw=b"<x/>", headers={"Content-Type": "text/xml"})
    assert answer.status == 415


@pytest.mark.parametrize(
    "path",
    ["/redfish/v1/dcpi/nothing", "/dcpi/nothing", "/redfish/v1/%2e%2e/etc", "/redfish//v1", "/x"],
)
def test_unknown_path_is_404(bmc: Running, path: str) -> None:
    """An unknown path is 404 with an error body."""
    answer = bmc.ask("GET", path)
    assert answer.status == 404
    assert "error" in answer.body


@pytest.mark.parametrize("method", ["PUT", "TRACE", "PROPFIND"])
def test_unknown_method_is_405(bmc: Running, method: str) -> None:
    """A method that the resource does not take is 405 with Allow."""
    answer = bmc.ask(method, "/redfish/v1/dcpi/power/realtime")
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]


def test_unsupported_query_is_501(bmc: Running) -> None:
    """A query option of OData that is not supported is 501, any other is ignored."""
    assert bmc.ask("GET", "/redfish/v1/dcpi?$orderby=Name").status == 501
    assert bmc.ask("GET", "/redfish/v1/dcpi?colour=blue").status == 200


def test_contradictory_set_points_are_400_and_nothing_is_written(bmc: Running) -> None:
    """The same loop set twice differently is refused before anything is written."""
    before = {
        loop["SystemId"]: loop for loop in bmc.get("/redfish/v1/dcpi/thermal/status")["Loops"]
    }
    message = {
        "dcpi_version": "1.0",
        "message_type": "thermal_control",
        "timestamp": "2026-01-01T00:00:00Z",
        "cooling_commands": [
            {"system_id": "liquid_cooling_loop_g", "pump_speed_percent": 30},
            {"system_id": "liquid_cooling_loop_g", "pump_speed_percent": 90},
        ],
    }
    answer = bmc.ask("POST", "/dcpi/thermal/control", message)
    assert answer.status == 400
    after = {loop["SystemId"]: loop for loop in bmc.get("/redfish/v1/dcpi/thermal/status")["Loops"]}
    key = "PumpSpeedSetPointPercent"
    assert after["liquid_cooling_loop_g"][key] == before["liquid_cooling_loop_g"][key]
