"""DMTF's redfish-utilities see the plant's truth, and what they write arrives at the device."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from pathlib import Path

import pytest
from clients.authority import signed
from clients.conftest import NEAR, SYSTEM, Clients
from clients.images import image
from cryptography import x509
from e2e.emulator_client import wait_for
from event_listener import event_listener

from emulator.plant.client import PlantControl

LOOP = "liquid_cooling_loop_a"
CERTIFICATES = "/redfish/v1/Managers/DCPI/NetworkProtocol/HTTPS/Certificates"
TEST_EVENT = "/redfish/v1/EventService/Actions/EventService.SubmitTestEvent"


def _rows(text: str) -> dict[str, list[str]]:
    """The cells of a table that a script has printed, by the first of each row."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    return {row[0]: row[1:] for row in rows if len(row) > 1}


def test_rf_sensor_list_tells_the_truth(clients: Clients, plant: PlantControl) -> None:
    """The script for sensors shows the facility's power and a loop's flow as they are."""
    out = clients.utility("rf_sensor_list", "--id")
    power = re.search(r"^\s*Sensor Facility_Power\s*\|\s*([\d.]+) W\b", out, re.MULTILINE)
    assert power is not None, out[:2000]
    assert float(power[1]) == pytest.approx(plant.truth()["site_power_w"], rel=NEAR)
    flows = [float(text) for text in re.findall(r"\|\s*([\d.]+) L/min\b", out)]
    loops = plant.truth()["loops"]
    del loops["liquid_cooling_loop_b"]  # whose pump another test turns
    for loop in loops.values():
        assert pytest.approx(loop["flow_lpm"], rel=NEAR) in flows


def test_rf_power_reset_switches_the_machine(clients: Clients) -> None:
    """On and off arrive, and the script tells which it is."""
    for kind, state in (("On", "On"), ("ForceOff", "Off")):
        clients.utility("rf_power_reset", "--type", kind)
        assert clients.system()["PowerState"] == state
        assert f"Current power state: {state}" in clients.utility("rf_power_reset", "--info")


def test_rf_boot_override_is_kept_and_lifted(clients: Clients) -> None:
    """The next boot is from where the script said, and then from where it always was."""
    clients.utility("rf_boot_override", "--target", "Cd", "--mode", "UEFI")
    boot = clients.system()["Boot"]
    assert boot["BootSourceOverrideTarget"] == "Cd"
    assert boot["BootSourceOverrideEnabled"] == "Once"
    assert "Target: Cd" in clients.utility("rf_boot_override", "--info")
    clients.utility("rf_boot_override", "--target", "None")
    assert clients.system()["Boot"]["BootSourceOverrideEnabled"] == "Disabled"


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


def test_rf_accounts_rules_an_account(clients: Clients) -> None:
    """It logs in with the password of the day, while enabled, in its role, and is then gone."""
    name, first, second = "labuser", "Very-Long-Lab-Secret-7", "Very-Long-Lab-Secret-8"
    account = f"/redfish/v1/AccountService/Accounts/{name}"
    clients.utility("rf_accounts", "--add", name, first, "ReadOnly")
    assert clients.may_log_in(name, first)
    assert _rows(clients.utility("rf_accounts"))[name][0] == "ReadOnly"
    clients.utility("rf_accounts", "--setpassword", name, second)
    assert (clients.may_log_in(name, first), clients.may_log_in(name, second)) == (False, True)
    clients.utility("rf_accounts", "--setrole", name, "Operator")
    assert clients.bmc.get(account)["RoleId"] == "Operator"
    clients.utility("rf_accounts", "--disable", name)
    assert not clients.may_log_in(name, second)
    clients.utility("rf_accounts", "--enable", name)
    clients.utility("rf_accounts", "--unlock", name)
    assert clients.may_log_in(name, second)
    clients.utility("rf_accounts", "--delete", name)
    assert not clients.may_log_in(name, second)


def test_rf_sys_inventory_names_the_chassis(clients: Clients, tmp_path: Path) -> None:
    """The inventory holds each chassis that the service has, and so does the workbook."""
    workbook = Path(os.path.relpath(tmp_path / "inventory"))  # the script writes below its folder
    out = clients.utility("rf_sys_inventory", "--details", "--write", workbook)
    for chassis in clients.bmc.get("/redfish/v1/Chassis?$expand=.")["Members"]:
        assert f"Chassis: {chassis['Id']}"[:30] in out
    assert workbook.with_suffix(".xlsx").read_bytes()[:2] == b"PK"


