"""Clients that few people have heard of find what the plant has, and their writes arrive."""

from __future__ import annotations

import pytest
from clients.conftest import CHASSIS, NEAR, SYSTEM, Clients
from e2e.emulator_client import PASSWORD, USER, wait_for
from e2e.fault_control import Faults

from emulator.plant.client import PlantControl

ROOT = "/redfish/v1"
OUTLET = f"{ROOT}/PowerEquipment/RackPDUs/rack_pdu_1/Outlets/4"
PUMP = f"{ROOT}/Chassis/DCPI/Controls/Loop_liquid_cooling_loop_b_PumpSpeed"


def test_rackfish_writes_by_assignment(clients: Clients, plant: PlantControl) -> None:
    """A machine, a pump and a relay do as told; an action's wrong value is named."""
    try:
        seen = clients.script("with_rackfish.py")
        assert [outlet["on"] for outlet in plant.truth()["rack_pdu"]].index(False) == 3
    finally:
        on = {"PowerState": "On"}
        clients.bmc.ask("POST", f"{OUTLET}/Actions/Outlet.PowerControl", on)
    assert seen["power_w"] == pytest.approx(plant.truth()["site_power_w"], rel=NEAR)
    assert "none of On, Off" in seen["refusal"]
    system = clients.system()
    assert (system["PowerState"], system["AssetTag"]) == ("On", "rack 9")
    wait_for(lambda: abs(clients.bmc.get(PUMP)["SetPoint"] - 81) < 0.1, 15, "the pump's set point")


def test_pyredfish_commands_the_machine(clients: Clients) -> None:
    """Power, boot, firmware and a subscription, by its command."""
    events = f"{ROOT}/EventService/Subscriptions"

    def say(*words: str, fails: bool = False) -> str:
        who = ("-H", clients.url, "-u", USER, "-p", PASSWORD, "-k")
        return clients.run("pyredfish", *who, *words, fails=fails)

    for word, state in (("on", "On"), ("off", "Off")):
        say(word)
        wait_for(lambda state=state: clients.system()["PowerState"] == state, 15, word)
        assert say("status").strip() == state
    say("boot", "Hdd")
    assert clients.system()["Boot"]["BootSourceOverrideTarget"] == "Hdd"
    version = clients.bmc.get(f"{ROOT}/Managers/{SYSTEM}")["FirmwareVersion"]
    assert f"Emulated BMC: {version}" in say("firmware")
    known = {m["@odata.id"] for m in clients.bmc.get(events)["Members"]}
    say("subscribe", "https://127.0.0.1:9/pyredfish")
    (new,) = {m["@odata.id"] for m in clients.bmc.get(events)["Members"]} - known
    assert clients.bmc.get(new)["Destination"] == "https://127.0.0.1:9/pyredfish"
    say("unsubscribe", new.rpartition("/")[2])
    assert clients.bmc.ask("GET", new).status == 404


def test_napalm_tells_the_health_of_the_machine(clients: Clients) -> None:
    """Facts and accounts are the service's; fans run, a supply that has failed is told."""
    faults = Faults(clients.bmc)
    try:
        faults.inject("lost-supply", supply="PSU2")
        seen = clients.script("with_napalm.py")
    finally:
        faults.clear_all()
        faults.control.close()
    power = seen["environment"]["power"]
    assert {name: supply["status"] for name, supply in power.items()} == {
        "Power supply 1": True,
        "Power supply 2": False,
    }
    assert {supply["capacity"] for supply in power.values()} == {800}
    fans = clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}/ThermalSubsystem/Fans?$expand=.")["Members"]
    assert seen["environment"]["fans"] == {fan["Name"]: {"status": True} for fan in fans}
    assert len(fans) == 2
    temperatures = seen["environment"]["temperature"]
    sensors = clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}/Sensors?$expand=.")["Members"]
    shown = {sensor["Name"]: sensor["Reading"] for sensor in sensors}
    assert all(shown[name] == one["temperature"] for name, one in temperatures.items())
    assert seen["facts"]["vendor"] == clients.system()["Manufacturer"]
    assert seen["users"][USER]["level"] == 15


def test_pyghmi_finds_a_bmc_like_any_other(clients: Clients) -> None:
    """Power, boot, accounts and media change at the service; sensors are the machine's."""
    seen = clients.script("with_pyghmi.py")
    assert (seen["off"], clients.system()["PowerState"]) == ("off", "On")
    assert seen["boot"] == {"bootdev": "network", "persistent": False, "uefimode": True}
    boot = clients.system()["Boot"]
    assert (boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]) == ("Pxe", "Once")
    assert (seen["identify"], clients.system()["LocationIndicatorActive"]) == ("on", False)
    sensors = clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}/Sensors?$expand=.")["Members"]
    assert seen["sensors"].items() >= {one["Name"]: one["Reading"] for one in sensors}.items()
    assert "http://192.0.2.1/pyghmi.iso" in seen["media"]
    version = clients.bmc.get(f"{ROOT}/Managers/{SYSTEM}")["FirmwareVersion"]
    assert seen["firmware"]["Emulated BMC"] == version
    assert seen["access"] == "Operator"
    assert not clients.may_log_in("ghost", "first-secret")
    assert clients.may_log_in("ghost", "second-secret")
    clients.bmc.ask("DELETE", f"{ROOT}/AccountService/Accounts/ghost")


def test_redfish_client_reads_and_acts(clients: Clients, plant: PlantControl) -> None:
    """The campus' power is the plant's, and an action opens the relay."""
    try:
        seen = clients.script("with_redfish_client.py")
        assert [outlet["on"] for outlet in plant.truth()["rack_pdu"]].index(False) == 3
    finally:
        on = {"PowerState": "On"}
        clients.bmc.ask("POST", f"{OUTLET}/Actions/Outlet.PowerControl", on)
    assert seen["power_w"] == pytest.approx(plant.truth()["site_power_w"], rel=NEAR)
