"""DMTF's redfishtool: every operation reads what the service has, or writes what it then has."""

from __future__ import annotations

import json
import re

import pytest
from clients.conftest import CHASSIS, NEAR, SYSTEM, Clients

from emulator.plant.client import PlantControl

ROOT = "/redfish/v1"
OWN = f"{ROOT}/Managers/DCPI"


@pytest.mark.parametrize(
    ("words", "member"),
    [
        (("root",), "RedfishVersion"),
        (("Systems",), "Members"),
        (("-I", SYSTEM, "Systems"), "PowerState"),
        (("-I", SYSTEM, "Systems", "EthernetInterfaces"), "Members"),
        (("Chassis",), "Members"),
        (("-M", "Id:DCPI", "Chassis"), "Sensors"),
        (("-I", CHASSIS, "Chassis", "Thermal"), "Fans"),
        (("-I", "DCPI", "Chassis", "Power"), "PowerControl@odata.count"),
        (("Managers",), "Members"),
        (("-F", "Managers"), "FirmwareVersion"),
        (("-I", "DCPI", "Managers", "NetworkProtocol"), "HTTPS"),
        (("-I", "DCPI", "Managers", "EthernetInterfaces"), "Members"),
        (("-I", "DCPI", "-i", "lo", "Managers", "EthernetInterfaces"), "MACAddress"),
        (("-I", "DCPI", "-i", "Audit", "Managers", "Logs"), "LogEntryType"),
        (("AccountService",), "Accounts"),
        (("AccountService", "Accounts"), "Members@odata.count"),
        (("-i", "root", "AccountService", "Accounts"), "RoleId"),
        (("-m", "RoleId:Operator", "AccountService", "Roles"), "AssignedPrivileges"),
        (("SessionService",), "SessionTimeout"),
        (("versions",), "v1"),
        (("odata",), "value"),
        (("-A", "Session", "-I", SYSTEM, "Systems"), "PowerState"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_it_reads(clients: Clients, words: tuple[str, ...], member: str) -> None:
    """Each operation shows the very body that the service has."""
    body = clients.tool(*words)
    assert member in body
    if "@odata.id" in body:
        assert clients.bmc.get(body["@odata.id"])[member] == body[member]


def test_it_knows_itself_and_the_metadata(clients: Clients) -> None:
    """Its own version needs no service; the metadata come whole."""
    assert "Version: 1.1" in clients.tool_says("about")
    metadata = clients.bmc.ask("GET", f"{ROOT}/$metadata").body.decode()
    assert clients.tool_says("metadata").strip().startswith(metadata.strip()[:500])


@pytest.mark.parametrize("kind", ["Systems", "Chassis", "Managers"])
def test_it_lists_every_member(clients: Clients, kind: str) -> None:
    """Its list and its -a have each member of the collection."""
    links = {link["@odata.id"] for link in clients.bmc.get(f"{ROOT}/{kind}")["Members"]}
    listed = clients.tool(kind, "list")["Members"]
    assert {member["@odata.id"] for member in listed} == links
    every = clients.tool("-a", kind)["Members"]
    assert {member["@odata.id"] for member in every} == links


def test_it_tells_the_plants_power(clients: Clients, plant: PlantControl) -> None:
    """By the old way, Power, as by the new one, a sensor."""

    def near() -> object:
        return pytest.approx(plant.truth()["site_power_w"], rel=NEAR)

    sensor = clients.tool("raw", "GET", f"{ROOT}/Chassis/DCPI/Sensors/Facility_Power")
    assert sensor["Reading"] == near()
    reading = clients.tool("-I", "DCPI", "Chassis", "getPowerReading", "consumed")
    assert reading["PowerConsumedWatts"] == near()
    whole = clients.tool("-I", "DCPI", "Chassis", "getPowerReading")
    assert whole["PowerLimit"]["LimitInWatts"] > whole["PowerConsumedWatts"]


def test_it_sets_the_power_limit(clients: Clients) -> None:
    """Null withdraws the limit that another client set; one that cannot be kept changes nothing.

    The tool takes six digits of watts: a campus draws more than any limit that it can set.
    """
    one = ("-I", "DCPI", "Chassis", "setPowerLimit")
    control = f"{ROOT}/Chassis/DCPI/Controls/Facility_PowerLimit"
    before_w = clients.bmc.get(control)["SetPoint"]
    assert clients.bmc.ask("PATCH", control, {"SetPoint": 0.9 * before_w}).status == 200
    assert "409" in clients.tool_says(*one, "999999", fails=True)
    assert clients.bmc.get(control)["SetPoint"] == 0.9 * before_w
    assert clients.tool(*one, "null")["PowerLimit"]["LimitInWatts"] == before_w
    assert clients.bmc.get(control)["SetPoint"] == before_w


def test_it_tells_the_plants_temperatures(clients: Clients, plant: PlantControl) -> None:
    """Thermal has each loop's supply and return; Sensors prints them as a table."""
    shown = {
        one["Name"]: one["ReadingCelsius"]
        for one in clients.tool("-I", "DCPI", "Chassis", "Thermal")["Temperatures"]
    }
    for name, loop in plant.truth()["loops"].items():
        if name != "liquid_cooling_loop_b":  # whose pump another test turns
            assert shown[f"{name} supply temperature"] == pytest.approx(loop["supply_c"], rel=NEAR)
            assert shown[f"{name} return temperature"] == pytest.approx(loop["return_c"], rel=NEAR)
    table = clients.tool_says("-I", CHASSIS, "Chassis", "Sensors")
    for sensor in clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}/Sensors?$expand=.")["Members"]:
        assert re.search(rf"^{sensor['Id']} +{sensor['Reading']} ", table, re.MULTILINE), table


def test_it_switches_the_machine(clients: Clients) -> None:
    """Power, boot, lamp, tag and a raw patch are what the service then has."""
    one = ("-I", SYSTEM, "Systems")
    for kind, state in (("On", "On"), ("ForceOff", "Off")):
        clients.tool(*one, "reset", kind)
        assert clients.system()["PowerState"] == state
    clients.tool(*one, "setBootOverride", "Once", "Pxe")
    boot = clients.system()["Boot"]
    assert (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]) == ("Once", "Pxe")
    clients.tool(*one, "setIndicatorLed", "Blinking")
    assert clients.system()["IndicatorLED"] == "Blinking"
    clients.tool(*one, "setAssetTag", "rack 7")
    assert clients.system()["AssetTag"] == "rack 7"
    clients.tool(*one, "patch", '{"Boot": {"BootSourceOverrideTarget": "Hdd"}}')
    assert clients.system()["Boot"]["BootSourceOverrideTarget"] == "Hdd"


def test_it_marks_the_chassis(clients: Clients) -> None:
    """Lamp and tag of the chassis are those that were set."""
    one = ("-I", CHASSIS, "Chassis")
    clients.tool(*one, "setIndicatorLed", "Lit")
    clients.tool(*one, "setAssetTag", "shelf 3")
    body = clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}")
    assert (body["IndicatorLED"], body["AssetTag"]) == ("Lit", "shelf 3")
    clients.tool(*one, "patch", '{"AssetTag": "shelf 4"}')
    assert clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}")["AssetTag"] == "shelf 4"


