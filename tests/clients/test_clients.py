"""Clients that people use see the plant's truth, and what they write arrives at the device."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from clients.conftest import CHASSIS, NEAR, SYSTEM, Clients
from clients.images import image_server
from e2e.emulator_client import PASSWORD, USER, Running, wait_for
from event_listener import event_listener

from emulator.plant.client import PlantControl


def _reset(bmc: Running, kind: str) -> None:
    uri = f"/redfish/v1/Systems/{SYSTEM}/Actions/ComputerSystem.Reset"
    assert bmc.ask("POST", uri, {"ResetType": kind}).status == 204


def _site_w(plant: PlantControl) -> float:
    return float(plant.truth()["site_power_w"])


def test_redfish_reads_the_power_and_turns_a_pump(clients: Clients, plant: PlantControl) -> None:
    """DMTF's library reads what the site draws, and its command reaches the drive."""
    seen = clients.script("with_redfish.py")
    assert seen["power_w"] == pytest.approx(_site_w(plant), rel=NEAR)
    assert seen["status"] == 200, seen
    wait_for(
        lambda: abs(plant.truth()["loops"]["liquid_cooling_loop_b"]["pump_speed_percent"] - 83) < 1,
        30,
        "the pump at 83 %",
    )


def test_sushy_drives_the_machine(clients: Clients, plant: PlantControl, tmp_path: Path) -> None:
    """Ironic's library: what it sees is the truth, what it sets is there, its event arrives."""
    _reset(clients.bmc, "ForceOff")
    with event_listener(tmp_path) as listener, image_server("6.0.1") as image:
        seen = clients.script("with_sushy.py", listener.url, image)
        event = listener.wait_for("TestMessage", 30)
    truth = plant.truth()
    assert (seen["before"], seen["on"], seen["boot"]) == ("Off", "On", "Pxe")
    assert (event["Message"], event["Severity"]) == ("A test of Ironic's", "Warning")
    assert seen["sessions"] >= 1
    assert seen["subscriptions"] == 0
    assert {CHASSIS, "DCPI"} < set(seen["chassis"])
    assert seen["power_w"] == pytest.approx(truth["site_power_w"], rel=NEAR)
    supply = seen["temperatures"]["liquid_cooling_loop_a supply temperature"]
    assert supply == pytest.approx(truth["loops"]["liquid_cooling_loop_a"]["supply_c"], rel=NEAR)
    assert seen["manager"] == [SYSTEM]
    assert seen["monitor"] == [202, 200]
    assert (seen["task"], seen["firmware"]["BMC"]) == ("Completed", "6.0.1")
    after = clients.system()
    assert after["PowerState"] == "On"
    assert after["Boot"]["BootSourceOverrideEnabled"] == "Continuous"
    assert after["IndicatorLED"] == "Blinking"
    root = "/redfish/v1"
    assert clients.bmc.get(f"{root}/Systems/{SYSTEM}/SecureBoot")["SecureBootEnable"] is True
    drive = f"{root}/Systems/{SYSTEM}/VirtualMedia/Cd"
    assert clients.bmc.get(drive)["Image"] == "http://127.0.0.1/ironic.iso"
    eject = f"{drive}/Actions/VirtualMedia.EjectMedia"
    assert clients.bmc.ask("POST", eject, {}).status in (200, 204)  # the next client needs it
    manager = clients.bmc.get(f"{root}/Managers/{SYSTEM}")
    assert (manager["DateTimeLocalOffset"], manager["FirmwareVersion"]) == ("+03:00", "6.0.1")


def test_kvmfleet_tells_and_switches(clients: Clients) -> None:
    """A client of 2026 for many makes: power, temperatures of Thermal, and the machine's make."""
    _reset(clients.bmc, "ForceOff")
    who = ("kvmfleet-bmc", "--host", clients.url, "-u", USER, "-p", PASSWORD, "--json")
    assert json.loads(clients.run(*who, "power", "status"))["power_state"] == "Off"
    clients.run(*who, "power", "on")
    assert clients.system()["PowerState"] == "On"
    shown = json.dumps(json.loads(clients.run(*who, "thermal")))
    thermal = clients.bmc.get(f"/redfish/v1/Chassis/{CHASSIS}/Thermal")
    for one in thermal["Temperatures"]:
        assert one["Name"] in shown
    assert clients.system()["Manufacturer"] in clients.run(*who, "info")


def test_redfish_ctl_tells_the_truth(clients: Clients, plant: PlantControl) -> None:
    """A client of 2026 that walks all chassis: the facility's power among their sensors."""
    out = clients.run(
        "redfish_ctl", "--idrac_ip", "127.0.0.1", "--idrac_port", clients.bmc.port,
        "--idrac_username", USER, "--idrac_password", PASSWORD, "--insecure", "--nocolor",
        "sensors",
    )  # fmt: skip
    found = json.loads(out[out.index("{") : out.rindex("}") + 1])["data"]
    names = {one["Name"]: one["Reading"] for one in found}
    site_w = names[clients.bmc.get("/redfish/v1/Chassis/DCPI/Sensors/Facility_Power")["Name"]]
    assert site_w == pytest.approx(plant.truth()["site_power_w"], rel=NEAR)


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
    assert readings["Facility_Power"] == pytest.approx(_site_w(plant), rel=NEAR)
    body = json.dumps({"Boot": {"BootSourceOverrideTarget": "Cd"}})
    uri = f"/redfish/v1/Systems/{SYSTEM}"
    curl("-X", "PATCH", "-H", "Content-Type: application/json", "-d", body, path=uri)
    assert bmc.get(uri)["Boot"]["BootSourceOverrideTarget"] == "Cd"
