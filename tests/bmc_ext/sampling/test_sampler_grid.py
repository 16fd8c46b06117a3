"""Windows on the UTC grid: which samples belong where, gaps, odd rates and flags."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bmc_ext.clock import WINDOW_NS
from bmc_ext.sampling.grid import CutWindow, SteeredGrid, WindowCutter, WindowGrid
from drivers.waveforms.block import Block

EPOCH_NS = 1_772_619_330_100_000_000  # on a 100 ms boundary


def ramp(first: int, count: int, flags: frozenset[str] = frozenset()) -> Block:
    """Two channels whose samples carry their own index."""
    index = np.arange(first, first + count, dtype=np.float64)
    return Block(first, np.vstack((index, -index)), flags)


def cut_all(cutter: WindowCutter, blocks: list[Block]) -> list[CutWindow]:
    """Every window of the blocks, with its samples copied out of the cutter's buffer."""
    windows = []
    for block in blocks:
        for window in cutter.cut(block):
            samples = None if window.samples is None else window.samples.copy()
            windows.append(replace(window, samples=samples))
    return windows


@pytest.mark.parametrize("rate", [4800.0, 4096.0, 5760.0, 14_400.0, 4799.973, 51_200.0])
@pytest.mark.parametrize("epoch_ns", [EPOCH_NS, EPOCH_NS + 37_123_457])
def test_every_sample_lies_in_its_window(rate: float, epoch_ns: int) -> None:
    """A window's first sample is the first at or after its start, in exact arithmetic."""
    grid = WindowGrid(rate, epoch_ns)
    for window_id in range(epoch_ns // WINDOW_NS, epoch_ns // WINDOW_NS + 50):
        first = grid.first_index(window_id)
        start = Fraction(window_id * WINDOW_NS)
        assert epoch_ns + first * 10**9 / Fraction(rate) >= start
        assert epoch_ns + (first - 1) * 10**9 / Fraction(rate) < start
        assert grid.window_of(first) == window_id
        assert grid.window_of(first - 1) == window_id - 1


def test_a_day_of_an_odd_rate_does_not_drift() -> None:
    """4096 Hz alternates between 409 and 410 samples and holds 4096 of them in each second."""
    grid = WindowGrid(4096.0, EPOCH_NS)
    first = EPOCH_NS // WINDOW_NS
    sizes = {grid.first_index(k + 1) - grid.first_index(k) for k in range(first, first + 1000)}
    assert sizes == {409, 410}
    assert grid.first_index(first + 864_000) == 4096 * 86_400


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    """A grid needs a positive, finite rate."""
    with pytest.raises(ValueError, match="sample_rate_hz"):
        WindowGrid(rate, EPOCH_NS)


def test_an_impossible_window_is_refused() -> None:
    """A grid needs a positive window."""
    with pytest.raises(ValueError, match="window_ns"):
        WindowGrid(4800.0, EPOCH_NS, 0)


@pytest.mark.parametrize("size", [1, 7, 48, 480, 481, 1500])
@pytest.mark.parametrize("rate", [4800.0, 4096.0])
def test_blocks_of_any_size_give_the_same_windows(size: int, rate: float) -> None:
    """Windows hold their own samples in order, however the source cuts its blocks."""
    grid = WindowGrid(rate, EPOCH_NS)
    blocks = [ramp(first, min(size, 3000 - first)) for first in range(0, 3000, size)]
    windows = cut_all(WindowCutter(grid), blocks)
    assert [w.window_id - EPOCH_NS // WINDOW_NS for w in windows] == list(range(len(windows)))
    assert len(windows) == int(3000 / rate * 10)
    for window in windows:
        first = grid.first_index(window.window_id)
        assert window.samples is not None
        assert window.samples.flags.c_contiguous
        assert np.array_equal(window.samples[0], np.arange(first, first + window.expected))
        assert np.array_equal(window.samples[1], -window.samples[0])
        assert window.count == window.expected
        assert window.flags == ()


def test_a_start_within_a_window_waits_for_the_next() -> None:
    """The first window is the first that is whole from its start."""
    windows = cut_all(WindowCutter(WindowGrid(4800.0, EPOCH_NS)), [ramp(5, 1500)])
    assert [w.window_id - EPOCH_NS // WINDOW_NS for w in windows] == [1, 2]
    shifted = cut_all(WindowCutter(WindowGrid(4800.0, EPOCH_NS + 300_000)), [ramp(0, 1500)])
    assert [w.window_id - EPOCH_NS // WINDOW_NS for w in shifted] == [1, 2]


def test_a_gap_tears_its_window_and_shifts_none() -> None:
    """Lost samples mark their window with the samples it has; the next windows are untouched."""
    grid = WindowGrid(4800.0, EPOCH_NS)
    windows = cut_all(WindowCutter(grid), [ramp(0, 600), ramp(650, 790), ramp(1440, 480)])
    assert [(w.window_id - EPOCH_NS // WINDOW_NS, w.count, w.flags) for w in windows] == [
        (0, 480, ()),
        (1, 430, ("gap",)),
        (2, 480, ()),
        (3, 480, ()),
    ]
    assert windows[1].samples is None
    assert windows[1].expected == 480
    assert windows[2].samples is not None
    assert windows[2].samples[0, 0] == 960


def test_windows_without_any_sample_do_not_come() -> None:
    """A gap of whole windows leaves them out, tears its edges and keeps the grid."""
    windows = cut_all(WindowCutter(WindowGrid(4800.0, EPOCH_NS)), [ramp(0, 500), ramp(2000, 880)])
    assert [(w.window_id - EPOCH_NS // WINDOW_NS, w.count) for w in windows] == [
        (0, 480),
        (1, 20),
        (4, 400),
        (5, 480),
    ]


def test_repeated_samples_count_once() -> None:
    """A block that overlaps what came before adds only what is new."""
    cutter = WindowCutter(WindowGrid(4800.0, EPOCH_NS))
    windows = cut_all(cutter, [ramp(0, 300), ramp(100, 380), ramp(0, 480), ramp(480, 480)])
    assert [w.count for w in windows] == [480, 480]


def test_flags_mark_the_windows_their_samples_are_in() -> None:
    """A block's flag marks each window that it touches and no other."""
    seam = frozenset({"seam"})
    blocks = [ramp(0, 480), ramp(480, 200), ramp(680, 10, seam), ramp(690, 270), ramp(960, 480)]
    windows = cut_all(WindowCutter(WindowGrid(4800.0, EPOCH_NS)), blocks)
    assert [w.flags for w in windows] == [(), ("seam",), ()]


def test_flush_gives_the_begun_window_once() -> None:
    """When the source is lost, the window that was begun comes torn, once."""
    cutter = WindowCutter(WindowGrid(4800.0, EPOCH_NS))
    assert list(cutter.flush()) == []
    list(cutter.cut(ramp(0, 500)))
    assert [(w.count, w.expected, w.flags) for w in cutter.flush()] == [(20, 480, ("gap",))]
    assert list(cutter.flush()) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_grid_that_is_bent_keeps_every_sample(seed: int) -> None:
    """Whatever the bends at boundaries, windows follow each other and no sample is lost."""
    chance = np.random.default_rng(seed)
    grid = SteeredGrid(0, EPOCH_NS, 10e6)
    cutter = WindowCutter(grid)
    windows, first = [], 0
    for size in chance.integers(1, 25, 4000).tolist():
        windows += cut_all(cutter, [ramp(first, size)])
        first += size
        boundary = cutter.boundary
        assert boundary is not None
        before_ns = grid.time_ns(boundary)
        grid.bend(boundary, 10e6 * (1.0 + chance.uniform(-0.08, 0.08)))
        assert grid.time_ns(boundary) == before_ns
    ids = [window.window_id for window in windows]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(window.count == window.expected for window in windows)
    cut = np.concatenate([window.samples[0] for window in windows if window.samples is not None])
    assert np.all(np.diff(cut) == 1.0)
    assert all(
        window.samples is not None and window.first_index == window.samples[0, 0]
        for window in windows
    )