def test_it_sets_the_managers_clock_and_restarts_it(clients: Clients) -> None:
    """The clock is the one that was set, the service's name its own, the start a new one."""
    manager = f"{ROOT}/Managers/{SYSTEM}"
    one = ("-I", SYSTEM, "Managers")
    clients.tool(*one, "setTimeOffset", "offset=+01:00")
    assert clients.bmc.get(manager)["DateTimeLocalOffset"] == "+01:00"
    clients.tool(*one, "setDateTime", "2033-02-03T04:05:06+00:00")
    assert clients.bmc.get(manager)["DateTime"].startswith("2033-02-03T05:0")
    clients.tool("-I", "DCPI", "Managers", "patch", '{"ServiceIdentification": "row 8"}')
    assert clients.bmc.get(f"{ROOT}/")["ServiceIdentification"] == "row 8"
    before = clients.bmc.get(OWN)["LastResetTime"]
    clients.tool("-I", "DCPI", "Managers", "reset", "GracefulRestart")
    clients.wait_for_restart(before)


def test_it_rules_an_account(clients: Clients) -> None:
    """It logs in with the password of the day, while enabled, in its role, and is then gone."""
    name, first, second = "tooluser", "Very-Long-Lab-Secret-8", "Very-Long-Lab-Secret-9"
    service = ("AccountService",)
    clients.tool(*service, "adduser", name, first, "ReadOnly")
    assert clients.may_log_in(name, first)
    clients.tool(*service, "setpassword", name, second)
    assert (clients.may_log_in(name, first), clients.may_log_in(name, second)) == (False, True)
    clients.tool(*service, "useradmin", name, "setRoleId", "Operator")
    assert clients.bmc.get(f"{ROOT}/AccountService/Accounts/{name}")["RoleId"] == "Operator"
    clients.tool(*service, "useradmin", name, "disable")
    assert not clients.may_log_in(name, second)
    clients.tool(*service, "useradmin", name, "enable")
    clients.tool(*service, "useradmin", name, "unlock")
    assert clients.may_log_in(name, second)
    listed = clients.tool(*service, "Accounts", "list")["Members"]
    assert name in [member["UserName"] for member in listed]
    clients.tool(*service, "deleteuser", name)
    assert not clients.may_log_in(name, second)
    clients.tool(*service, "patch", '{"AccountLockoutDuration": 301}')
    assert clients.bmc.get(f"{ROOT}/AccountService")["AccountLockoutDuration"] == 301


