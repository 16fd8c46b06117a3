"""A restart over Redfish: the process stays, the port stays, what is on disk stays."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.emulator_client import COMMAND, Running, running, unverified, wait_for

MANAGER = "/redfish/v1/Managers/DCPI"
ACCOUNTS = "/redfish/v1/AccountService/Accounts"
SESSIONS = "/redfish/v1/SessionService/Sessions"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    """A service without sensors, on a port of its own choice."""
    config = tmp_path / "service.yaml"
    config.write_text("facility: {id: bench, rated_power_w: 1.0e+6}\nstate_dir: state\n")
    words = [COMMAND, "serve", "--config", config]
    subprocess.run(
        [*words, "--set-password", "admin"],
        input="bench-secret\nbench-secret\n",
        text=True,
        check=True,
        capture_output=True,
    )
    with running("serve", "--config", config, "--port", 0) as it:
        it.user, it.password = "admin", "bench-secret"
        yield it


def _began(service: Running) -> str | None:
    """When it last began; None while nobody answers."""
    with contextlib.suppress(OSError):
        began: str = service.ask("GET", MANAGER).body["LastResetTime"]
        return began
    return None


@pytest.mark.parametrize("kind", ["GracefulRestart", "ForceRestart"])
def test_a_restart_keeps_process_port_and_state(service: Running, kind: str) -> None:
    """Afterwards the same process answers on the same port with its accounts, without sessions."""
    body = {"UserName": "anna", "Password": "a-password", "RoleId": "ReadOnly"}
    assert service.ask("POST", ACCOUNTS, body).status == 201
    login = {"UserName": "admin", "Password": "bench-secret"}
    assert service.ask("POST", SESSIONS, login).status == 201
    before = _began(service)
    time.sleep(0.01)  # times are shown in ms
    plain = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    with unverified().wrap_socket(plain) as idle:
        answer = service.ask("POST", f"{MANAGER}/Actions/Manager.Reset", {"ResetType": kind})
        assert answer.status == 204
        assert idle.recv(1) == b""  # the old connection ends
    wait_for(lambda: _began(service) not in (None, before), 30, "it answers again")
    assert service.process.poll() is None
    assert service.ask("GET", f"{ACCOUNTS}/anna").status == 200
    assert service.ask("GET", SESSIONS).body["Members"] == []
    entries = service.ask("GET", f"{MANAGER}/LogServices/Audit/Entries").body["Members"]
    assert any(f"reset_type {kind}" in entry["Message"] for entry in entries)


def test_it_can_be_restarted_again_and_ends_on_a_signal(service: Running) -> None:
    """A second restart works like the first, and SIGTERM ends it with status 0."""
    for _ in range(2):
        before = _began(service)
        time.sleep(0.01)
        service.ask("POST", f"{MANAGER}/Actions/Manager.Reset", {})
        wait_for(lambda seen=before: _began(service) not in (None, seen), 30, "it answers again")
    assert service.stop() == 0


def test_the_emulated_bmc_restarts_and_its_machine_does_not(tmp_path: Path) -> None:
    """The host's manager is reset by name: power, name and plant stay as they were."""
    with running("emulate", "--port", 0, "--state-dir", tmp_path / "state") as bmc:
        (system,) = bmc.get("/redfish/v1/Systems")["Members"]
        manager = bmc.get("/redfish/v1/Managers")["Members"][0]["@odata.id"]
        on = {"ResetType": "On"}
        reset = f"{system['@odata.id']}/Actions/ComputerSystem.Reset"
        assert bmc.ask("POST", reset, on).status == 204
        (interface, *_) = bmc.get(f"{manager}/EthernetInterfaces")["Members"]
        named = bmc.ask("PATCH", interface["@odata.id"], {"HostName": "mock-bmc"})
        assert named.status == 204
        wait_for(lambda: _measured(bmc) is not None, 30, "the plant is measured")
        before = _began(bmc)
        target = bmc.get(manager)["Actions"]["#Manager.Reset"]["target"]
        assert bmc.ask("POST", target, {"ResetType": "GracefulRestart"}).status == 204
        wait_for(lambda: _began(bmc) not in (None, before), 30, "it answers again")
        assert bmc.get(system["@odata.id"])["PowerState"] == "On"
        assert bmc.get(f"{MANAGER}/NetworkProtocol")["HostName"] == "mock-bmc"
        assert bmc.get(interface["@odata.id"])["HostName"] == "mock-bmc"
        wait_for(lambda: _measured(bmc) is not None, 30, "the plant is measured again")


def _measured(bmc: Running) -> float | None:
    """The facility's power in W."""
    answer = bmc.ask("GET", "/redfish/v1/dcpi/power/realtime")
    power: float | None = answer.body["Total"]["PowerWatts"] if answer.status == 200 else None
    return power
