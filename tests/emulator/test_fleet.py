"""Two BMCs in one process, whose day is another: what they share and what is each one's own."""

from __future__ import annotations

import contextlib
import copy
import json
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import COMMAND, Answer, Running, running, wait_for
from free_port import free_port

from emulator.host.machines import STOCK_CHASSIS, STOCK_SYSTEM, numbered_machines
from emulator.plant.client import PlantControl
from emulator.plant.socket_path import control_socket

POWER = "/redfish/v1/dcpi/power/realtime"
ACCOUNTS = "/redfish/v1/AccountService/Accounts"
SESSIONS = "/redfish/v1/SessionService/Sessions"
SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"
MANAGER = "/redfish/v1/Managers/DCPI"
PUMP = "/redfish/v1/Chassis/DCPI/Controls/Loop_liquid_cooling_loop_a_PumpSpeed"
DAY = "2028-02-29T23:5"


class Pair:
    """Both BMCs; the process is that of the first."""

    def __init__(self, first: Running) -> None:
        self.first = first
        self.second = copy.copy(first)
        (self.second.port,) = first.more_ports(1)

    def of(self, look: Callable[[Running], Any]) -> tuple[Any, Any]:
        """What `look` finds in the first and in the second."""
        return look(self.first), look(self.second)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two measuring BMCs in the last ten minutes of a leap day."""
    state = tmp_path_factory.mktemp("fleet") / "state"
    options = ["--count", 2, "--port", 0, "--state-dir", state, "--clock", f"{DAY}0:00Z"]
    with running("emulate", *options) as it:
        both = Pair(it)
        for bmc in (both.first, both.second):
            wait_for(lambda bmc=bmc: _quality(bmc) == "ok", 30, "power/realtime with quality ok")
        yield both


def _quality(bmc: Running) -> str | None:
    answer = _reached(bmc, POWER)
    return None if answer is None or answer.status != 200 else str(answer.body["Quality"])


def _reached(bmc: Running, path: str) -> Answer | None:
    with contextlib.suppress(OSError):
        return bmc.ask("GET", path)
    return None


def test_they_show_the_same_campus(pair: Pair) -> None:
    """A window that both have shown has the same values in both."""
    seen: tuple[dict[int, float], dict[int, float]] = ({}, {})

    def common() -> set[int]:
        for bmc, known in zip((pair.first, pair.second), seen, strict=True):
            body = bmc.get(POWER)
            known[body["WindowId"]] = body["Total"]["PowerWatts"]
        return seen[0].keys() & seen[1].keys()

    for window in wait_for(common, 30, "a window that both have shown"):
        assert seen[0][window] == seen[1][window]


def test_identities_are_their_own(pair: Pair) -> None:
    """UUIDs, certificates and machines differ; the first has the stock machines."""
    uuids = pair.of(lambda bmc: bmc.get("/redfish/v1")["UUID"])
    certificates = pair.of(
        lambda bmc: ssl.get_server_certificate(("127.0.0.1", bmc.port), timeout=10)
    )
    systems = pair.of(lambda bmc: bmc.get("/redfish/v1/Systems")["Members"][0]["@odata.id"])
    chassis = pair.of(lambda bmc: bmc.get("/redfish/v1/Chassis")["Members"])
    assert len({*uuids}) == len({*certificates}) == len({*systems}) == 2
    assert systems[0].endswith(STOCK_SYSTEM.uuid)
    stock = {"@odata.id": f"/redfish/v1/Chassis/{STOCK_CHASSIS.uuid}"}
    assert stock in chassis[0]
    assert stock not in chassis[1]
    interface = f"{systems[1]}/EthernetInterfaces"
    (nic,) = pair.second.get(interface)["Members"]
    assert pair.second.get(nic["@odata.id"])["MACAddress"] == "00:5c:52:31:3a:9d"


def test_accounts_and_sessions_are_their_own(pair: Pair) -> None:
    """Neither an account nor a token of the first opens the second."""
    body = {"UserName": "anna", "Password": "a-password", "RoleId": "ReadOnly"}
    assert pair.first.ask("POST", ACCOUNTS, body).status == 201
    assert pair.second.ask("GET", f"{ACCOUNTS}/anna").status == 404
    login = {"UserName": "anna", "Password": "a-password"}
    session = pair.first.ask("POST", SESSIONS, login, auth=False)
    token = {"X-Auth-Token": session.headers["x-auth-token"]}
    answers = pair.of(lambda bmc: bmc.ask("GET", "/redfish/v1/Systems", headers=token).status)
    assert answers == (200, 401)


def test_machines_and_subscriptions_are_their_own(pair: Pair) -> None:
    """Power, a lamp and a subscription of the second are not seen in the first."""
    (system,) = pair.second.get("/redfish/v1/Systems")["Members"]
    uri = system["@odata.id"]
    on = {"ResetType": "On"}
    assert pair.second.ask("POST", f"{uri}/Actions/ComputerSystem.Reset", on).status == 204
    wanted = {"Destination": "http://127.0.0.1:9/", "Protocol": "Redfish", "Context": "mine"}
    assert pair.second.ask("POST", SUBSCRIPTIONS, wanted).status == 201
    powers = pair.of(
        lambda bmc: bmc.get(bmc.get("/redfish/v1/Systems")["Members"][0]["@odata.id"])["PowerState"]
    )
    assert powers == ("Off", "On")
    assert pair.of(lambda bmc: len(bmc.get(SUBSCRIPTIONS)["Members"])) == (0, 1)


def test_a_command_of_one_is_seen_by_both(pair: Pair) -> None:
    """The devices are the campus's: a pump that the second sets turns for the first as well."""
    assert pair.second.ask("PATCH", PUMP, {"SetPoint": 63}).status in (200, 202, 204)
    wait_for(lambda: abs(pair.first.get(PUMP)["SetPoint"] - 63) < 0.1, 20, "the first shows it")


