"""Every quantity of DCPI stands at its standard place too, live."""

from __future__ import annotations

from typing import Any

from e2e.emulator_client import Running

SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"


def _expanded(bmc: Running) -> dict[str, Any]:
    answer = bmc.ask("GET", f"{SENSORS}?$expand=.")
    assert answer.status == 200
    return {sensor["Id"]: sensor for sensor in answer.body["Members"]}


def test_a_sensor_and_power_realtime_of_one_window_are_equal(bmc: Running) -> None:
    """Both render one snapshot: power, voltage and THD of each phase are the same numbers."""
    for _ in range(50):
        realtime = bmc.ask("GET", "/redfish/v1/dcpi/power/realtime").body
        sensors = _expanded(bmc)
        total = sensors["Facility_Power"]
        if total["Oem"]["DCPI"]["WindowId"] == realtime["WindowId"]:
            break
    else:
        raise AssertionError("never saw both in one window")
    assert total["Reading"] == realtime["Total"]["PowerWatts"]
    compared = 0
    for feed in realtime["Feeds"]:
        for phase in feed["Phases"]:
            name = f"Feed_{feed['FeedId']}_{phase['Phase']}"
            if sensors[f"{name}_Voltage"]["Oem"]["DCPI"]["WindowId"] == realtime["WindowId"]:
                compared += 1
                assert sensors[f"{name}_Voltage"]["Reading"] == phase["VoltageVolts"]
                assert sensors[f"{name}_Voltage"]["THDPercent"] == phase["VoltageTHDPercent"]
                assert sensors[f"{name}_Power"]["Reading"] == phase["PowerWatts"]
    assert compared >= 3


def test_every_point_of_every_device_is_a_sensor(bmc: Running) -> None:
    """A device's points show with unit, time and quality, without a line of configuration."""
    found = [s for s in _expanded(bmc).values() if s["Id"].startswith("Device_")]
    assert len(found) > 50
    for sensor in found:
        known = sensor["Oem"]["DCPI"]["Quality"] == "ok"
        assert (sensor["Reading"] is not None) == known
        assert sensor["Status"]["State"] == ("Enabled" if known else "UnavailableOffline")
        assert sensor["ReadingUnits"]
    types = {sensor.get("ReadingType") for sensor in found}
    assert {"Power", "Voltage", "Temperature", "LiquidFlowLPM", "Percent"} <= types


def test_an_unknown_sensor_is_404(bmc: Running) -> None:
    """Nothing is made up."""
    assert bmc.ask("GET", f"{SENSORS}/Device_nobody_power").status == 404


def test_the_tag_of_a_sensor_does_not_follow_its_reading(bmc: Running) -> None:
    """ETags cover configuration and state, not readings."""
    uri = f"{SENSORS}/Facility_Power"
    first = bmc.ask("GET", uri)
    while (then := bmc.ask("GET", uri)).body["Reading"] == first.body["Reading"]:
        pass
    assert then.headers["etag"] == first.headers["etag"]


def test_every_resource_names_a_json_schema_that_can_be_found(bmc: Running) -> None:
    """The Link header leads to a JsonSchemaFile, ours or one that DMTF publishes."""
    for uri in (f"{SENSORS}/Facility_Power", "/redfish/v1/dcpi", "/redfish/v1/Systems"):
        link = bmc.ask("GET", uri).headers["link"]
        assert link.endswith("; rel=describedby")
        file = bmc.get(link.partition(">")[0].lstrip("<"))
        location = file["Location"][0]
        if "Uri" in location:
            assert bmc.get(location["Uri"])["$schema"]
        else:
            assert location["PublicationUri"].startswith("http://redfish.dmtf.org/schemas/v1/")
