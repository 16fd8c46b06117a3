"""Replayed recordings: true speed on the 100 ms grid, seams, and no bursts."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from drivers.waveforms.recording_file import read_recording
from drivers.waveforms.replay import RecordingReplay
from tests.drivers.waveforms.test_comtrade_file import COUNT, write_recording


class FakeTime:
    """A clock that only moves when someone sleeps on it."""

    def __init__(self, start_ns: int) -> None:
        self.now_ns = start_ns

    def wall_ns(self) -> int:
        """UTC in ns."""
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * 1e9)


def replay_of(path: Path, fake: FakeTime, *, loop: bool = True) -> RecordingReplay:
    """A replay on that clock, opened."""
    replay = RecordingReplay(
        read_recording(path),
        loop,
        wall_ns=fake.wall_ns,
        monotonic_ns=fake.wall_ns,
        sleep=fake.sleep,
    )
    replay.open()
    return replay


def test_replay_begins_on_the_grid_and_keeps_true_speed(tmp_path: Path) -> None:
    """Sample 0 is on the next 100 ms boundary; each window comes when it has passed."""
    fake = FakeTime(1_772_619_330_123_456_789)
    replay = replay_of(write_recording(tmp_path), fake)
    assert replay.epoch_ns == 1_772_619_330_200_000_000
    assert replay.phases == 1
    for number in range(20):
        while (block := replay.read(0.03)) is None:
            assert fake.now_ns < replay.epoch_ns + (number + 1) * 100_000_000
        assert block.first_index == number * 100
        assert block.samples.shape == (2, 100)
        late_ns = fake.now_ns - (replay.epoch_ns + (number + 1) * 100_000_000)
        assert 0 <= late_ns < 2
    replay.close()


def test_replay_repeats_seamlessly_and_flags_the_seam(tmp_path: Path) -> None:
    """The window that holds the first sample of a repetition is flagged, and only that one."""
    fake = FakeTime(0)
    replay = replay_of(write_recording(tmp_path), fake)
    original = replay.recording.waveforms
    seams = []
    for number in range(11):
        block = replay.read(1.0)
        assert block is not None
        wanted = np.arange(block.first_index, block.first_index + 100) % COUNT
        assert np.array_equal(block.samples, original[:, wanted])
        if block.flags:
            assert block.flags == {"seam"}
            seams.append(number)
    # 250 samples in windows of 100: repetitions begin at 250, 500, 750, 1000.
    assert seams == [2, 5, 7, 10]


def test_replay_without_loop_falls_silent(tmp_path: Path) -> None:
    """After the last whole window nothing comes, and time still passes."""
    fake = FakeTime(0)
    replay = replay_of(write_recording(tmp_path), fake, loop=False)
    assert [replay.read(1.0) is None for _ in range(5)] == [False, False, True, True, True]
    assert fake.now_ns >= 3 * 10**9


def test_replay_that_slept_jumps_ahead(tmp_path: Path) -> None:
    """After a long pause the missed windows are a jump of the index, not a burst."""
    fake = FakeTime(0)
    replay = replay_of(write_recording(tmp_path), fake)
    assert replay.read(1.0) is not None
    fake.sleep(10.0)
    block = replay.read(1.0)
    assert block is not None
    assert block.first_index == 10_000
    following = replay.read(1.0)
    assert following is not None
    assert following.first_index == 10_100
    assert abs(fake.now_ns - (replay.epoch_ns + 10_200_000_000)) < 2
