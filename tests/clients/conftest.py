"""One small emulator, its plant, and the programs of the clients' own environment."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.dmtf.validators import TLS_OVERRIDES, small_emulator
from e2e.emulator_client import PASSWORD, USER, Running, wait_for

from emulator.plant.client import PlantControl
from emulator.plant.socket_path import control_socket

SYSTEM = "27946b59-9e44-4fa7-8e91-f3527a1ef094"
CHASSIS = "15693887-7984-9484-3272-842188918912"
NEAR = 0.05
"""Meters err by 0.5 %, and the campus moves while a client is starting."""


class Clients:
    """Runs the clients of that environment against one service."""

    def __init__(self, folder: Path, bmc: Running) -> None:
        self._folder = folder
        self.bmc = bmc
        self.host = f"127.0.0.1:{bmc.port}"
        self.url = f"https://{self.host}"

    def run(self, program: str, *arguments: object, fails: bool = False) -> str:
        """What a program says; its exit status is no evidence, but one unexpected ends the test."""
        done = subprocess.run(
            [str(self._folder / program), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=_environment(),
        )
        assert bool(done.returncode) is fails, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def utility(self, program: str, *arguments: object, fails: bool = False) -> str:
        """One of the redfish-utilities."""
        who = ("-u", USER, "-p", PASSWORD, "-r", self.url)
        return self.run(f"{program}.py", *who, *arguments, fails=fails)

    def tool_says(self, *arguments: object, fails: bool = False) -> str:
        """What redfishtool prints."""
        who = ("-r", self.host, "-u", USER, "-p", PASSWORD, "-S", "Always")
        return self.run("redfishtool", *who, *arguments, fails=fails)

    def tool(self, *arguments: object) -> Any:
        """The answer of redfishtool as JSON, None where it has none."""
        out = self.tool_says(*arguments)
        start = out.find("{")
        return json.loads(out[start : out.rindex("}") + 1]) if start >= 0 else None

    def installed(self, pattern: str) -> dict[str, str]:
        """The texts of the environment's programs that match a glob, by name without suffix."""
        return {path.stem: path.read_text(encoding="utf-8") for path in self._folder.glob(pattern)}

    def may_log_in(self, user: str, password: str) -> bool:
        """Whether a session opens for that user."""
        login = {"UserName": user, "Password": password}
        uri = "/redfish/v1/SessionService/Sessions"
        answer = self.bmc.ask("POST", uri, login, auth=False)
        assert answer.status in (201, 401), answer
        return answer.status == 201

    def wait_for_restart(self, before: str) -> None:
        """Until the manager tells a later start than `before`, and measures again."""

        def began() -> bool:
            try:
                manager = self.bmc.ask("GET", "/redfish/v1/Managers/DCPI")
                power = self.bmc.ask("GET", "/redfish/v1/dcpi/power/realtime")
            except OSError:  # it is not listening yet
                return False
            return (
                (manager.status, power.status) == (200, 200)
                and manager.body["LastResetTime"] > before
                and power.body["Quality"] == "ok"
            )

        wait_for(began, 180, "a manager that has begun anew")

    def audited(self, event: str) -> list[dict[str, Any]]:
        """What the audit entries of that event hold, oldest first."""
        lines = (self.bmc.state_dir / "audit" / "audit.jsonl").read_text(encoding="utf-8")
        entries = [json.loads(line) for line in lines.splitlines()]
        return [entry["fields"] for entry in entries if entry["event"] == event]

    def script(self, name: str, *more: object) -> Any:
        """What a script of this folder prints, as JSON; it gets URL, user, password and more."""
        path = Path(__file__).with_name(name)
        out = self.run("python", path, self.url, USER, PASSWORD, *more)
        return json.loads(out.strip().splitlines()[-1])

    def system(self) -> dict[str, Any]:
        """The computer system as it is, asked without any of these clients."""
        body: dict[str, Any] = self.bmc.get(f"/redfish/v1/Systems/{SYSTEM}")
        return body


def _environment() -> dict[str, str]:
    """The tests' own, in which a client that is told to take any certificate does so."""
    kept = {name: value for name, value in os.environ.items() if name not in TLS_OVERRIDES}
    return {**kept, "PYTHONWARNINGS": "ignore", "NO_PROXY": "127.0.0.1"}


@pytest.fixture(scope="session")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A small emulator."""
    with small_emulator(tmp_path_factory.mktemp("clients")) as it:
        yield it


@pytest.fixture
def plant(bmc: Running) -> Iterator[PlantControl]:
    """The plant behind it, which tells the truth."""
    with contextlib.closing(PlantControl(control_socket(bmc.state_dir / "plant"))) as it:
        yield it


@pytest.fixture
def clients(bmc: Running) -> Clients:
    """The clients, where `make clients` has installed them."""
    folder = os.environ.get("DCPI_CLIENTS")
    if not folder:
        pytest.skip("the clients have an environment of their own: make clients")
    return Clients(Path(folder).absolute(), bmc)