def test_rf_raw_request_writes(clients: Clients) -> None:
    """What the script sends with each method shows in the next GET."""
    uri = f"/redfish/v1/Systems/{SYSTEM}"
    before = clients.system()["Boot"]["BootSourceOverrideTarget"]
    other = "Hdd" if before == "Pxe" else "Pxe"
    body = json.dumps({"Boot": {"BootSourceOverrideTarget": other}})
    clients.utility("rf_raw_request", "--method", "PATCH", "--request", uri, "--body", body)
    assert clients.system()["Boot"]["BootSourceOverrideTarget"] == other
    raw = clients.utility("rf_raw_request", "--request", uri, "--verbose")
    assert f'"BootSourceOverrideTarget": "{other}"' in raw
    accounts = "/redfish/v1/AccountService/Accounts"
    login = {"UserName": "rawuser", "Password": "Very-Long-Lab-Secret-7", "RoleId": "ReadOnly"}
    clients.utility(
        "rf_raw_request", "--method", "POST", "--request", accounts, "--body", json.dumps(login)
    )
    assert clients.may_log_in("rawuser", login["Password"])
    clients.utility("rf_raw_request", "--method", "DELETE", "--request", f"{accounts}/rawuser")
    assert not clients.may_log_in("rawuser", login["Password"])


def test_rf_firmware_inventory_and_rf_update_tell_one_version(
    clients: Clients, tmp_path: Path
) -> None:
    """A pushed image runs through its task, and is the version that the manager has then."""
    file = tmp_path / "bmc.img"
    file.write_bytes(image("7.8.9"))
    target = "/redfish/v1/UpdateService/FirmwareInventory/BMC"
    clients.utility("rf_update", "--image", file, "--target", target)
    assert clients.bmc.get(f"/redfish/v1/Managers/{SYSTEM}")["FirmwareVersion"] == "7.8.9"
    assert _rows(clients.utility("rf_firmware_inventory", "--id"))["BMC"][-1] == "7.8.9"
    file.write_bytes(image("7.9.0") + b"and more")
    assert "image is damaged" in clients.utility("rf_update", "--image", file)
    assert clients.bmc.get(target)["Version"] == "7.8.9"


def test_rf_logs_shows_what_happened_and_clears_it(clients: Clients, plant: PlantControl) -> None:
    """A load that starts at once is in the log of events; cleared, it is not, for anyone."""
    start_s = time.time() + 1.0
    plant.workload(
        "logged", start_unix_s=start_s, end_unix_s=None, baseline_w=60e6, peak_w=60e6,
        max_w=60e6, ramp_w_per_s=1e12,
    )  # fmt: skip
    entries = "/redfish/v1/Managers/DCPI/LogServices/EventLog/Entries"
    wait_for(lambda: clients.bmc.get(entries)["Members"], 30, "the load's event")
    plant.workload_remove("logged")
    newest = clients.bmc.get(entries)["Members"][0]
    log = ("--manager", "DCPI", "--log", "EventLog")
    # The size in its message is known only when it is over; when it was seen stays.
    assert newest["Created"] in clients.utility("rf_logs", *log)
    clients.utility("rf_logs", *log, "--clear")
    ids = [entry["Id"] for entry in clients.bmc.get(entries)["Members"]]
    assert newest["Id"] not in ids  # the load's end may have come since
    audit = clients.utility("rf_logs", "--manager", "DCPI", "--log", "Audit", "--max", "50")
    assert "event_log.clear.done" in audit


def test_rf_manager_config_names_and_sets_the_clock(clients: Clients) -> None:
    """Name, host name and clock are as an independent reader finds them."""
    own = "/redfish/v1/Managers/DCPI"
    clients.utility("rf_manager_config", "-m", "DCPI", "setserviceid", "--id", "row 7")
    assert clients.bmc.get("/redfish/v1/")["ServiceIdentification"] == "row 7"
    assert "ServiceIdentification: row 7" in clients.utility(
        "rf_manager_config", "-m", "DCPI", "info")  # fmt: skip
    clients.utility(
        "rf_manager_config", "-m", "DCPI", "setnet", "--id", "lo", "--hostname", "lab-bmc"
    )
    assert clients.bmc.get(f"{own}/NetworkProtocol")["HostName"] == "lab-bmc"
    net = clients.utility("rf_manager_config", "-m", "DCPI", "getnet", "--id", "lo")
    assert "HostName: lab-bmc" in net
    assert "127.0.0.1: 255.0.0.0" in net
    port = clients.utility("rf_manager_config", "-m", "DCPI", "getprotocol")
    assert _rows(port)["HTTPS"][:2] == ["True", str(clients.bmc.port)]
    clients.utility(
        "rf_manager_config", "-m", SYSTEM, "settime", "--datetime", "2031-05-06T07:08:09Z"
    )
    assert clients.bmc.get(f"/redfish/v1/Managers/{SYSTEM}")["DateTime"].startswith("2031-05-06")


