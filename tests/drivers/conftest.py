"""Simulated and independent devices for the drivers' tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.engine import DeviceSpec, Engine
from drivers.simulation import ModbusRtuServer, ModbusTcpServer, PseudoTerminal, SimulatedDevice
from tests.drivers.device_command import COMMAND

_SERVER = Path(__file__).with_name("independent_modbus_server.py")


class IndependentServer:
    """The pymodbus device in its own process; `log` reads what it served so far."""

    def __init__(self, log: Path, **spec: Any) -> None:
        self.spec = spec
        self.port = 0
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> str:
        """Where the engine finds it."""
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the port that it had before if it ever had one."""
        self._log.write_bytes(b"")
        spec = json.dumps(self.spec | {"port": self.port})
        with self._log.open("ab") as output:
            self._process = subprocess.Popen([sys.executable, str(_SERVER), spec], stdout=output)
        wait_until(lambda: bool(self.log()), 10.0)
        self.port = self.log()[0]["port"]

    def kill(self) -> None:
        """SIGKILL: the kernel closes its sockets, nobody says goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> list[dict[str, Any]]:
        """What it said: first its port, then each request."""
        whole_lines = self._log.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole_lines.splitlines()]


_LOOK_S = 0.005


def wait_until(condition: Callable[[], bool], within_s: float) -> float:
    """Wait for a condition; gives the seconds it took, fails the test when it takes longer.

    Of a pause in which a busy machine let this process do nothing, only the beginning counts.
    """
    took_s, seen_s = 0.0, time.monotonic()
    end_s = seen_s + 5 * within_s
    while not condition():
        if took_s > within_s or seen_s > end_s:
            pytest.fail(f"not so within {within_s} s")
        time.sleep(_LOOK_S)
        before_s, seen_s = seen_s, time.monotonic()
        took_s += min(seen_s - before_s, 3 * _LOOK_S)
    return took_s


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[[Callable[[], bool], float], float]:
    """See the function."""
    return wait_until


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test started, in the reverse order."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def independent_server(tmp_path: Path, stack: ExitStack) -> Callable[..., IndependentServer]:
    """Starts a pymodbus device: `independent_server(registers={0: [1, 2]})`."""

    def start(**spec: Any) -> IndependentServer:
        server = IndependentServer(tmp_path / "served.jsonl", **spec)
        stack.callback(server.kill)
        server.start()
        return server

    return start


@pytest.fixture
def serve_tcp(stack: ExitStack) -> Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]:
    """Starts simulated devices behind one TCP port."""

    def start(devices: dict[int, SimulatedDevice]) -> ModbusTcpServer:
        server = ModbusTcpServer(devices)
        server.start()
        stack.callback(server.stop)
        return server

    return start


@pytest.fixture
def serve_rtu(stack: ExitStack) -> Callable[[dict[int, SimulatedDevice]], str]:
    """Starts simulated devices on a pty; gives the path of its line."""

    def start(devices: dict[int, SimulatedDevice]) -> str:
        line = PseudoTerminal()
        stack.callback(line.close)
        server = ModbusRtuServer(devices, line.master_fd)
        server.start()
        stack.callback(server.stop)
        return line.path

    return start


@pytest.fixture
def run_engine(stack: ExitStack) -> Callable[..., Engine]:
    """Starts an engine of the given devices."""

    def start(*devices: DeviceSpec, **options: Any) -> Engine:
        engine = Engine(devices, **options)
        engine.start()
        stack.callback(engine.stop)
        return engine

    return start


@pytest.fixture
def start(stack: ExitStack) -> Callable[..., tuple[subprocess.Popen[str], str]]:
    """Starts `device` and waits for its first line; gives the process and that line."""

    def begin(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-u", *COMMAND[1:], *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        assert process.stdout is not None
        return process, process.stdout.readline()

    return begin
