"""A pair of virtual Ethernet interfaces with a merging unit at one end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sv_publisher

from bmc_ext.sampling.sampled_values_source import SampledValuesSource
from bmc_ext.sampling.sampler import Sampler, Window
from drivers.waveforms.sampled_values import SampledValues
from drivers.waveforms.sampled_values_socket import SampledValuesSocket

PUBLISHER = Path(__file__).parent / "sv_publisher.py"


_UNIT_OF = {appid: sv_publisher.Unit(appid=appid) for appid in (0x4000, 0x4001)}


class Measured(NamedTuple):
    """Windows by their number since the publisher's first; rate and counts of the source."""

    windows: dict[int, Window]
    rate_hz: float
    counts: dict[str, int]


class _Counting:
    """Keeps a source's counts, which go when it closes."""

    def __init__(self, source: SampledValuesSource) -> None:
        self.counts: dict[str, int] = {}
        self._source = source

    def begin(self, source: object) -> None:
        """Nothing to prepare."""

    def take(self, _block: object) -> None:
        """Look at the counts with each block."""
        self.counts = self._source.counts


class Wire:
    """`near` is where the project listens, `far` where a publisher sends."""

    def __init__(self) -> None:
        self.near, self.far = f"dsv{os.getpid()}n", f"dsv{os.getpid()}f"

    def publish(self, **unit: Any) -> subprocess.Popen[str]:
        """Start a publisher; the first line that it prints is its first sample's time in ns."""
        scenario = json.dumps({"interface": self.far, **unit})
        command = [sys.executable, str(PUBLISHER), scenario]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def sending(self) -> Iterator[Callable[[bytes], int]]:
        """A function that sends one frame at once."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as far:
            far.bind((self.far, 0))
            yield far.send

    def frame(self, number: int, appid: int = 0x4000) -> bytes:
        """One frame, padded to the size of a large one so that a ring is soon full."""
        return sv_publisher.frame(_UNIT_OF[appid], number % 4000, 0) + bytes(1300)

    def measure(
        self, wanted: SampledValues, only_appid: int | None = None, **unit: Any
    ) -> Measured:
        """Follow a publisher from before its first frame to after its last."""
        windows: list[Window] = []
        source = SampledValuesSource(SampledValuesSocket(self.near, appid=only_appid), wanted)
        counting = _Counting(source)
        sampler = Sampler("feed", source, windows.append, observers=[counting])
        with self.publish(**unit) as publisher:
            assert publisher.stdout is not None
            start_ns = int(publisher.stdout.readline())
            # Just before the first frame, so that the source waits for it.
            time.sleep(max(0.0, (start_ns - time.time_ns()) * 1e-9 - 0.2))
            sampler.start()
            try:
                assert publisher.wait(timeout=30) == 0
                time.sleep(0.25)
            finally:
                sampler.stop()
        first = start_ns // 100_000_000
        numbered = {window.window_id - first: window for window in windows}
        return Measured(numbered, source.sample_rate_hz, counting.counts)


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    """Two joined interfaces; needs root and iproute2."""
    made = Wire()
    if not shutil.which("ip"):
        pytest.skip("iproute2 is not installed")
    command = ["ip", "link", "add", made.near, "type", "veth", "peer", "name", made.far]
    added = subprocess.run(command, capture_output=True, text=True, check=False)
    if added.returncode:
        pytest.skip(f"no veth pair, which needs CAP_NET_ADMIN: {added.stderr.strip()}")
    try:
        for name in (made.near, made.far):
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield made
    finally:
        subprocess.run(["ip", "link", "del", made.near], check=True)
