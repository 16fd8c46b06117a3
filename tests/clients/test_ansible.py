"""Ansible's modules for Redfish: what they find is the truth, what they command arrives.

One playbook is one start of Ansible; between two of them another client looks at the service.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from clients.conftest import CHASSIS, NEAR, SYSTEM, Clients
from clients.images import image, image_server
from e2e.emulator_client import PASSWORD, USER, wait_for
from e2e.fault_control import Faults

from emulator.plant.client import PlantControl

ROOT = "/redfish/v1"
Task = tuple[str, str, "str | list[str]", dict[str, Any]]


class Playbooks:
    """Runs tasks of community.general's modules against one service."""

    def __init__(self, clients: Clients, folder: Path) -> None:
        self._clients = clients
        self._folder = folder

    def play(self, *tasks: Task) -> list[dict[str, Any]]:
        """The results of these tasks (module, category, command, other parameters), in order."""
        login = {"baseuri": self._clients.host, "username": USER, "password": PASSWORD}
        steps: list[dict[str, Any]] = []
        for module, category, command, more in tasks:
            who = {k: v for k, v in login.items() if k == "baseuri" or "auth_token" not in more}
            steps.append({
                f"community.general.redfish_{module}": {
                    **who, "validate_certs": False, "category": category, "command": command, **more
                }
            })  # fmt: skip
        return self._run(steps)

    def openmanage(self, *tasks: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """The same with those of dellemc.openmanage for any service (module, parameters)."""
        login = {"baseuri": self._clients.host, "username": USER, "password": PASSWORD}
        return self._run(
            [
                {f"dellemc.openmanage.redfish_{module}": {**login, "validate_certs": False, **more}}
                for module, more in tasks
            ]
        )

    def _run(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The results of the steps of one playbook."""
        out = self._folder / "results.json"
        names = ", ".join(f"result_{number}" for number in range(len(steps)))
        steps = [{**step, "register": f"result_{number}"} for number, step in enumerate(steps)]
        steps.append({"ansible.builtin.copy": {
            "content": f"{{{{ [{names}] | to_json }}}}", "dest": str(out), "mode": "0600"
        }})  # fmt: skip
        playbook = self._folder / "playbook.json"  # JSON is YAML
        playbook.write_text(
            json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": steps}])
        )
        self._clients.run("ansible-playbook", playbook)
        found: list[dict[str, Any]] = json.loads(out.read_text(encoding="utf-8"))
        return found

    def facts(self, category: str, *commands: str, **more: Any) -> dict[str, Any]:
        """What redfish_info finds."""
        (result,) = self.play(("info", category, list(commands), more))
        facts: dict[str, Any] = result["redfish_facts"]
        return facts


@pytest.fixture
def ansible(clients: Clients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Playbooks:
    """Ansible with a home of its own."""
    monkeypatch.setenv("ANSIBLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANSIBLE_LOCALHOST_WARNING", "0")
    monkeypatch.setenv("ANSIBLE_INVENTORY_UNPARSED_WARNING", "0")
    return Playbooks(clients, tmp_path)


def test_redfish_info_knows_the_machine(ansible: Playbooks, clients: Clients) -> None:
    """Inventory, network, boot, media and health are those of the system's own resources."""
    facts = ansible.facts(
        "Systems", "GetSystemInventory", "GetNicInventory", "GetBootOverride", "GetVirtualMedia",
        "GetHealthReport",
    )  # fmt: skip
    system = clients.system()
    found = facts["system"]["entries"][0][1]
    for name in ("PowerState", "Manufacturer", "Model", "SerialNumber", "Status"):
        assert found.get(name) == system.get(name), name
    boot = facts["boot_override"]["entries"][0][1]
    assert boot["BootSourceOverrideTarget"] == system["Boot"]["BootSourceOverrideTarget"]
    nics = clients.bmc.get(f"{ROOT}/Systems/{SYSTEM}/EthernetInterfaces?$expand=.")["Members"]
    assert facts["nic"]["entries"][0][1][0]["MACAddress"] == nics[0]["MACAddress"]
    media = {one["Id"] for one in facts["virtual_media"]["entries"][0][1]}
    assert media == {"Cd", "Floppy"}
    assert facts["health_report"]["entries"][0][1]["System"]["Status"] == system["Status"]


def test_redfish_info_tells_the_plants_power_and_temperatures(
    ansible: Playbooks, plant: PlantControl
) -> None:
    """The chassis' power is what the site draws, its temperatures are the loops'."""
    facts = ansible.facts(
        "Chassis", "GetChassisPower", "GetChassisThermals", "GetFanInventory",
        "GetChassisInventory", "GetHealthReport",
    )  # fmt: skip
    truth = plant.truth()
    # The machine's chassis has power supplies, and nothing that measures them.
    entries = facts["chassis_power"]["entries"]
    (power,) = (one for one in entries if one.get("PowerConsumedWatts") is not None)
    assert power["PowerConsumedWatts"] == pytest.approx(truth["site_power_w"], rel=NEAR)
    shown = {one["Name"]: one["ReadingCelsius"] for one in facts["thermals"]["entries"]}
    loop = truth["loops"]["liquid_cooling_loop_a"]
    supply = shown["liquid_cooling_loop_a supply temperature"]
    assert supply == pytest.approx(loop["supply_c"], rel=NEAR)
    assert {one["Id"] for one in facts["chassis"]["entries"]} > {CHASSIS, "DCPI"}
    assert all(fan["Reading"] > 0 for fan in facts["fan"]["entries"])
    uris = {entry[0]["chassis_uri"] for entry in facts["health_report"]["entries"]}
    assert uris > {f"{ROOT}/Chassis/{CHASSIS}", f"{ROOT}/Chassis/DCPI"}


def test_redfish_info_knows_the_power_supplies(ansible: Playbooks, clients: Clients) -> None:
    """Both are those of the chassis; one that was pulled out is not there, a failed one is."""
    faults = Faults(clients.bmc)
    uri = f"{ROOT}/Chassis/{CHASSIS}/PowerSubsystem/PowerSupplies"

    def found() -> dict[str, dict[str, Any]]:
        entries = ansible.facts("Chassis", "GetPsuInventory")["psu"]["entries"]
        return {entry["SerialNumber"]: entry for entry in entries}

    shown = [clients.bmc.get(f"{uri}/{name}") for name in ("PSU1", "PSU2")]
    listed = found()
    assert listed.keys() == {supply["SerialNumber"] for supply in shown}
    for supply in shown:
        entry = listed[supply["SerialNumber"]]
        assert entry.items() <= supply.items()
        assert entry["PowerCapacityWatts"] == 800
    try:
        faults.inject("lost-supply", supply="PSU2", cause="removal")
        assert found().keys() == {shown[0]["SerialNumber"]}
        faults.clear_all()
        faults.inject("lost-supply", supply="PSU2", cause="input")
        assert found()[shown[1]["SerialNumber"]]["Status"]["Health"] == "Critical"
    finally:
        faults.clear_all()
        faults.control.close()


def test_redfish_info_knows_the_managers(ansible: Playbooks, clients: Clients) -> None:
    """Network, logs, versions and the service's name are the managers' own."""
    clients.bmc.ask("PATCH", f"{ROOT}/Managers/DCPI", {"ServiceIdentification": "row 5"})
    facts = ansible.facts(
        "Manager", "GetManagerNicInventory", "GetVirtualMedia", "GetLogs", "GetNetworkProtocols",
        "GetHealthReport", "GetManagerInventory", "GetServiceIdentification", manager="DCPI",
    )  # fmt: skip
    assert facts["network_protocols"]["entries"]["HTTPS"]["Port"] == clients.bmc.port
    versions = {one[1]["Id"]: one[1]["FirmwareVersion"] for one in facts["manager"]["entries"]}
    for manager in clients.bmc.get(f"{ROOT}/Managers?$expand=.")["Members"]:
        assert versions[manager["Id"]] == manager["FirmwareVersion"]
    assert facts["service_id"]["service_identification"] == "row 5"
    logs = json.dumps(facts["log"]["entries"])
    assert "authentication.granted" in logs
    nics = {nic["Id"] for nic in facts["manager_nics"]["entries"][0][1]}
    assert "lo" in nics


def test_redfish_info_knows_accounts_sessions_and_the_service(
    ansible: Playbooks, clients: Clients
) -> None:
    """Users, sessions, versions and the service itself."""
    uri = f"{ROOT}/SessionService/Sessions"
    session = clients.bmc.ask("POST", uri, {"UserName": USER, "Password": PASSWORD}, auth=False)
    accounts, sessions, update, service = ansible.play(
        ("info", "Accounts", ["ListUsers", "GetAccountServiceConfig"], {}),
        ("info", "Sessions", "GetSessions", {}),
        ("info", "Update", ["GetFirmwareInventory", "GetFirmwareUpdateCapabilities"], {}),
        ("info", "Service", "CheckAvailability", {}),
    )
    users = {one["UserName"]: one for one in accounts["redfish_facts"]["user"]["entries"]}
    assert users[USER]["RoleId"] == "Administrator"
    config = accounts["redfish_facts"]["accountservice_config"]["entries"]
    assert config["MinPasswordLength"] == 8
    ids = [one["Id"] for one in sessions["redfish_facts"]["session"]["entries"]]
    assert session.body["Id"] in ids
    versions = {one["Id"]: one["Version"] for one in update["redfish_facts"]["firmware"]["entries"]}
    bmc = clients.bmc.get(f"{ROOT}/Managers/{SYSTEM}")
    assert versions["BMC"] == bmc["FirmwareVersion"]
    capabilities = update["redfish_facts"]["firmware_update_capabilities"]
    assert capabilities["multipart_supported"] is True
    assert service["redfish_facts"]["service"]["available"] is True
    clients.bmc.ask("DELETE", session.headers["location"])


def test_redfish_command_switches_the_power(ansible: Playbooks, clients: Clients) -> None:
    """Each command is the reset that the audit log has, in their order; the last one is off."""
    uri = f"{ROOT}/Systems/{SYSTEM}/Actions/ComputerSystem.Reset"
    assert clients.bmc.ask("POST", uri, {"ResetType": "ForceOff"}).status == 204
    before = len(clients.audited("host.command.planned"))
    commands = (
        "PowerOn", "PowerGracefulRestart", "PowerForceRestart", "PowerReboot",
        "PowerGracefulShutdown",
    )  # fmt: skip
    results = ansible.play(*[("command", "Systems", command, {}) for command in commands])
    assert all(result["changed"] for result in results)
    done = [entry["reset_type"] for entry in clients.audited("host.command.planned")[before:]]
    assert done == ["On", "GracefulRestart", "ForceRestart", "GracefulRestart", "GracefulShutdown"]
    assert clients.system()["PowerState"] == "Off"


def test_redfish_command_boots_and_lights(ansible: Playbooks, clients: Clients) -> None:
    """Boot override, lamps and power off, each as another client finds it."""
    uri = f"{ROOT}/Systems/{SYSTEM}/Actions/ComputerSystem.Reset"
    assert clients.bmc.ask("POST", uri, {"ResetType": "On"}).status == 204
    ansible.play(
        ("command", "Systems", "SetOneTimeBoot", {"bootdevice": "Pxe"}),
        ("command", "Systems", "IndicatorLedBlink", {}),
        ("command", "Chassis", "IndicatorLedOn", {"resource_id": CHASSIS}),
    )
    boot = clients.system()["Boot"]
    assert (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]) == ("Once", "Pxe")
    assert clients.system()["IndicatorLED"] == "Blinking"
    assert clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}")["IndicatorLED"] == "Lit"
    ansible.play(
        ("command", "Systems", "EnableContinuousBootOverride", {"bootdevice": "Cd"}),
        ("command", "Systems", "IndicatorLedOn", {}),
        ("command", "Systems", "PowerForceOff", {}),
        ("command", "Chassis", "IndicatorLedBlink", {"resource_id": CHASSIS}),
    )
    system = clients.system()
    assert system["Boot"]["BootSourceOverrideEnabled"] == "Continuous"
    assert (system["IndicatorLED"], system["PowerState"]) == ("Lit", "Off")
    assert clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}")["IndicatorLED"] == "Blinking"
    ansible.play(
        ("command", "Systems", "DisableBootOverride", {}),
        ("command", "Systems", "IndicatorLedOff", {}),
        ("command", "Chassis", "IndicatorLedOff", {"resource_id": CHASSIS}),
    )
    system = clients.system()
    assert system["Boot"]["BootSourceOverrideEnabled"] == "Disabled"
    assert system["IndicatorLED"] == "Off"
    assert clients.bmc.get(f"{ROOT}/Chassis/{CHASSIS}")["IndicatorLED"] == "Off"


