"""Many windows in one call read as each of them does alone, from arrays or from a ring."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from polyphase_waves import distorted, sampled, three_phase

from bmc_ext.sampling import (
    ANALYSIS_DTYPE,
    AnalysisBatch,
    ChannelCorrection,
    Flag,
    analyze,
    analyze_many,
)
from bmc_ext.sampling.sample_ring import SampleRing

RATE_HZ, SAMPLES, WINDOWS = 12800, 1280, 7


FREQUENCIES_HZ = np.random.default_rng(3).uniform(45, 65, WINDOWS)


def windows(rms: float, seed: int) -> NDArray[np.float32]:
    """Windows of different frequency, harmonics and angle."""
    rng = np.random.default_rng(seed)
    rows = [
        sampled(
            distorted(rng, three_phase(rms, rng.uniform(-1, 1)), highest=40, thd=0.05, dc=0.01),
            frequency_hz, RATE_HZ, SAMPLES, noise_db=80, rng=rng,
        ).samples
        for frequency_hz in FREQUENCIES_HZ
    ]  # fmt: skip
    return np.array(rows, np.float32)


VOLTAGE, CURRENT = windows(230, 1), windows(16, 2)


def assert_alike(batch: AnalysisBatch, voltage: Any, current: Any, **options: Any) -> None:
    """Each entry is what `analyze` says of that window."""
    assert len(batch) == len(voltage)
    for entry, v, i in zip(batch, voltage, current, strict=True):
        alone = analyze(np.ascontiguousarray(v), np.ascontiguousarray(i), RATE_HZ, **options)
        assert entry.to_dict() == alone.to_dict()


def test_each_window_reads_as_it_does_alone() -> None:
    """Order, options and corrections are those of single calls, bit by bit."""
    corrections = [ChannelCorrection(gain=1 + 0.01 * k, phase_rad=0.01) for k in range(6)]
    options = {"nominal_hz": 50.0, "skew_s": 1e-5, "corrections": corrections}
    batch = analyze_many(VOLTAGE, CURRENT, RATE_HZ, **options)
    assert_alike(batch, VOLTAGE, CURRENT, **options)


def test_an_entry_travels_as_the_cores_answer() -> None:
    """Pickled it reads the same, and is no longer than the core's, whatever was read of it."""
    (entry,) = analyze_many(VOLTAGE[:1], CURRENT[:1], RATE_HZ)
    told = entry.to_dict()
    pickled = pickle.dumps(entry)
    assert len(pickled) < ANALYSIS_DTYPE.itemsize + 100
    assert pickle.loads(pickled).to_dict() == told


def test_windows_may_stand_apart() -> None:
    """Voltages and currents of one array, and every other window of it, are read in place."""
    both = np.stack([VOLTAGE, CURRENT], axis=1)
    batch = analyze_many(both[::2, 0], both[::2, 1], RATE_HZ)
    assert_alike(batch, VOLTAGE[::2], CURRENT[::2])


def test_the_records_are_those_of_the_single_results() -> None:
    """Columns of the array hold the same numbers as the entries, phases beyond those given NaN."""
    batch = analyze_many(VOLTAGE[:, :2], CURRENT[:, :2], RATE_HZ)
    assert batch.array.dtype == ANALYSIS_DTYPE
    for number, entry in enumerate(batch):
        record = batch.array[number]
        assert record["frequency_hz"] == entry.frequency_hz
        assert record["total"]["p_w"] == entry.total.p_w
        assert record["phase"]["thd_i_percent"][1] == entry.phases[1].thd_i_percent
        np.testing.assert_array_equal(
            record["phase"]["v_harmonics_deg"][0], entry.phases[0].v_harmonics_deg
        )
        assert np.isnan(record["phase"]["v_rms"][2])
    with pytest.raises(ValueError, match="read-only"):
        batch.array["flags"][0] = 1
    assert batch[-1].frequency_hz == batch[WINDOWS - 1].frequency_hz
    assert [entry.flags for entry in batch[1:3]] == [batch[1].flags, batch[2].flags]
    with pytest.raises(IndexError):
        batch[WINDOWS]


def test_no_windows_are_an_empty_batch() -> None:
    """Nothing in, nothing out."""
    assert len(analyze_many(VOLTAGE[:0], CURRENT[:0], RATE_HZ)) == 0


@pytest.mark.parametrize(
    ("voltage", "text"),
    [
        (VOLTAGE[0], "shape"),
        (VOLTAGE.tolist(), "shape"),
        (VOLTAGE[:, :, ::2], "voltage is"),
        (VOLTAGE[::-1], "apart"),
        (np.broadcast_to(VOLTAGE[0], VOLTAGE.shape), "apart"),
        (VOLTAGE.swapaxes(0, 1).copy().swapaxes(0, 1), "C-contiguous"),
        (VOLTAGE.astype(np.int16), "dtype int16"),
    ],
)
def test_windows_that_do_not_fit_are_named(voltage: Any, text: str) -> None:
    """Wrong shapes, orders and kinds of numbers are told before anything is read."""
    with pytest.raises(ValueError, match=text):
        analyze_many(voltage, CURRENT, RATE_HZ)
    with pytest.raises(ValueError, match="sample rate"):
        analyze_many(VOLTAGE, CURRENT, 1.0)


def test_a_ring_gives_what_was_put_into_it() -> None:
    """Blocks of any size, of several sources by turns, read as the whole windows do."""
    ring = SampleRing(WINDOWS, SAMPLES, RATE_HZ)
    for start, end in ((0, 1), (1, 640), (640, 1279), (1279, 1280)):
        for source in range(WINDOWS):
            rows = np.stack([VOLTAGE[source], CURRENT[source]])[:, :, start:end]
            ring.put(source, 41, start, rows)
    assert_alike(ring.analyze(41), VOLTAGE, CURRENT)


def test_missing_samples_void_that_source_only() -> None:
    """A gap, a tail or a source that sent nothing is no number, nor an older window's one."""
    ring = SampleRing(4, SAMPLES, RATE_HZ)
    whole = np.stack([VOLTAGE[0], CURRENT[0]])
    for window_id in (0, 1):
        for source in range(4):
            ring.put(source, window_id, 0, whole)
    ring.put(0, 2, 0, whole)
    ring.put(1, 2, 0, whole[:, :, :700])
    ring.put(2, 2, 0, whole[:, :, :100])
    ring.put(2, 2, 101, whole[:, :, 101:])
    flags = ring.analyze(2).array["flags"]
    assert [Flag(int(value)) for value in flags] == [Flag(0), *[Flag.NOT_FINITE] * 3]
    ring.put(1, 2, 700, whole[:, :, 700:])
    assert ring.analyze(2)[1].flags == Flag(0)


def test_a_ring_forgets_and_says_so() -> None:
    """Windows that are overwritten, or not there yet, and samples beyond one are refused."""
    ring = SampleRing(1, SAMPLES, RATE_HZ)
    whole = np.stack([VOLTAGE[0], CURRENT[0]])
    for window_id in (0, 1, 2):
        ring.put(0, window_id, 0, whole)
    with pytest.raises(ValueError, match="window 0 is gone"):
        ring.put(0, 0, 0, whole)
    for window_id in (0, 4):
        with pytest.raises(ValueError, match="not in the ring"):
            ring.analyze(window_id)
    with pytest.raises(ValueError, match="samples 1 to 1281 of 1280"):
        ring.put(0, 2, 1, whole)
    with pytest.raises(ValueError, match="needs sources"):
        SampleRing(0, SAMPLES, RATE_HZ)