def test_it_opens_and_closes_a_session(clients: Clients) -> None:
    """Its token opens the service until it logs out; the time-out is the one that was set."""
    session = clients.tool("SessionService", "login")
    token = {"X-Auth-Token": session["X-Auth-Token"]}
    uri = f"{ROOT}/Systems"
    assert clients.bmc.ask("GET", uri, headers=token, auth=False).status == 200
    shown = clients.tool("SessionService", "Sessions", "-i", session["SessionId"])
    assert shown["UserName"] == "root"
    clients.tool_says("SessionService", "logout", "-l", session["SessionLocation"])
    assert clients.bmc.ask("GET", uri, headers=token, auth=False).status == 401
    for seconds, words in (
        (1210, ("setSessionTimeout", "1210")),
        (1220, ("patch", '{"SessionTimeout": 1220}')),
    ):
        clients.tool("SessionService", *words)
        assert clients.bmc.get(f"{ROOT}/SessionService")["SessionTimeout"] == seconds


def test_its_raw_methods_arrive(clients: Clients) -> None:
    """POST makes, PATCH changes, DELETE takes away; HEAD has no body, and PUT is refused."""
    accounts = f"{ROOT}/AccountService/Accounts"
    body = {"UserName": "rawtool", "Password": "Very-Long-Lab-Secret-7", "RoleId": "ReadOnly"}
    clients.tool("raw", "POST", accounts, "-d", json.dumps(body))
    assert clients.may_log_in("rawtool", body["Password"])
    clients.tool("raw", "PATCH", f"{accounts}/rawtool", "-d", '{"RoleId": "Operator"}')
    assert clients.bmc.get(f"{accounts}/rawtool")["RoleId"] == "Operator"
    clients.tool("raw", "DELETE", f"{accounts}/rawtool")
    assert not clients.may_log_in("rawtool", body["Password"])
    assert clients.tool_says("raw", "HEAD", accounts).strip() == ""
    assert "405" in clients.tool_says("raw", "PUT", accounts, "-d", "{}", fails=True)