def test_rf_manager_config_restarts_the_manager(clients: Clients) -> None:
    """The manager has begun anew, on the same port."""
    own = "/redfish/v1/Managers/DCPI"
    before = clients.bmc.get(own)["LastResetTime"]
    clients.utility("rf_manager_config", "-m", "DCPI", "reset", "--type", "GracefulRestart")
    clients.wait_for_restart(before)


def test_rf_event_service_subscribes_a_listener(clients: Clients, tmp_path: Path) -> None:
    """An event reaches the listener with the client's own words, until it is unsubscribed."""
    with event_listener(tmp_path) as listener:
        clients.utility(
            "rf_event_service", "subscribe", "--destination", listener.url, "--context", "rack 9",
            "--format", "Event", "--httpheaders", "X-Lab:yes",
        )  # fmt: skip
        assert clients.bmc.ask("POST", TEST_EVENT, {}).status == 204
        listener.wait_for("TestMessage", 30)
        headers, body = listener.posts[-1]
        assert (headers["x-lab"], body["Context"]) == ("yes", "rack 9")
        info = clients.utility("rf_event_service", "info")
        assert listener.url in info
        listed = clients.bmc.get("/redfish/v1/EventService/Subscriptions?$expand=.")["Members"]
        (mine,) = [one["Id"] for one in listed if one["Context"] == "rack 9"]
        clients.utility("rf_event_service", "unsubscribe", "--id", mine)
        came = len(listener.posts)
        assert clients.bmc.ask("POST", TEST_EVENT, {}).status == 204
        time.sleep(1)
        assert len(listener.posts) == came


def test_rf_certificates_replaces_the_served_one(clients: Clients, tmp_path: Path) -> None:
    """What was requested of the service and signed elsewhere is what a handshake shows then."""
    csr, pem = tmp_path / "bmc.csr", tmp_path / "bmc.pem"
    assert "KeyPairAlgorithm" in clients.utility("rf_certificates", "csrinfo")
    clients.utility(
        "rf_certificates", "csr", "-col", CERTIFICATES, "--commonname", "lab.example",
        "--keyalg", "TPM_ALG_ECDSA", "--keycurve", "TPM_ECC_NIST_P256", "--out", csr,
    )  # fmt: skip
    pem.write_text(signed(x509.load_pem_x509_csr(csr.read_bytes())), encoding="ascii")
    clients.utility(
        "rf_certificates", "install", "--destination", f"{CERTIFICATES}/1", "--certificate", pem
    )
    shown = ssl.get_server_certificate(("127.0.0.1", clients.bmc.port))
    assert x509.load_pem_x509_certificate(shown.encode()) == x509.load_pem_x509_certificate(
        pem.read_bytes()
    )
    assert "CN=lab.example" in clients.utility("rf_certificates", "info")


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("status", ("flow_lpm", "supply_c", "return_c", "pump_speed_percent")),
        ("pumpinfo", ("pump_speed_percent",)),
        ("secondaryinfo", ("flow_lpm", "supply_c", "return_c")),
    ],
)
def test_rf_thermal_equipment_tells_the_truth(
    clients: Clients, plant: PlantControl, command: str, wanted: tuple[str, ...]
) -> None:
    """A cooling unit's flow, temperatures and pump speed are the loop's."""
    which = ("--type", "CDU", "--equipment", LOOP)
    shown = [float(text) for text in re.findall(
        r"(?<![\w.-])\d+(?:\.\d+)?(?![\w.-])",
        clients.utility("rf_thermal_equipment", command, *which))]  # fmt: skip
    truth = plant.truth()["loops"][LOOP]
    for name in wanted:
        assert pytest.approx(truth[name], rel=NEAR) in shown, name


@pytest.mark.parametrize("command", ["primaryinfo", "leakdetectors"])
def test_rf_thermal_equipment_shows_a_units_parts(clients: Clients, command: str) -> None:
    """What the script prints of each part is what the part's own resource says."""
    unit = f"/redfish/v1/ThermalEquipment/CDUs/{LOOP}"
    parts = {
        "primaryinfo": f"{unit}/PrimaryCoolantConnectors",
        "leakdetectors": f"{unit}/LeakDetection/LeakDetectors",
    }
    found = clients.bmc.get(f"{parts[command]}?$expand=.")["Members"]
    assert found
    out = clients.utility("rf_thermal_equipment", command, "--type", "CDU", "--equipment", LOOP)
    for part in found:
        assert part["Id"] in out
        assert part.get("DetectorState", part["Status"]["State"]) in out


