"""A plant in its own process, and peers that share nothing with it but the protocols."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from e2e.emulator_client import Patience
from numpy.typing import NDArray
from pymodbus.client import ModbusTcpClient

from emulator.plant.client import PlantControl
from emulator.plant.facility import Facility, load_facility

ROOT = Path(__file__).resolve().parents[3]


class PlantProcess:
    """`python -m emulator.plant` under test: its ready line, and the ports by device."""

    def __init__(self, state_dir: Path, *, seed: int = 7, exit_with_stdin: bool = True) -> None:
        command = [sys.executable, "-m", "emulator.plant", "--facility", "campus-250mw"]
        command += ["--seed", str(seed), "--state-dir", str(state_dir)]
        command += ["--exit-with-stdin"] if exit_with_stdin else []
        self._errors = (state_dir.parent / "stderr").open("wb+")
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], 15)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.close()
            pytest.fail(f"no ready line: {self.errors()}")
        self.ready: dict[str, Any] = json.loads(line)
        self.config: dict[str, Any] = self.ready["config"]
        self.devices: dict[str, dict[str, Any]] = {
            device["id"]: device for device in self.config["devices"]
        }
        self.control = PlantControl(self.ready["control"])

    def __enter__(self) -> PlantProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def errors(self) -> str:
        """All that it wrote on stderr."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def modbus(self, device_id: str) -> tuple[ModbusTcpClient, int]:
        """A fresh pymodbus client for a device, and the device's unit."""
        device = self.devices[device_id]
        place = urlsplit(device["target"])
        client = ModbusTcpClient(str(place.hostname), port=place.port or 0, timeout=1, retries=0)
        return client, device["unit"]

    def registers(self, device_id: str, address: int, count: int, *, fc: int = 3) -> list[int]:
        """Registers read by pymodbus."""
        client, unit = self.modbus(device_id)
        with client:
            read = client.read_holding_registers if fc == 3 else client.read_input_registers
            answer = read(address, count=count, device_id=unit)
            assert not answer.isError(), answer
            return list(answer.registers)

    def close(self) -> None:
        """End it, gently if it listens."""
        if hasattr(self, "control"):
            self.control.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self._errors.close()


class WaveformPeer:
    """A client of dcpi-waveform/1 written from the protocol's text alone."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=5)
        self._stream = self._socket.makefile("rb")
        self.greeting: dict[str, Any] = json.loads(self._stream.readline())

    def __enter__(self) -> WaveformPeer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._socket.close()

    def frame(self) -> tuple[int, NDArray[np.float64]]:
        """The next frame: index of its first sample, samples (6, n)."""
        header = self._exactly(16)
        magic, count, first = struct.unpack("<4sIQ", header)
        assert magic == b"DCPW"
        channels = 2 * self.greeting["phases"]
        data = np.frombuffer(self._exactly(4 * channels * count), "<f4")
        return first, data.reshape(channels, count).astype(np.float64)

    def seconds(self, duration_s: float) -> tuple[int, NDArray[np.float64]]:
        """At least that long, joined; fails where a sample is missing."""
        first, samples = self.frame()
        parts, expected = [samples], first + samples.shape[1]
        while expected - first < duration_s * self.greeting["sample_rate_hz"]:
            index, samples = self.frame()
            assert index == expected
            parts.append(samples)
            expected += samples.shape[1]
        return first, np.concatenate(parts, axis=1)

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        assert len(data) == size, "the stream ended"
        return data


@pytest.fixture(scope="session")
def facility() -> Facility:
    """The shipped campus."""
    return load_facility("campus-250mw")


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    """A running campus for the tests of one module; who stops a device starts it again."""
    with PlantProcess(tmp_path_factory.mktemp("plant") / "state") as process:
        yield process


@pytest.fixture
def launch() -> Callable[..., PlantProcess]:
    """Starts a plant of the test's own in a state directory."""
    return PlantProcess


@pytest.fixture
def listen() -> Callable[[Mapping[str, Any]], WaveformPeer]:
    """Connects to the stream of a feed of the configuration."""

    def connect(feed: Mapping[str, Any]) -> WaveformPeer:
        return WaveformPeer(feed["waveform"]["host"], feed["waveform"]["port"])

    return connect


@pytest.fixture
def until() -> Callable[..., None]:
    """Waits for a condition, and fails when it does not come true in time."""

    def wait(condition: Callable[[], bool], what: str, *, within_s: float = 5.0) -> None:
        patience = Patience(within_s)
        while not condition():
            assert not patience.is_over(), f"not within {within_s} s: {what}"
            time.sleep(0.02)

    return wait
