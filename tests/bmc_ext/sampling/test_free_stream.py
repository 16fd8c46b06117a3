"""A sampler on a real stream whose converter is 200 ppm off."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bmc_ext.clock import WINDOW_NS
from bmc_ext.sampling.cycles import CycleObserver, CycleResult, TenTwelveCycle
from bmc_ext.sampling.sampler import Sampler, Window
from drivers.waveforms.stream import StreamSource

SERVER = Path(__file__).with_name("free_stream_server.py")
SECONDS = 9.0
KNOWN = 5e-5  # from then on windows are analysed with the measured rate


@contextmanager
def serving(ppm: float) -> Iterator[int]:
    """The port of a server process that is ended afterwards."""
    with subprocess.Popen(
        [sys.executable, str(SERVER), str(ppm)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("ppm", [200.0, -200.0])
def test_a_fast_converter_reads_the_true_frequency(ppm: float) -> None:
    """Its 50 Hz reads 50 Hz and not 10 mHz off, within what is said, on the grid, without a gap."""
    seen: list[tuple[int, Window]] = []
    enough = threading.Event()

    def emit(window: Window) -> None:
        seen.append((time.time_ns(), window))
        # How soon the rate is known depends on how evenly this machine wakes the server.
        if len(seen) >= 10 * SECONDS and seen[-30][1].rate_error <= KNOWN:
            enough.set()

    with serving(ppm) as port:
        cycles: list[CycleResult] = []
        observer = CycleObserver("feed_1", cycles.append, nominal_hz=50.0)
        source = StreamSource("127.0.0.1", port)
        sampler = Sampler("feed_1", source, emit, nominal_hz=50.0, observers=[observer])
        sampler.start()
        try:
            assert enough.wait(90.0)
        finally:
            sampler.stop()
    newest = [result.values for result in cycles if isinstance(result, TenTwelveCycle)][-1]
    assert newest.frequency_hz == pytest.approx(50.0, abs=2e-3)
    assert newest.duration_s == pytest.approx(0.2, rel=4e-5)
    assert 0 < seen[-1][0] - newest.end_ns < 1_000_000_000
    windows = [window for _, window in seen]
    ids = [window.window_id for window in windows]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(window.samples == window.expected for window in windows)
    arrived_ns, last = seen[-1]
    assert 0 < arrived_ns - last.start_ns - WINDOW_NS < 1_000_000_000
    assert last.analysis is not None
    error = abs(last.analysis.frequency_hz / 50.0 - 1.0)
    assert last.rate_error < 100e-6
    # With the nominal rate it would be 200 ppm.
    assert error <= min(last.rate_error, 100e-6) + 1e-6
    assert last.duration_s == pytest.approx(0.1, abs=0.2e-3)
