"""What both faces answer live fits the published schemas."""

from __future__ import annotations

import json

import pytest
from e2e.emulator_client import Running, wait_for
from jsonschema import Draft202012Validator

import schemas

HOME = "/redfish/v1/dcpi"
REDFISH = {
    HOME: "DcpiService.v1_0_0",
    f"{HOME}/power/realtime": "DcpiPowerRealtime.v1_0_0",
    f"{HOME}/power/history": "DcpiPowerHistory.v1_0_0",
    f"{HOME}/power/events": "DcpiPowerEvents.v1_0_0",
    f"{HOME}/thermal/status": "DcpiThermalStatus.v1_0_0",
    f"{HOME}/grid/status": "DcpiGridStatus.v1_0_0",
    f"{HOME}/workloads": "DcpiWorkloadCollection",
}
MESSAGES = {
    "/dcpi": "capabilities",
    "/dcpi/power/realtime": "power_realtime",
    "/dcpi/power/history": "power_history",
    "/dcpi/power/events": "power_events",
    "/dcpi/thermal/status": "thermal_status",
    "/dcpi/grid/status": "grid_status",
}


@pytest.mark.parametrize("path", REDFISH)
def test_redfish_answers_fit_their_schema(bmc: Running, path: str) -> None:
    """Each resource of ours is as its published JSON Schema says."""
    answer = bmc.ask("GET", path)
    body = answer.body
    text = schemas.path(f"redfish/{REDFISH[path]}.json").read_text(encoding="utf-8")
    Draft202012Validator(json.loads(text)).validate(body)
    assert body["@odata.id"] == path
    assert body["@odata.etag"] == answer.headers["etag"]

    def stands() -> bool:
        """Readings move on; what the tag is of may just have changed, but not each time."""
        tag, later = (bmc.ask("GET", path).headers["etag"] for _ in range(2))
        return bool(tag == later)

    wait_for(stands, 5, "an entity tag that stands")


@pytest.mark.parametrize("path", MESSAGES)
def test_messages_fit_their_schema(bmc: Running, path: str) -> None:
    """Each message is as its published schema says, and carries the client's correlation id."""
    answer = bmc.ask("GET", path, headers={"X-Correlation-ID": "abc-1"})
    schemas.validator(f"messages/{MESSAGES[path]}").validate(answer.body)
    assert answer.body["correlation_id"] == "abc-1"
    assert answer.body["facility_id"] == "campus-250mw"


def test_metadata_names_every_type_that_is_served(bmc: Running) -> None:
    """$metadata references a schema for each of our types, and each of ours can be read."""
    document = bmc.ask("GET", "/redfish/v1/$metadata", auth=False).body.decode()
    for schema in REDFISH.values():
        name = schema.partition(".")[0]
        assert f"/redfish/v1/schema/{name}_v1.xml" in document
        assert bmc.ask("GET", f"/redfish/v1/schema/{name}_v1.xml").status == 200