def test_redfish_command_inserts_a_medium(ansible: Playbooks, clients: Clients) -> None:
    """By the system's way and by the manager's, it is the same drive."""
    medium = f"{ROOT}/Systems/{SYSTEM}/VirtualMedia/Cd"
    images = {kind: f"http://127.0.0.1/{kind}.iso" for kind in ("Systems", "Manager")}

    def task(kind: str, command: str, image: str) -> Task:
        media = {"image_url": image, "media_types": ["CD", "DVD"]}
        return "command", kind, command, {"virtual_media": media, "resource_id": SYSTEM}

    clients.bmc.ask("POST", f"{medium}/Actions/VirtualMedia.EjectMedia", {})
    ansible.play(task("Systems", "VirtualMediaInsert", images["Systems"]))
    assert clients.bmc.get(medium)["Image"] == images["Systems"]
    ansible.play(
        task("Manager", "VirtualMediaEject", images["Systems"]),
        task("Manager", "VirtualMediaInsert", images["Manager"]),
    )
    assert clients.bmc.get(medium)["Image"] == images["Manager"]
    ansible.play(task("Systems", "VirtualMediaEject", images["Manager"]))
    assert clients.bmc.get(medium)["Inserted"] is False


def test_redfish_command_rules_an_account(ansible: Playbooks, clients: Clients) -> None:
    """It logs in with the password of the day, while enabled, in its role, and is then gone."""
    name, first, second = "ansibleuser", "Very-Long-Lab-Secret-8", "Very-Long-Lab-Secret-9"
    who = {"account_username": name}
    ansible.play(
        ("command", "Accounts", "AddUser",
         {**who, "account_password": first, "account_roleid": "ReadOnly"}),
    )  # fmt: skip
    assert clients.may_log_in(name, first)
    ansible.play(
        ("command", "Accounts", "UpdateUserPassword", {**who, "account_password": second}),
        ("command", "Accounts", "UpdateUserRole", {**who, "account_roleid": "Operator"}),
        ("command", "Accounts", "DisableUser", who),
    )
    account = clients.bmc.get(f"{ROOT}/AccountService/Accounts/{name}")
    assert (account["RoleId"], account["Enabled"]) == ("Operator", False)
    assert not clients.may_log_in(name, second)
    rule = {"account_properties": {"AccountLockoutDuration": 302}}
    ansible.play(
        ("command", "Accounts", "EnableUser", who),
        ("command", "Accounts", "UpdateAccountServiceProperties", rule),
    )
    assert (clients.may_log_in(name, first), clients.may_log_in(name, second)) == (False, True)
    assert clients.bmc.get(f"{ROOT}/AccountService")["AccountLockoutDuration"] == 302
    ansible.play(("command", "Accounts", "DeleteUser", who))
    assert not clients.may_log_in(name, second)


