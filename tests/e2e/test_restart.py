"""A restart over Redfish: the process stays, the port stays, what is on disk stays."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.emulator_client import COMMAND, Running, running, wait_for

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
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    with context.wrap_socket(plain) as idle:
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
    service.process.terminate()
    assert service.process.wait(20) == 0
