"""Metric reports: the same values as the sensors of their window, on time, kept and pushed."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import Running, emulator, wait_for
from event_listener import event_listener

SERVICE = "/redfish/v1/TelemetryService"
DEFINITIONS = f"{SERVICE}/MetricReportDefinitions"
SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"


def define(bmc: Running, **members: object) -> tuple[str, str]:
    """The URIs of a new definition and of its report."""
    body = {
        "MetricReportDefinitionType": "OnRequest",
        "MetricProperties": [f"{SENSORS}/Facility_Power#/Reading"],
        **members,
    }
    answer = bmc.ask("POST", DEFINITIONS, body)
    assert answer.status == 201, answer.body
    uri = answer.headers["location"]
    return uri, f"{SERVICE}/MetricReports/{answer.body['Id']}"


def windows(report: dict[str, Any]) -> int:
    """The window of a report."""
    window: int = report["Oem"]["DCPI"]["WindowId"]
    return window


def test_a_report_equals_the_sensors_of_its_window(bmc: Running) -> None:
    """Every facility sensor of one WindowId, digit by digit; unknown is null in both."""
    uri, report_uri = define(
        bmc,
        Wildcards=[{"Name": "S", "Values": ["*"]}],
        MetricProperties=[f"{SENSORS}/{{S}}#/Reading", f"{SENSORS}/Facility_Power/PowerFactor"],
    )

    def same_window() -> list[Any]:
        report = bmc.get(report_uri)
        sensors = bmc.get(f"{SENSORS}?$expand=.")["Members"]
        shown = {
            s["@odata.id"]: s for s in sensors if s["Oem"]["DCPI"]["WindowId"] == windows(report)
        }
        return [
            (value, shown[value["MetricProperty"].partition("#")[0]])
            for value in report["MetricValues"]
            if value["MetricProperty"].partition("#")[0] in shown
        ]

    pairs = wait_for(same_window, 20, "a report and sensors of one window")
    assert len(pairs) > 50
    for value, sensor in pairs:
        reading = sensor["Reading"]
        assert value["MetricValue"] == (None if reading is None else json.dumps(reading)), value
    assert bmc.ask("DELETE", uri).status == 204
    assert bmc.ask("GET", report_uri).status == 404


def test_a_periodic_report_comes_each_period_and_is_pushed(bmc: Running, tmp_path: Path) -> None:
    """One for each half second of Unix time, to who asked for this report."""
    with event_listener(tmp_path) as listener:
        uri, report_uri = define(
            bmc,
            MetricReportDefinitionType="Periodic",
            Schedule={"RecurrenceInterval": "PT0.5S"},
            ReportActions=["RedfishEvent", "LogToMetricReportsCollection"],
            Metrics=[{"MetricId": "P", "MetricProperties": [f"{SENSORS}/Facility_Power/Reading"]}],
            MetricProperties=[],
        )
        body = {
            "Destination": listener.url,
            "Protocol": "Redfish",
            "EventFormatType": "MetricReport",
            "MetricReportDefinitions": [{"@odata.id": uri}],
        }
        subscription = bmc.ask("POST", "/redfish/v1/EventService/Subscriptions", body)
        assert subscription.status == 201
        wait_for(lambda: len(listener.posts) >= 5, 20, "five reports")
        assert bmc.ask("DELETE", subscription.headers["location"]).status == 204
    reports = [report for _, report in listener.posts]
    assert {report["@odata.id"] for report in reports} == {report_uri}
    assert {report["MetricValues"][0]["MetricId"] for report in reports} == {"P"}
    assert [windows(r) // 5 for r in reports] == [
        windows(reports[0]) // 5 + number for number in range(len(reports))
    ]
    assert bmc.get(report_uri)["MetricReportDefinition"] == {"@odata.id": uri}
    bmc.ask("DELETE", uri)


def test_appended_reports_keep_to_their_limit(bmc: Running) -> None:
    """AppendWrapsWhenFull keeps the newest values, AppendStopsWhenFull the first."""
    made = []
    for updates in ("AppendWrapsWhenFull", "AppendStopsWhenFull"):
        made.append(
            define(
                bmc,
                MetricReportDefinitionType="Periodic",
                Schedule={"RecurrenceInterval": "PT0.1S"},
                ReportUpdates=updates,
                AppendLimit=4,
            )
        )
    for _, report_uri in made:
        first = windows(bmc.get(report_uri))
        wait_for(lambda uri=report_uri, w=first: windows(bmc.get(uri)) > w + 8, 10, "8 windows")
    wrapping, stopping = (bmc.get(report_uri) for _, report_uri in made)
    assert [len(report["MetricValues"]) for report in (wrapping, stopping)] == [4, 4]
    assert wrapping["MetricValues"][-1]["Timestamp"] == wrapping["Timestamp"]
    assert stopping["MetricValues"][-1]["Timestamp"] < stopping["Timestamp"]
    for uri, _ in made:
        bmc.ask("DELETE", uri)


@pytest.mark.parametrize(
    ("member", "value", "place"),
    [
        ("MetricReportDefinitionType", "Sometimes", "MetricReportDefinitionType"),
        ("MetricReportDefinitionType", "Periodic", "Schedule"),
        ("MetricProperties", [f"{SENSORS}/Nowhere#/Reading"], "MetricProperties"),
        ("MetricProperties", ["/redfish/v1/Systems/1#/PowerState"], "MetricProperties"),
        ("MetricProperties", [f"{SENSORS}/{{X}}#/Reading"], "MetricProperties"),
        ("MetricProperties", [], "MetricProperties"),
        ("MetricProperties", [f"{SENSORS}/Facility_Power#/Reading"] * 2001, "MetricProperties"),
        ("Metrics", [{"CollectionFunction": "Average"}], "Metrics/0/CollectionDuration"),
        ("ReportUpdates", "NewReport", "ReportUpdates"),
        ("AppendLimit", 0, "AppendLimit"),
        ("Id", "../x", "Id"),
        ("Schedule", {"RecurrenceInterval": "PT0.05S"}, "Schedule/RecurrenceInterval"),
        ("Schedule", {"RecurrenceInterval": "soon"}, "Schedule/RecurrenceInterval"),
        ("Colour", "blue", "Colour"),
    ],
)
def test_what_cannot_be_reported_is_refused_and_named(
    bmc: Running, member: str, value: object, place: str
) -> None:
    """400 with the property at fault, and nothing is defined."""
    before = bmc.get(DEFINITIONS)["Members@odata.count"]
    body = {
        "MetricReportDefinitionType": "OnRequest",
        "MetricProperties": [f"{SENSORS}/Facility_Power#/Reading"],
        member: value,
    }
    answer = bmc.ask("POST", DEFINITIONS, body)
    assert answer.status == 400, answer.body
    related = answer.body["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"]
    assert related == [f"#/{place}"]
    assert bmc.get(DEFINITIONS)["Members@odata.count"] == before


def test_all_reports_together_have_a_limit(bmc: Running) -> None:
    """490 values in each window are 4,900 a second: the third such definition is a conflict."""
    wanted = {
        "MetricReportDefinitionType": "Periodic",
        "Schedule": {"RecurrenceInterval": "PT0.1S"},
        "MetricReportDefinitionEnabled": True,
        "MetricProperties": [f"{SENSORS}/Facility_Power#/Reading"] * 490,
    }
    made = []
    for status in (201, 201, 409):
        answer = bmc.ask("POST", DEFINITIONS, wanted)
        assert answer.status == status, answer.body
        if status == 201:
            made.append(answer.headers["location"])
    for uri in made:
        assert bmc.ask("DELETE", uri).status == 204


def test_definitions_outlive_a_kill_and_a_deleted_one_stays_away(tmp_path: Path) -> None:
    """On disk before the answer; the definition that a new service brings is not brought again."""
    with emulator(tmp_path) as bmc:
        assert bmc.ask("DELETE", f"{DEFINITIONS}/FacilityPower").status == 204
        uri, report_uri = define(bmc, Id="mine", Name="My report")
        changes = {"SuppressRepeatedMetricValue": True}
        assert bmc.ask("PATCH", uri, changes).body["SuppressRepeatedMetricValue"] is True
        bmc.kill()
    with emulator(tmp_path) as bmc:
        assert [m["@odata.id"] for m in bmc.get(DEFINITIONS)["Members"]] == [uri]
        shown = bmc.get(uri)
        assert (shown["Name"], shown["SuppressRepeatedMetricValue"]) == ("My report", True)
        wait_for(lambda: bmc.get(report_uri)["MetricValues"], 10, "a value")


def test_the_windows_of_a_feed_come_as_lines(bmc: Running) -> None:
    """NDJSON without a gap, resumed by WindowId, equal to the newest report of the same window."""
    feed = bmc.get(f"{SERVICE}/TelemetryData")["Members"][0]["@odata.id"]
    data = bmc.get(feed)
    assert data["OEMTelemetryDataType"] == "DcpiPowerWindows"

    def of_a_second() -> list[dict[str, Any]]:
        """Those of a moment in which the machine did not keep the campus from measuring."""
        time.sleep(1)
        lines = bmc.get(data["AdditionalDataURI"]).splitlines()
        newest = [json.loads(line) for line in lines][-10:]
        known = [row["WindowId"] for row in newest]
        return newest if known == list(range(known[0], known[0] + 10)) else []

    rows = wait_for(of_a_second, 1.0, "ten windows without a gap")
    ids = [row["WindowId"] for row in rows]
    later = bmc.get(f"{data['AdditionalDataURI']}?since={ids[-5]}").splitlines()
    assert json.loads(later[0]) == rows[-4]
    history = bmc.get("/redfish/v1/dcpi/power/realtime")
    assert len(rows[-1]["VoltageVolts"]) == 3
    assert rows[-1]["PowerWatts"] == pytest.approx(
        next(f for f in history["Feeds"] if f["FeedId"] == data["Id"])["PowerWatts"], rel=0.2
    )
    assert bmc.ask("GET", f"{data['AdditionalDataURI']}?since=x").status == 400


def test_a_trigger_tells_a_listener_its_log_and_a_report(bmc: Running, tmp_path: Path) -> None:
    """A level inside the load's own noise is passed: event, log entry and a report out of turn."""
    sensor = f"{SENSORS}/Facility_Power"
    seen = {bmc.get(sensor)["Reading"]}
    wait_for(lambda: len(seen) > 1 or seen.add(bmc.get(sensor)["Reading"]), 60, "a load that moves")
    level = (min(seen) + max(seen)) / 2
    definition, report_uri = define(bmc, Metrics=[{
        "MetricProperties": [f"{sensor}#/Reading"], "CollectionFunction": "Average",
        "CollectionDuration": "PT0.2S"}], MetricProperties=[],
        ReportActions=["RedfishEvent"])  # fmt: skip
    trigger: dict[str, Any] = {
        "MetricType": "Numeric",
        "NumericThresholds": {"UpperWarning": {"Reading": level, "Activation": "Increasing"}},
        "MetricProperties": [f"{sensor}#/Reading"],
        "TriggerActions": ["RedfishEvent", "LogToLogService", "RedfishMetricReport"],
        "Links": {"MetricReportDefinitions": [{"@odata.id": definition}]},
    }
    with event_listener(tmp_path) as listener:
        made = [
            bmc.ask("POST", "/redfish/v1/EventService/Subscriptions", {
                "Destination": listener.url, "Protocol": "Redfish", **wanted})
            for wanted in ({"RegistryPrefixes": ["Telemetry"]}, {"EventFormatType": "MetricReport",
                           "MetricReportDefinitions": [{"@odata.id": definition}]})
        ]  # fmt: skip
        made.append(bmc.ask("POST", f"{SERVICE}/Triggers", trigger))
        assert [answer.status for answer in made] == [201] * 3, made[-1].body
        posts = listener.posts
        # A load that has drifted away from the level since gets another one.
        for _ in range(6):
            with contextlib.suppress(AssertionError):
                wait_for(lambda: any("Events" in body for _, body in posts), 15, "the event")
                break
            assert bmc.ask("DELETE", made.pop().headers["location"]).status == 204
            trigger["NumericThresholds"]["UpperWarning"]["Reading"] = bmc.get(sensor)["Reading"]
            made.append(bmc.ask("POST", f"{SERVICE}/Triggers", trigger))
            assert made[-1].status == 201
        wait_for(lambda: any("MetricValues" in body for _, body in posts), 60, "the report")
        for answer in made:
            assert bmc.ask("DELETE", answer.headers["location"]).status == 204
    event = next(body for _, body in posts if "Events" in body)["Events"][0]
    assert event["MessageId"] == "Telemetry.1.0.TriggerNumericAboveUpperWarning"
    assert event["OriginOfCondition"] == {"@odata.id": sensor}
    assert float(event["MessageArgs"][1]) >= float(event["MessageArgs"][2])
    log = bmc.get(bmc.get(SERVICE)["LogService"]["@odata.id"])["Entries"]["@odata.id"]
    entries = bmc.get(log)["Members"]
    assert event["MessageArgs"] in [entry["MessageArgs"] for entry in entries]
    assert bmc.get(entries[0]["@odata.id"])["MessageId"].startswith("Telemetry.")
    average = wait_for(
        lambda: bmc.get(report_uri)["MetricValues"][0]["MetricValue"], 60, "two windows in a row"
    )
    assert float(average) == pytest.approx(level, rel=0.1)
    bmc.ask("DELETE", definition)


