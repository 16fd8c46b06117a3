"""The observer of a sampler: which nominal frequency, what a reopened or a slow source gives."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
from cycle_waves import line, sampled

from bmc_ext.sampling.cycles import CycleObserver, CycleResult, ShortAggregate, TenTwelveCycle
from drivers.waveforms.block import Block


class Source:
    """What a `CycleObserver` reads of a source; blocks are handed over by the test."""

    phases = 3
    epoch_ns = 1_772_619_300 * 10**9
    skew_s: Sequence[float] = (0.0, 0.0, 0.0)

    def __init__(self, sample_rate_hz: float, hz: float, seconds: float = 1.5) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.samples = sampled(line(hz), sample_rate_hz, seconds).astype(np.float32)

    def open(self) -> None:
        """Nothing to open."""

    def read(self, timeout_s: float) -> Block | None:
        """Never asked."""
        raise AssertionError(timeout_s)

    def close(self) -> None:
        """Nothing to close."""

    def play(self, observer: CycleObserver, block: int) -> None:
        """All samples, in blocks whose memory is used again, as a driver's is."""
        buffer = np.empty((6, block), np.float32)
        for first in range(0, self.samples.shape[1] - block + 1, block):
            buffer[:] = self.samples[:, first : first + block]
            observer.take(Block(first, buffer))


@pytest.mark.parametrize(("hz", "cycles"), [(49.2, 10), (50.8, 10), (59.5, 12), (60.4, 12)])
@pytest.mark.parametrize("told_hz", [None, "nearest"])
def test_the_nominal_frequency_is_told_or_seen(hz: float, cycles: int, told_hz: str | None) -> None:
    """Without one the first 100 ms decide between 50 and 60 Hz."""
    results: list[CycleResult] = []
    nominal_hz = None if told_hz is None else {10: 50.0, 12: 60.0}[cycles]
    observer = CycleObserver("a", results.append, nominal_hz=nominal_hz)
    source = Source(12800, hz)
    observer.begin(source)
    source.play(observer, 320)
    found = [r.values for r in results if isinstance(r, TenTwelveCycle)]
    assert len(found) >= 5
    for values in found:
        assert values.cycles == cycles
        assert values.frequency_hz == pytest.approx(hz, rel=1e-6)
        assert 0 < values.start_ns - source.epoch_ns < 2e9


def test_a_reopened_source_begins_anew_and_the_loss_is_counted() -> None:
    """What was open is one dropped interval; nothing spans the two."""
    results: list[CycleResult] = []
    observer = CycleObserver("a", results.append, nominal_hz=50.0)
    for _ in range(3):
        source = Source(12800, 50.0, 2.5)
        observer.begin(source)
        source.play(observer, 1280)
    assert observer.dropped == 2
    assert not [r for r in results if isinstance(r, ShortAggregate)]
    assert len([r for r in results if isinstance(r, TenTwelveCycle)]) == 3 * 11


@pytest.mark.parametrize("nominal_hz", [None, 50.0])
def test_a_source_too_slow_is_named_once(
    nominal_hz: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """400 S/s give no values over cycles: the log says it, and blocks pass by."""
    results: list[CycleResult] = []
    observer = CycleObserver("hall 7", results.append, nominal_hz=nominal_hz)
    source = Source(400, 50.0)
    with caplog.at_level(logging.WARNING):
        observer.begin(source)
        source.play(observer, 40)
    assert results == []
    assert [record.getMessage() for record in caplog.records] == [
        "feed hall 7: no values over 10/12 cycles: sample_rate_hz 400 is not 1000 to 256000"
    ]


def test_without_a_voltage_the_nominal_frequency_is_awaited() -> None:
    """A dead line decides nothing; the first 100 ms with voltage do."""
    results: list[CycleResult] = []
    observer = CycleObserver("a", results.append)
    source = Source(12800, 60.0, 2.0)
    source.samples[:, : 12800 * 8 // 10] = 0
    observer.begin(source)
    source.play(observer, 1280)
    assert {r.values.cycles for r in results if isinstance(r, TenTwelveCycle)} == {12}


def test_a_free_clock_counts_once_it_is_measured() -> None:
    """Without UTC of its own a source gives nothing before its time is known, then true times."""
    results: list[CycleResult] = []
    observer = CycleObserver("a", results.append, nominal_hz=50.0)
    source = Source(12800, 50.0)
    utc_ns = source.epoch_ns
    source.epoch_ns = 0
    observer.begin(source)
    for first in range(0, 12800, 1280):
        observer.take(Block(first, source.samples[:, first : first + 1280], received_ns=1))
        if first == 2560:
            assert results == []
            observer.set_time(0, utc_ns, 12800 * 1.03)  # nothing runs so far off
        if first == 3840:
            assert results == []
            observer.set_time(0, utc_ns, 12800 * 1.0002)
    found = [r.values for r in results if isinstance(r, TenTwelveCycle)]
    assert len(found) == 2
    for values in found:
        assert values.frequency_hz == pytest.approx(50.01, abs=1e-4)
        assert 0.4 < (values.start_ns - utc_ns) * 1e-9 < 0.8
