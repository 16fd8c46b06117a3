"""Two BMCs in one process, whose day is another: what they share and what is each one's own."""

from __future__ import annotations

import contextlib
import copy
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import COMMAND, Answer, Running, running, wait_for
from e2e.fault_control import Faults
from free_port import free_port

from emulator.host.machines import STOCK_CHASSIS, STOCK_SYSTEM, numbered_machines
from emulator.plant.client import PlantControl
from emulator.plant.errors import ControlError
from emulator.plant.socket_path import control_socket

POWER = "/redfish/v1/dcpi/power/realtime"
ACCOUNTS = "/redfish/v1/AccountService/Accounts"
SESSIONS = "/redfish/v1/SessionService/Sessions"
SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"
MANAGER = "/redfish/v1/Managers/DCPI"
PUMP = "/redfish/v1/Chassis/DCPI/Controls/Loop_liquid_cooling_loop_a_PumpSpeed"
DAY = "2028-02-29T23:5"
SCENARIO = """
events:
  - {at_s: 0, fault: wrong-status, status: 503, path: /redfish/v1/staged, bmc: 2}
"""


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
    """Two measuring BMCs in the last ten minutes of a leap day; a path of the second fails."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "staged.yaml").write_text(SCENARIO)
    options = ["--count", 2, "--port", 0, "--state-dir", folder / "state"]
    options += ["--clock", f"{DAY}0:00Z", "--scenario", folder / "staged.yaml"]
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


@pytest.fixture
def faults(pair: Pair) -> Iterator[Faults]:
    """Those of both BMCs; what a test injects is mended."""
    it = Faults(pair.first)
    staged = [entry["id"] for entry in it.control.active()]
    yield it
    for entry in it.control.active():
        if entry["id"] not in staged:
            it.control.clear(entry["id"])
    it.control.close()


def _statuses(pair: Pair, path: str = "/redfish/v1/Systems", **headers: str) -> tuple[int, int]:
    """What both answer."""
    one, other = pair.of(lambda bmc: bmc.ask("GET", path, headers=headers).status)
    return one, other


def test_a_scenario_happens_to_the_bmc_that_it_names(pair: Pair) -> None:
    """Once both answer it begins, at the second alone."""
    wait_for(lambda: "last fault has begun" in pair.first.output, 30, "the scenario is played")
    assert _statuses(pair, "/redfish/v1/staged") == (404, 503)
    assert pair.first.output.index("user root") < pair.first.output.index("fault 1 begins")


@pytest.mark.parametrize(
    ("where", "statuses"),
    [({"bmc": 1}, (503, 200)), ({"bmc": 2}, (200, 503)), ({}, (503, 503))],
)
def test_a_fault_of_the_front_hits_one_or_all(
    pair: Pair, faults: Faults, where: dict[str, int], statuses: tuple[int, int]
) -> None:
    """The BMC of its number fails and the other is well; without a number each fails as often."""
    path = "/redfish/v1/Systems"
    fault_id = faults.inject("wrong-status", status=503, path=path, count=1, **where)
    assert _statuses(pair) == statuses
    assert _statuses(pair) == (200, 200)
    assert faults.control.active()[-1] == {
        "id": fault_id,
        "since_unix_s": pytest.approx(time.time(), abs=60),
        "requests_left": 0,
        "fault": {"fault": "wrong-status", "status": 503, "path": path, "count": 1, **where},
    }
    faults.control.clear(fault_id)
    faults.inject("wrong-status", status=503, path=path, count=3, **where)
    assert faults.control.active()[-1]["requests_left"] == 3 * statuses.count(503)


def _supplies(bmc: Running) -> list[str]:
    """The health of the power supplies of its own chassis."""
    own = next(m["@odata.id"] for m in bmc.get("/redfish/v1/Chassis")["Members"]
               if not m["@odata.id"].endswith("/DCPI"))  # fmt: skip
    uri = f"{own}/PowerSubsystem/PowerSupplies"
    return [bmc.get(m["@odata.id"])["Status"]["Health"] for m in bmc.get(uri)["Members"]]


def test_a_supply_of_one_is_lost(pair: Pair, faults: Faults) -> None:
    """The second's is Critical, the first's is well, and mended it is well, too."""
    fault_id = faults.inject("lost-supply", supply="PSU1", bmc=2)
    assert pair.of(_supplies) == (["OK", "OK"], ["Critical", "OK"])
    faults.control.clear(fault_id)
    assert pair.of(_supplies) == (["OK", "OK"], ["OK", "OK"])


def _sessions_end_only_at(pair: Pair, faults: Faults, number: int) -> None:
    login = {"UserName": "root", "Password": "dcpi-lab"}
    answers = pair.of(lambda bmc: bmc.ask("POST", SESSIONS, login, auth=False))
    tokens = [{"X-Auth-Token": answer.headers["x-auth-token"]} for answer in answers]

    def opens() -> list[int]:
        bmcs = (pair.first, pair.second)
        asked = zip(bmcs, tokens, strict=True)
        return [bmc.ask("GET", "/redfish/v1/Systems", headers=t).status for bmc, t in asked]

    assert opens() == [200, 200]
    faults.inject("expired-sessions", bmc=number)
    assert opens() == [401 if bmc == number else 200 for bmc in (1, 2)]


@pytest.mark.parametrize("number", [1, 2])
def test_sessions_of_one_end(pair: Pair, faults: Faults, number: int) -> None:
    """Those of the other open it as before."""
    _sessions_end_only_at(pair, faults, number)


def test_a_fault_of_the_campus_is_seen_by_both(pair: Pair, faults: Faults) -> None:
    """A dead meter is dead for all who read it, and belongs to no BMC."""
    sensor = "/redfish/v1/Chassis/DCPI/Sensors/Feed_cooling_Power"
    fault_id = faults.inject("dead", device="cooling_meter")

    def readings() -> tuple[object, object]:
        return pair.of(lambda bmc: bmc.get(sensor)["Reading"])

    wait_for(lambda: readings() == (None, None), 30, "both know it")
    faults.control.clear(fault_id)
    wait_for(lambda: None not in readings(), 30, "both see it again")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "drop", "bmc": 3}, "bmc: no BMC 3 (there are BMCs 1 to 2)"),
        ({"fault": "expired-sessions", "bmc": 3}, "bmc: no BMC 3 (there are BMCs 1 to 2)"),
        ({"fault": "dead", "device": "cooling_meter", "bmc": 2}, "all BMCs share the campus"),
        (
            {"fault": "lost-supply", "supply": "PSU1", "chassis": STOCK_CHASSIS.uuid},
            f"BMC 2: no chassis '{STOCK_CHASSIS.uuid}'",
        ),
    ],
)
def test_a_bmc_that_is_not_there_is_told(
    faults: Faults, fault: dict[str, object], words: str
) -> None:
    """What there is stands beside it, and no BMC has begun to fail."""
    before = faults.control.active()
    with pytest.raises(ControlError) as caught:
        faults.control.ask(op="inject", fault=fault)
    assert words in str(caught.value)
    assert faults.control.active() == before


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


def test_after_a_restart_faults_still_find_it(pair: Pair, faults: Faults) -> None:
    """What was injected before is so still, and what is injected now reaches the new service."""
    assert _statuses(pair, "/redfish/v1/staged") == (404, 503)
    _sessions_end_only_at(pair, faults, 2)


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


def test_a_scenario_for_more_bmcs_than_there_are_is_refused(tmp_path: Path) -> None:
    """Status 2 and one line that names file, event and the BMCs there are."""
    (tmp_path / "wrong.yaml").write_text("events: [{at_s: 4, fault: drop, bmc: 3}]")
    result = subprocess.run(
        [COMMAND, "emulate", "--count", "2", "--port", "0", "--scenario", "wrong.yaml",
         "--state-dir", "state"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "dcpi-bmc: wrong.yaml: the event at 4 s: bmc: no BMC 3 (there are BMCs 1 to 2)"
    ]


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