def test_redfish_command_opens_and_closes_sessions(ansible: Playbooks, clients: Clients) -> None:
    """A session's token opens the service until it is deleted, as do all until they are cleared."""
    (created,) = ansible.play(("command", "Sessions", "CreateSession", {}))
    token = {"X-Auth-Token": created["session"]["token"]}
    uri = f"{ROOT}/Systems"
    assert clients.bmc.ask("GET", uri, headers=token, auth=False).status == 200
    deleted = {"auth_token": token["X-Auth-Token"], "session_uri": created["session"]["uri"]}
    ansible.play(("command", "Sessions", "DeleteSession", deleted))
    assert clients.bmc.ask("GET", uri, headers=token, auth=False).status == 401
    login = {"UserName": USER, "Password": PASSWORD}
    sessions = f"{ROOT}/SessionService/Sessions"
    opened = clients.bmc.ask("POST", sessions, login, auth=False)
    token = {"X-Auth-Token": opened.headers["x-auth-token"]}
    ansible.play(("command", "Sessions", "ClearSessions", {}))
    assert clients.bmc.ask("GET", uri, headers=token, auth=False).status == 401


def test_redfish_command_updates(ansible: Playbooks, clients: Clients, tmp_path: Path) -> None:
    """Pushed or fetched, the image becomes the manager's version; the handle tells how it went."""
    manager = f"{ROOT}/Managers/{SYSTEM}"

    file = tmp_path / "bmc.img"
    file.write_bytes(image("5.0.1"))
    push = {"update_image_file": str(file)}
    (pushed,) = ansible.play(("command", "Update", "MultipartHTTPPushUpdate", push))
    wait_for(lambda: clients.bmc.get(manager)["FirmwareVersion"] == "5.0.1", 30, "the pushed one")
    handle = {"update_handle": pushed["return_values"]["update_status"]["handle"]}
    (told,) = ansible.play(("info", "Update", "GetUpdateStatus", handle))
    assert told["redfish_facts"]["update_status"]["status"] == "Completed"
    with image_server("5.0.2") as uri:
        ansible.play(("command", "Update", "SimpleUpdate", {"update_image_uri": uri}))
        wait_for(lambda: clients.bmc.get(manager)["FirmwareVersion"] == "5.0.2", 30, "the fetched")