def test_a_trigger_does_not_link_to_a_report_that_is_gone(bmc: Running) -> None:
    """No link leads nowhere, and the trigger can be changed as before."""
    definition, _ = define(bmc)
    made = bmc.ask("POST", f"{SERVICE}/Triggers", {
        "NumericThresholds": {"UpperWarning": {"Reading": 1}},
        "MetricProperties": [f"{SENSORS}/Facility_Power#/Reading"],
        "TriggerActions": ["RedfishMetricReport"],
        "Links": {"MetricReportDefinitions": [{"@odata.id": definition}]},
    })  # fmt: skip
    uri = made.headers["location"]
    assert bmc.get(uri)["Links"]["MetricReportDefinitions"] == [{"@odata.id": definition}]
    assert bmc.ask("DELETE", definition).status == 204
    assert bmc.get(uri)["Links"]["MetricReportDefinitions"] == []
    assert bmc.ask("PATCH", uri, {"TriggerEnabled": False}).status == 200
    assert bmc.ask("DELETE", uri).status == 204


def test_what_a_patch_of_a_trigger_does_not_name_stays(bmc: Running) -> None:
    """One threshold's reading changes; null takes a threshold away (DSP0266 7.9)."""
    upper = {"Reading": 5e8, "Activation": "Increasing", "DwellTime": "PT1S"}
    made = bmc.ask("POST", f"{SERVICE}/Triggers", {
        "NumericThresholds": {"UpperWarning": upper, "LowerWarning": {"Reading": 1}},
        "MetricProperties": [f"{SENSORS}/Facility_Power#/Reading"],
        "TriggerActions": ["RedfishEvent", "LogToLogService"],
    })  # fmt: skip
    uri = made.headers["location"]
    lower = made.body["NumericThresholds"]["LowerWarning"]
    for change, left in (
        ({"UpperWarning": {"Reading": 6e8}}, {"UpperWarning": upper | {"Reading": 6e8},
                                              "LowerWarning": lower}),
        ({"UpperWarning": None}, {"LowerWarning": lower}),
        ({}, {"LowerWarning": lower}),
    ):  # fmt: skip
        answer = bmc.ask("PATCH", uri, {"NumericThresholds": change})
        assert (answer.status, answer.body["NumericThresholds"]) == (200, left)
    answer = bmc.ask("PATCH", uri, {"TriggerActions": [None, {}]})
    assert answer.body["TriggerActions"] == ["LogToLogService"]
    assert bmc.ask("PATCH", uri, {"NumericThresholds": {"LowerWarning": None}}).status == 400
    assert bmc.get(uri)["NumericThresholds"] == {"LowerWarning": lower}
    bmc.ask("DELETE", uri)