def test_workloads_of_one_name_stay_apart(pair: Pair) -> None:
    """Each BMC's workload runs in the plant for itself, under one name in both."""
    for bmc, peak_mw in ((pair.first, 3.0), (pair.second, 4.0)):
        # Nothing is promised while a reading is stale, as on a busy machine.
        wait_for(lambda bmc=bmc: _quality(bmc) == "ok", 30, "power that is known")
        answer = bmc.ask("POST", "/dcpi/workload/announce", _announcement(peak_mw))
        assert answer.body["approval_status"] != "rejected", answer.body
    with PlantControl(control_socket(pair.first.state_dir / "plant")) as plant:
        wait_for(lambda: len(plant.truth()["workloads"]) == 2, 20, "two loads in the plant")


def _announcement(peak_mw: float) -> dict[str, Any]:
    """A small job under one name, an hour after that day's campus began."""
    return {
        "dcpi_version": "1.0",
        "message_type": "workload_announcement",
        "timestamp": f"{DAY}0:00Z",
        "workload_id": "one-name",
        "power_profile": {
            "peak_power_mw": peak_mw,
            "baseline_power_mw": 1,
            "ramp_rate_mw_per_sec": 1,
            "duration_estimate_sec": 600,
            "start_time_estimate": "2028-03-01T00:50:00Z",
        },
        "thermal_profile": {"heat_generation_mw": peak_mw, "max_silicon_temp_c": 85},
    }


def test_all_that_is_measured_and_told_is_of_that_day(pair: Pair) -> None:
    """Windows, sensors, messages, managers and events bear the time that was set."""
    bmc = pair.second
    power = bmc.get(POWER)
    assert power["WindowStart"].startswith(DAY)
    assert power["TimeBoundMilliseconds"] is None
    assert bmc.get("/dcpi/power/realtime")["timestamp"].startswith(DAY)
    sensor = bmc.get("/redfish/v1/Chassis/DCPI/Sensors/Loop_liquid_cooling_loop_a_Flow")
    assert sensor["ReadingTime"].startswith(DAY)
    managers = [member["@odata.id"] for member in bmc.get("/redfish/v1/Managers")["Members"]]
    assert len(managers) == 2
    assert all(bmc.get(manager)["DateTime"].startswith(DAY) for manager in managers)
    assert bmc.get(f"{MANAGER}/LogServices/EventLog")["DateTime"].startswith(DAY)
    history = "/redfish/v1/dcpi/power/history?feed=hall_1&resolution=1s&limit=1"
    wait_for(lambda: DAY in json.dumps(bmc.get(history)), 20, "history of that day")


def test_security_keeps_the_real_time(pair: Pair) -> None:
    """The audit log and sessions bear the machine's own time."""
    entries = pair.second.get(f"{MANAGER}/LogServices/Audit/Entries")["Members"]
    assert entries
    assert not any(entry["Created"].startswith("2028") for entry in entries)
    login = {"UserName": pair.second.user, "Password": pair.second.password}
    session = pair.second.ask("POST", SESSIONS, login)
    assert not session.body["CreatedTime"].startswith("2028")


def test_a_restart_of_one_leaves_the_other_alone(pair: Pair) -> None:
    """The second begins anew on its port with its accounts; the first answers all the time."""
    first_began, before = pair.of(lambda bmc: bmc.get(MANAGER)["LastResetTime"])
    kind = {"ResetType": "GracefulRestart"}
    answer = pair.second.ask("POST", f"{MANAGER}/Actions/Manager.Reset", kind)
    assert answer.status == 204

    def begun() -> bool:
        assert pair.first.get(MANAGER)["LastResetTime"] == first_began
        found = _reached(pair.second, MANAGER)
        return found is not None and found.body["LastResetTime"] != before

    wait_for(begun, 30, "the second answers again")
    wait_for(lambda: _quality(pair.second) == "ok", 30, "and shows the campus")


def test_a_signal_ends_them_all(pair: Pair) -> None:
    """The last test of this module: SIGINT ends both, with status 0."""
    pair.first.process.send_signal(signal.SIGINT)
    assert pair.first.process.wait(30) == 0
    assert pair.first.stop() == 0  # it has ended: what it said is closed


def test_a_port_that_is_taken_ends_all_with_one_line(tmp_path: Path) -> None:
    """The second's port is somebody else's: nothing is left running, status 2."""
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [COMMAND, "emulate", "--count", "2", "--port", str(port - 1), "--state-dir", "state"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert result.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("number", [2, 100])
def test_machines_of_a_number_are_always_the_same(number: int) -> None:
    """Scripts find the machines of a BMC again, and no two BMCs have the same."""
    system, chassis = numbered_machines(number)
    assert numbered_machines(number) == (system, chassis)
    others = [numbered_machines(other) for other in range(1, 101) if other != number]
    assert all(
        system.uuid != s.uuid and system.mac_addresses != s.mac_addresses and chassis.uuid != c.uuid
        for s, c in others
    )