def test_redfish_config_sets(ansible: Playbooks, clients: Clients) -> None:
    """Secure boot, host name, the service's name and the sessions' time-out."""
    secure = f"{ROOT}/Systems/{SYSTEM}/SecureBoot"
    lo = {"nic_addr": "127.0.0.1", "nic_config": {"HostName": "ansible-bmc"}}
    session = {"sessions_config": {"SessionTimeout": 1230}}
    ansible.play(
        ("config", "Systems", "EnableSecureBoot", {}),
        ("config", "Manager", "SetManagerNic", {**lo, "resource_id": "DCPI"}),
        ("config", "Manager", "SetServiceIdentification",
         {"service_id": "row 6", "resource_id": "DCPI"}),
        ("config", "Sessions", "SetSessionService", session),
    )  # fmt: skip
    assert clients.bmc.get(secure)["SecureBootEnable"] is True
    assert clients.bmc.get(f"{ROOT}/Managers/DCPI/NetworkProtocol")["HostName"] == "ansible-bmc"
    assert clients.bmc.get(f"{ROOT}/")["ServiceIdentification"] == "row 6"
    assert clients.bmc.get(f"{ROOT}/SessionService")["SessionTimeout"] == 1230
    ansible.play(("config", "Systems", "SetSecureBoot", {"secure_boot_enable": False}))
    assert clients.bmc.get(secure)["SecureBootEnable"] is False


