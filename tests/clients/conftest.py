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
from conformance.dmtf.validators import small_emulator
from e2e.emulator_client import PASSWORD, USER, Running

from emulator.plant.client import PlantControl
from emulator.plant.socket_path import control_socket

SYSTEM = "27946b59-9e44-4fa7-8e91-f3527a1ef094"


class Clients:
    """Runs the clients of that environment against one service."""

    def __init__(self, folder: Path, bmc: Running) -> None:
        self._folder = folder
        self.bmc = bmc
        self.host = f"127.0.0.1:{bmc.port}"
        self.url = f"https://{self.host}"

    def run(self, program: str, *arguments: object) -> str:
        """What a program says; its exit status is no evidence, but a failure ends the test."""
        done = subprocess.run(
            [str(self._folder / program), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "NO_PROXY": "127.0.0.1"},
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def utility(self, program: str, *arguments: object) -> str:
        """One of the redfish-utilities."""
        who = ("-u", USER, "-p", PASSWORD, "-r", self.url)
        return self.run(f"{program}.py", *who, *arguments)

    def tool(self, *arguments: object) -> Any:
        """The answer of redfishtool as JSON, None where it has none."""
        out = self.run(
            "redfishtool", "-r", self.host, "-u", USER, "-p", PASSWORD, "-S", "Always", *arguments
        )
        start = out.find("{")
        return json.loads(out[start : out.rindex("}") + 1]) if start >= 0 else None

    def script(self, name: str) -> Any:
        """What a script of this folder prints, as JSON; it gets URL, user and password."""
        path = Path(__file__).with_name(name)
        out = self.run("python", path, self.url, USER, PASSWORD)
        return json.loads(out.strip().splitlines()[-1])

    def system(self) -> dict[str, Any]:
        """The computer system as it is, asked without any of these clients."""
        body: dict[str, Any] = self.bmc.get(f"/redfish/v1/Systems/{SYSTEM}")
        return body


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
