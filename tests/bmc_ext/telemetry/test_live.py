"""The tick in true time, behind real samplers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.sampling.cycles import CycleObserver, CycleResult
from bmc_ext.sampling.sampler import Sampler
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from bmc_ext.telemetry.cycle_feed import CycleSummary
from drivers.errors import TransportError
from drivers.reading import Quality
from drivers.waveforms.block import Block

RATE_HZ = 12800.0
BLOCK = 320  # 25 ms


class SineSource:
    """Three phases of 230 V and 10 A in phase at 50 Hz, in true time, until it is cut."""

    phases = 3
    sample_rate_hz = RATE_HZ
    epoch_ns = 0
    skew_s: Sequence[float] = (0.0, 0.0, 0.0)

    def __init__(self) -> None:
        self.cut = False
        self._next = 0

    def open(self) -> None:
        """Begin on the 100 ms grid."""
        if self.cut:
            raise TransportError("cut")
        self.epoch_ns = time.time_ns() // 10**8 * 10**8
        self._next = 0

    def read(self, timeout_s: float) -> Block | None:  # noqa: ARG002  # a block is never late
        """The next block, when its last sample is due."""
        if self.cut:
            raise TransportError("cut")
        end = self._next + BLOCK
        due_s = self.epoch_ns * 1e-9 + end / RATE_HZ
        time.sleep(max(0.0, due_s - time.time()))
        phase = 2 * np.pi * 50 / RATE_HZ * np.arange(self._next, end)
        wave = np.sqrt(2) * np.sin(phase[None, :] - np.array([[0], [2], [4]]) * np.pi / 3)
        block = Block(self._next, np.concatenate([230 * wave, 10 * wave]))
        self._next = end
        return block

    def close(self) -> None:
        """Holds nothing."""


@pytest.fixture
def running(
    state: StateDirectory, make_config: Callable[..., Config], engine: Any
) -> Iterator[tuple[Collector, list[SineSource]]]:
    """A collector with two sampled feeds and a meter, and the sources of the feeds."""
    engine.put("m_m", "power.active.total", 1000.0, "W")
    collector = Collector(make_config(waveforms=("a", "b"), meters=("m",)), engine, state)
    sources = [SineSource(), SineSource()]

    def taken(feed: str) -> Callable[[CycleResult], None]:
        summary = CycleSummary()
        return lambda result: collector.cycles_of(feed).put(summary.take(result))

    samplers = [
        Sampler(
            feed,
            source,
            collector.accept,
            observers=[CycleObserver(feed, taken(feed))],
        )
        for feed, source in zip("ab", sources, strict=True)
    ]
    collector.start()
    for sampler in samplers:
        sampler.start()
    yield collector, sources
    for sampler in samplers:
        sampler.stop()
    collector.stop()


def _follow(collector: Collector, seconds: float) -> list[tuple[float, Snapshot]]:
    """Snapshots of a while, each with how old its window's end was when it was seen."""
    seen: list[tuple[float, Snapshot]] = []

    def take(snapshot: Snapshot) -> None:
        seen.append((time.time() - (snapshot.window_id + 1) / 10, snapshot))

    collector.store.subscribe(take)
    time.sleep(seconds)
    collector.store.unsubscribe(take)
    return seen


def test_ten_true_snapshots_a_second(running: tuple[Collector, list[SineSource]]) -> None:
    """Windows follow each other without a hole, are right, and fresh when their end is seen."""
    collector, _ = running
    _wait_for(collector, [Quality.OK, Quality.OK, Quality.OK])
    seen = _follow(collector, 1.5)
    windows = [snapshot.window_id for _, snapshot in seen]
    assert windows == list(range(windows[0], windows[0] + len(windows)))
    assert len(windows) >= 14
    assert all(-0.001 < age < 0.1 for age, _ in seen)
    first, last = seen[0][1], seen[-1][1]
    for snapshot in (first, last):
        assert snapshot.total.p_w == pytest.approx(2 * 6900.0 + 1000.0, rel=1e-3)
        assert snapshot.feeds[0].measured_at == snapshot.start_s
    gained = _energy(last) - _energy(first)
    assert gained == pytest.approx(690.0 * (len(windows) - 1), rel=1e-3)


def test_a_cut_source_is_a_communication_error_within_a_second(
    running: tuple[Collector, list[SineSource]],
) -> None:
    """One source is cut: its feed is comm-error within 1 s, the others stay, and it comes back."""
    collector, sources = running
    _wait_for(collector, [Quality.OK, Quality.OK, Quality.OK])
    sources[1].cut = True
    assert _wait_for(collector, [Quality.OK, Quality.COMM_ERROR, Quality.OK]) < 1.0
    sources[1].cut = False
    assert _wait_for(collector, [Quality.OK, Quality.OK, Quality.OK]) < 2.0


def test_cycles_come_beside_the_windows_and_go_with_the_source(
    running: tuple[Collector, list[SineSource]],
) -> None:
    """A sampled feed shows its newest 10 cycles, under half a second old; a lost one none."""
    collector, sources = running
    _wait_for(collector, [Quality.OK, Quality.OK, Quality.OK])
    newest = [snapshot for _, snapshot in _follow(collector, 1.5)][-1]
    for feed in newest.feeds[:2]:
        cycles = feed.cycles.ten_twelve
        assert cycles is not None
        assert cycles.cycles == 10
        assert cycles.duration_s == pytest.approx(0.2, abs=1e-6)
        assert 0 < newest.start_s + 0.1 - cycles.end_s < 0.5
        assert [phase.v_rms_v for phase in cycles.phases] == pytest.approx([230.0] * 3)
        assert cycles.p_w == pytest.approx(6900.0)
        assert feed.cycles.ten_minutes is None
    assert newest.feeds[2].cycles.ten_twelve is None
    sources[1].cut = True
    _wait_for(collector, [Quality.OK, Quality.COMM_ERROR, Quality.OK])
    lost = collector.store.latest()
    assert lost is not None
    assert lost.feeds[1].cycles.ten_twelve is None
    sources[1].cut = False


def _wait_for(collector: Collector, qualities: list[Quality]) -> float:
    started = time.monotonic()
    window_id = 0
    while time.monotonic() - started < 5.0:
        snapshot = collector.store.wait_newer(window_id, 1.0)
        assert snapshot is not None
        if [feed.quality for feed in snapshot.feeds] == qualities:
            return time.monotonic() - started
        window_id = snapshot.window_id
    pytest.fail(f"never {qualities}")


def _energy(snapshot: Snapshot) -> float:
    energy_j = snapshot.feeds[0].energy_import_j
    assert energy_j is not None
    return energy_j