def test_ansible_sets_a_bios_that_waits_for_a_start(ansible: Playbooks, clients: Clients) -> None:
    """What is set is verified once the machine has started; the defaults wait for a start too."""
    bios = f"{ROOT}/Systems/{SYSTEM}/Bios"
    on = {"ResetType": "ForceRestart"}
    found = ansible.facts("Systems", "GetBiosAttributes", "GetBiosRegistries")
    before = clients.bmc.get(bios)["Attributes"]
    assert found["bios_attribute"]["entries"][0][1] == before
    entries = found["bios_registries"]["bios_registry"]["RegistryEntries"]["Attributes"]
    assert {one["AttributeName"] for one in entries} == before.keys()
    wanted = {"EmbeddedSata": "Off", "QuietBoot": False}
    (changed,) = ansible.play(
        ("config", "Systems", "SetBiosAttributes", {"bios_attributes": wanted})
    )
    assert changed["changed"] is True
    assert clients.bmc.get(bios)["Attributes"] == before
    clients.bmc.ask("POST", f"{ROOT}/Systems/{SYSTEM}/Actions/ComputerSystem.Reset", on)
    ansible.play(("command", "Systems", "VerifyBiosAttributes", {"bios_attributes": wanted}))
    ansible.play(("config", "Systems", "SetBiosDefaultSettings", {}))
    assert clients.bmc.get(bios)["Attributes"] == {**before, **wanted}
    clients.bmc.ask("POST", f"{ROOT}/Systems/{SYSTEM}/Actions/ComputerSystem.Reset", on)
    assert clients.bmc.get(bios)["Attributes"] == before


def test_redfish_command_clears_the_log_and_restarts(ansible: Playbooks, clients: Clients) -> None:
    """The audit log, which is not cleared, says that the other was; the manager begins anew."""
    cleared = len(clients.audited("event_log.clear.done"))
    before = clients.bmc.get(f"{ROOT}/Managers/DCPI")["LastResetTime"]
    which = {"resource_id": "DCPI"}
    ansible.play(
        ("command", "Manager", "ClearLogs", which), ("command", "Manager", "GracefulRestart", which)
    )
    assert len(clients.audited("event_log.clear.done")) == cleared + 1
    clients.wait_for_restart(before)


def test_openmanage_switches_and_subscribes(ansible: Playbooks, clients: Clients) -> None:
    """Dell's modules for any service set the power and where events go, and only once."""
    destination = "https://127.0.0.1:9/openmanage"
    wanted = {"destination": destination, "event_type": "Alert", "event_format_type": "Event"}
    state = "Off" if clients.system()["PowerState"] == "On" else "On"
    reset = {"reset_type": "ForceOff" if state == "Off" else "On"}
    power, again, first, second = ansible.openmanage(
        ("powerstate", reset),
        ("powerstate", reset),
        ("event_subscription", {**wanted, "state": "present"}),
        ("event_subscription", {**wanted, "state": "present"}),
    )
    assert (power["changed"], again["changed"]) == (True, False)
    assert clients.system()["PowerState"] == state
    assert (first["changed"], second["changed"]) == (True, False)
    uri = f"{ROOT}/EventService/Subscriptions"

    def subscribed() -> int:
        listed = clients.bmc.get(f"{uri}?$expand=.")["Members"]
        return [one["Destination"] for one in listed].count(destination)

    assert subscribed() == 1
    (gone,) = ansible.openmanage(("event_subscription", {**wanted, "state": "absent"}))
    assert gone["changed"]
    assert subscribed() == 0
