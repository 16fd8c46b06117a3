"""Lost frames by their time stamps: found where they are, and not where stamps are only late."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.errors import TransportError
from drivers.waveforms.frame_times import HELD_BACK, LossFinder

INTERVAL_NS = 125_000


def found(stamps: np.ndarray, size: int) -> list[tuple[int, int]]:
    """(frame, lost before it) of a stream that comes in pieces of `size` frames."""
    finder = LossFinder(INTERVAL_NS, "device")
    losses = []
    for begin in range(0, len(stamps) - HELD_BACK, size):
        piece = stamps[begin : begin + size + HELD_BACK]
        count = len(piece) - HELD_BACK
        lost = finder.lost_before(piece, count)
        assert lost is not None
        losses += [(begin + int(k), int(lost[k])) for k in np.flatnonzero(lost)]
    return losses


@pytest.mark.parametrize("size", [1, 7, 64, 400])
@pytest.mark.parametrize("drift", [0.0, 200e-6, -200e-6, 0.01, -0.01])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lost_frames_are_found_where_they_are(size: int, drift: float, seed: int) -> None:
    """Losses of any length at any frame, with late stamps and a rate of the device's own."""
    rng = np.random.default_rng(seed)
    kept = np.ones(2000, bool)
    for begin, length in ((300, 1), (707, 2), (900, 250), (1500, 1), (1520, 3)):
        kept[begin : begin + length] = False
    true = np.flatnonzero(kept)
    late = np.where(rng.random(len(true)) < 0.1, rng.uniform(0, 3 * INTERVAL_NS, len(true)), 0)
    for k in np.flatnonzero(np.diff(true) > 1):
        late[k - 3 : k + 1] = 0  # of a frame that is late right before a loss it cannot be told
    stamps = (1_700_000_000_000_000_000 + true * INTERVAL_NS * (1 + drift) + late).astype(np.int64)
    stamps = np.maximum.accumulate(stamps) + np.arange(len(stamps))  # a clock never goes back
    steps = np.diff(true)
    expected = [(int(k) + 1, int(steps[k]) - 1) for k in np.flatnonzero(steps > 1)]
    measured = found(stamps, size)
    assert [frame for frame, _ in measured] == [frame for frame, _ in expected]
    for (_, lost), (_, length) in zip(measured, expected, strict=True):
        # How many are missing is measured in intervals of the stated rate.
        assert abs(lost - length) <= abs(drift) * length + 0.5


def test_late_stamps_alone_are_no_loss() -> None:
    """An interrupt that is held up for a few frames, again and again, loses nothing."""
    stamps = np.arange(3000) * INTERVAL_NS
    for begin in range(50, 2900, 100):
        held = stamps[begin] + 6 * INTERVAL_NS
        stamps[begin : begin + 6] = np.maximum(stamps[begin : begin + 6], held + np.arange(6))
    assert found(stamps.astype(np.int64), 100) == []


def test_a_clock_that_is_set_ends_the_run() -> None:
    """A step of hours either way is no loss of frames: the source is opened anew."""
    for step_ns in (3_600_000_000_000, -3_600_000_000_000):
        stamps = np.arange(200) * INTERVAL_NS + 10**18
        stamps[100:] += step_ns
        with pytest.raises(TransportError, match="time stamps step by"):
            found(stamps.astype(np.int64), 50)


def test_stamps_that_stand_still_find_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A driver that stamps a burst once cannot tell: that is said, and nothing is made up."""
    finder = LossFinder(INTERVAL_NS, "device")
    stamps = np.repeat(np.arange(10) * 10 * INTERVAL_NS, 10)
    assert finder.lost_before(stamps, 50) is None
    assert "share their time stamp" in caplog.text