def test_what_a_patch_of_a_report_does_not_name_stays(bmc: Running) -> None:
    """Metrics and MetricProperties are changed apart, entry by entry."""
    power, energy = (f"{SENSORS}/Facility_{one}#/Reading" for one in ("Power", "EnergyImport"))
    averaged = {
        "MetricId": "mean", "MetricProperties": [power], "CollectionFunction": "Average",
        "CollectionDuration": "PT1S",
    }  # fmt: skip
    uri, _ = define(bmc, Metrics=[averaged], MetricProperties=[power, energy])

    def after(**change: object) -> tuple[Any, Any]:
        answer = bmc.ask("PATCH", uri, change)
        assert answer.status == 200, answer.body
        return answer.body.get("Metrics"), answer.body.get("MetricProperties")

    (mean,) = bmc.get(uri)["Metrics"]
    renamed = mean | {"MetricId": "m"}
    other = {"MetricId": "e", "MetricProperties": [energy]}
    assert after(Metrics=[{"MetricId": "m"}]) == ([renamed], [power, energy])
    assert after(MetricProperties=[None, {}]) == ([renamed], [energy])
    assert after(Metrics=[{}, other]) == ([renamed, other], [energy])
    assert after(Metrics=[None, {}]) == ([other], [energy])
    assert after(MetricProperties=[]) == ([other], None)
    bmc.ask("DELETE", uri)
