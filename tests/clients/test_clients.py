"""Clients that people use see the plant's truth, and what they write arrives at the device."""

from __future__ import annotations

import itertools
import json
import re
import subprocess

import pytest
from clients.conftest import SYSTEM, Clients
from e2e.emulator_client import PASSWORD, USER, Running, wait_for

from emulator.plant.client import PlantControl

CHASSIS = "15693887-7984-9484-3272-842188918912"
_NEAR = 0.05
"""Meters err by 0.5 %, and the campus moves while a client is starting."""


def _reset(bmc: Running, kind: str) -> None:
    uri = f"/redfish/v1/Systems/{SYSTEM}/Actions/ComputerSystem.Reset"
    assert bmc.ask("POST", uri, {"ResetType": kind}).status == 204


def _site_w(plant: PlantControl) -> float:
    return float(plant.truth()["site_power_w"])


def test_redfish_reads_the_power_and_turns_a_pump(clients: Clients, plant: PlantControl) -> None:
    """DMTF's library reads what the site draws, and its command reaches the drive."""
    seen = clients.script("with_redfish.py")
    assert seen["power_w"] == pytest.approx(_site_w(plant), rel=_NEAR)
    assert seen["status"] == 200, seen
    wait_for(
        lambda: abs(plant.truth()["loops"]["liquid_cooling_loop_b"]["pump_speed_percent"] - 83) < 1,
        30,
        "the pump at 83 %",
    )


def test_rf_sensor_list_tells_the_truth(clients: Clients, plant: PlantControl) -> None:
    """The script for sensors shows the facility's power and a loop's flow as they are."""
    out = clients.utility("rf_sensor_list", "--id")
    power = re.search(r"^\s*Sensor Facility_Power\s*\|\s*([\d.]+) W\b", out, re.MULTILINE)
    assert power is not None, out[:2000]
    assert float(power[1]) == pytest.approx(_site_w(plant), rel=_NEAR)
    flows = [float(text) for text in re.findall(r"\|\s*([\d.]+) L/min\b", out)]
    loops = plant.truth()["loops"]
    del loops["liquid_cooling_loop_b"]  # whose pump another test turns
    for loop in loops.values():
        assert pytest.approx(loop["flow_lpm"], rel=_NEAR) in flows


def test_rf_power_reset_switches_the_machine(clients: Clients) -> None:
    """On and off arrive."""
    for kind, state in (("On", "On"), ("ForceOff", "Off")):
        clients.utility("rf_power_reset", "--type", kind)
        assert clients.system()["PowerState"] == state


def test_rf_boot_override_is_kept(clients: Clients) -> None:
    """The next boot is from where the script said."""
    clients.utility("rf_boot_override", "--target", "Cd")
    assert clients.system()["Boot"]["BootSourceOverrideTarget"] == "Cd"
    assert clients.system()["Boot"]["BootSourceOverrideEnabled"] == "Once"


def test_rf_virtual_media_inserts_and_ejects(clients: Clients) -> None:
    """The medium is in the drive, and then out of it."""

    def images() -> set[str | None]:
        listed = clients.bmc.get(f"/redfish/v1/Systems/{SYSTEM}/VirtualMedia?$expand=.")
        return {medium["Image"] for medium in listed["Members"]}

    image = "http://127.0.0.1/boot.iso"
    clients.utility("rf_virtual_media", "insert", "--image", image)
    assert image in images()
    found = re.search(rf"^\s*(\S+)\s*\|[^\n]*{re.escape(image)}", clients.utility(
        "rf_virtual_media", "info"), re.MULTILINE)  # fmt: skip
    drive = found[1] if found else "Cd"
    clients.utility("rf_virtual_media", "eject", "--id", drive)
    assert image not in images()


def test_rf_accounts_adds_one_that_can_log_in(clients: Clients) -> None:
    """A new account logs in, and is gone afterwards."""
    name, password = "labuser", "Very-Long-Lab-Secret-7"
    clients.utility("rf_accounts", "--add", name, password, "ReadOnly")
    login = {"UserName": name, "Password": password}
    sessions = "/redfish/v1/SessionService/Sessions"
    assert clients.bmc.ask("POST", sessions, login, auth=False).status == 201
    clients.utility("rf_accounts", "--delete", name)
    assert clients.bmc.ask("POST", sessions, login, auth=False).status == 401


def test_rf_sys_inventory_names_the_chassis(clients: Clients) -> None:
    """The inventory holds each chassis that the service has."""
    out = clients.utility("rf_sys_inventory", "--details")
    for chassis in clients.bmc.get("/redfish/v1/Chassis?$expand=.")["Members"]:
        assert f"Chassis: {chassis['Id']}"[:30] in out


def test_rf_raw_request_writes(clients: Clients) -> None:
    """A PATCH that the script sends shows in the next GET."""
    uri = f"/redfish/v1/Systems/{SYSTEM}"
    before = clients.system()["Boot"]["BootSourceOverrideTarget"]
    other = "Hdd" if before == "Pxe" else "Pxe"
    body = json.dumps({"Boot": {"BootSourceOverrideTarget": other}})
    clients.utility("rf_raw_request", "--method", "PATCH", "--request", uri, "--body", body)
    assert clients.system()["Boot"]["BootSourceOverrideTarget"] == other