def test_rf_thermal_equipment_lists_all_units(clients: Clients, plant: PlantControl) -> None:
    """One unit for each loop of the plant."""
    rows = _rows(clients.utility("rf_thermal_equipment", "list"))
    assert set(plant.truth()["loops"]) <= set(rows)


def test_rf_power_equipment_tells_the_truth(clients: Clients, plant: PlantControl) -> None:
    """A feed's mains show its power and its frequency; the list names each feed of the plant."""
    which = ("--type", "Switchgear", "--equipment", "hall_1")
    out = clients.utility("rf_power_equipment", "mainsinfo", *which)
    power = re.search(r"^  Power: ([\d.]+) W", out, re.MULTILINE)
    frequency = re.search(r"^  Frequency: ([\d.]+) Hz", out, re.MULTILINE)
    assert power is not None, out
    assert frequency is not None, out
    truth = plant.truth()["feeds"]["hall_1"]
    assert float(power[1]) == pytest.approx(truth["p_w"], rel=NEAR)
    assert float(frequency[1]) == pytest.approx(truth["frequency_hz"], rel=0.001)
    status = clients.utility("rf_power_equipment", "status", *which)
    shown = [float(text) for text in re.findall(r"\d+\.\d+", status)]
    assert pytest.approx(plant.truth()["feeds"]["hall_1"]["p_w"], rel=NEAR) in shown
    rows = _rows(clients.utility("rf_power_equipment", "list"))
    assert set(plant.truth()["feeds"]) <= set(rows)


def test_rf_bios_settings_wait_for_a_start(clients: Clients) -> None:
    """The script shows what is in force beside what the next start brings."""
    bios = f"/redfish/v1/Systems/{SYSTEM}/Bios"
    reset = f"/redfish/v1/Systems/{SYSTEM}/Actions/ComputerSystem.Reset"
    clients.utility("rf_bios_settings", "-a", "NicBoot1", "Disabled", "-a", "QuietBoot", "false")
    shown = clients.utility("rf_bios_settings")
    assert re.search(r"NicBoot1 .*NetworkBoot .*Disabled", shown), shown
    assert clients.bmc.get(bios)["Attributes"]["NicBoot1"] == "NetworkBoot"
    clients.bmc.ask("POST", reset, {"ResetType": "ForceRestart"})
    assert clients.bmc.get(bios)["Attributes"]["NicBoot1"] == "Disabled"
    assert clients.bmc.get(bios)["Attributes"]["QuietBoot"] is False
    clients.utility("rf_bios_settings", "--reset")
    clients.bmc.ask("POST", reset, {"ResetType": "ForceRestart"})
    assert clients.bmc.get(bios)["Attributes"]["NicBoot1"] == "NetworkBoot"


def test_rf_power_equipment_tells_the_outlets(clients: Clients, plant: PlantControl) -> None:
    """Each outlet draws what its gear draws, a branch their sum; one switched off draws nothing."""
    which = ("--type", "RackPDU", "--equipment", "rack_pdu_1")
    outlet = "/redfish/v1/PowerEquipment/RackPDUs/rack_pdu_1/Outlets/2"

    def info(number: int) -> str:
        return clients.utility("rf_power_equipment", "outletinfo", *which, "--outlet", number)

    rows = _rows(clients.utility("rf_power_equipment", "outlets", *which))
    truth = plant.truth()["rack_pdu"]
    for number, one in enumerate(truth, 1):
        assert float(rows[str(number)][-1]) == pytest.approx(one["power_w"], rel=NEAR)
    branch = clients.utility("rf_power_equipment", "branchinfo", *which, "--branch", "L1")
    power = re.search(r"^  Power: ([\d.]+) W", branch, re.MULTILINE)
    assert power is not None, branch
    assert float(power[1]) == pytest.approx(truth[0]["power_w"] + truth[1]["power_w"], rel=NEAR)
    action = ("--method", "POST", "--request", f"{outlet}/Actions/Outlet.PowerControl")
    try:
        clients.utility("rf_raw_request", *action, "--body", '{"PowerState": "Off"}')
        assert plant.truth()["rack_pdu"][1]["on"] is False
        wait_for(lambda: clients.bmc.get(outlet)["PowerWatts"]["Reading"] == 0, 15, "no power")
        assert "PowerState: Off" in info(2)
        assert re.search(r"^  Power: 0(\.0)? W", info(2), re.MULTILINE)
    finally:
        clients.utility("rf_raw_request", *action, "--body", '{"PowerState": "On"}')
    assert plant.truth()["rack_pdu"][1]["on"] is True
    wait_for(lambda: clients.bmc.get(outlet)["PowerState"] == "On", 15, "the outlet on")
    assert "PowerState: On" in info(2)