@pytest.mark.parametrize(
    ("words", "member"),
    [
        (("root",), "RedfishVersion"),
        (("Systems",), "Members"),
        (("Systems", "-I", SYSTEM), "PowerState"),
        (("Systems", "-I", SYSTEM, "EthernetInterfaces"), "Members"),
        (("Chassis",), "Members"),
        (("Chassis", "-I", "DCPI"), "Sensors"),
        (("Chassis", "-I", CHASSIS, "Thermal"), "Temperatures"),
        (("Managers", "-F"), "FirmwareVersion"),
        (("AccountService",), "Accounts"),
        (("SessionService",), "Sessions"),
        (("versions",), "v1"),
        (("odata",), "value"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_redfishtool_reads(clients: Clients, words: tuple[str, ...], member: str) -> None:
    """Each subcommand shows the very body that the service has."""
    options = [word for pair in itertools.pairwise(words) for word in pair
               if pair[0] == "-I"]  # fmt: skip
    flags = ["-F"] if "-F" in words else []
    commands = [word for word in words if word not in options and word != "-F"]
    body = clients.tool(*options, *flags, *commands)
    assert member in body
    if "@odata.id" in body:
        assert clients.bmc.get(body["@odata.id"])[member] == body[member]


def test_redfishtool_tells_the_truth_and_writes(clients: Clients, plant: PlantControl) -> None:
    """It reads what the site draws, switches the machine, its boot and its lamp."""
    sensor = clients.tool("raw", "GET", "/redfish/v1/Chassis/DCPI/Sensors/Facility_Power")
    assert sensor["Reading"] == pytest.approx(_site_w(plant), rel=_NEAR)
    one = ("-I", SYSTEM, "Systems")
    clients.tool(*one, "reset", "On")
    assert clients.system()["PowerState"] == "On"
    clients.tool(*one, "reset", "ForceOff")
    assert clients.system()["PowerState"] == "Off"
    clients.tool(*one, "setBootOverride", "Once", "Pxe")
    boot = clients.system()["Boot"]
    assert (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]) == ("Once", "Pxe")
    clients.tool(*one, "setIndicatorLed", "Blinking")
    assert clients.system()["IndicatorLED"] == "Blinking"


def test_redfishtool_adds_an_account(clients: Clients) -> None:
    """An account that it adds logs in, and does no longer once it is deleted."""
    login = {"UserName": "tooluser", "Password": "Very-Long-Lab-Secret-8"}
    sessions = "/redfish/v1/SessionService/Sessions"
    clients.tool("AccountService", "adduser", *login.values(), "Operator")
    assert clients.bmc.ask("POST", sessions, login, auth=False).status == 201
    clients.tool("AccountService", "deleteuser", login["UserName"])
    assert clients.bmc.ask("POST", sessions, login, auth=False).status == 401


def test_sushy_drives_the_machine(clients: Clients) -> None:
    """Ironic's library: session, power, boot and lamp are what the service then says."""
    _reset(clients.bmc, "ForceOff")
    seen = clients.script("with_sushy.py")
    assert (seen["before"], seen["on"], seen["boot"]) == ("Off", "On", "Pxe")
    assert seen["sessions"] >= 1
    assert "DCPI" in seen["chassis"]
    after = clients.system()
    assert after["PowerState"] == "On"
    assert after["Boot"]["BootSourceOverrideEnabled"] == "Continuous"
    assert after["IndicatorLED"] == "Blinking"


def test_badfish_knows_and_switches_the_power(clients: Clients) -> None:
    """It says what the power is, and turns it on."""
    _reset(clients.bmc, "ForceOff")
    badfish = ("badfish", "-H", clients.host, "-u", USER, "-p", PASSWORD, "--insecure")
    assert "Off" in clients.run(*badfish, "--power-state")
    clients.run(*badfish, "--power-on")
    assert clients.system()["PowerState"] == "On"


def test_curl_expands_and_writes(bmc: Running, plant: PlantControl) -> None:
    """One GET brings all sensors with their readings, one PATCH sets the boot."""

    def curl(*words: str, path: str) -> str:
        done = subprocess.run(
            ["curl", "-sk", "--fail", "-u", f"{USER}:{PASSWORD}", *words,
             f"https://127.0.0.1:{bmc.port}{path}"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return done.stdout

    expanded = json.loads(curl("-g", path="/redfish/v1/Chassis/DCPI/Sensors?$expand=."))
    readings = {sensor["Id"]: sensor["Reading"] for sensor in expanded["Members"]}
    assert readings["Facility_Power"] == pytest.approx(_site_w(plant), rel=_NEAR)
    body = json.dumps({"Boot": {"BootSourceOverrideTarget": "Cd"}})
    uri = f"/redfish/v1/Systems/{SYSTEM}"
    curl("-X", "PATCH", "-H", "Content-Type: application/json", "-d", body, path=uri)
    assert bmc.get(uri)["Boot"]["BootSourceOverrideTarget"] == "Cd"
