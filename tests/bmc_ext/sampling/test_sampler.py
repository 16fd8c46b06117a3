"""Samplers over real TCP streams and recordings: the grid, gaps, lost peers and stepping clocks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from waveform_generator import ANGLE, MEAN_POWER_W, Generator, Windows, eventually, three_phases

from bmc_ext.clock import WINDOW_NS
from bmc_ext.sampling.sampler import Sampler, Window
from drivers.errors import TransportError
from drivers.waveforms.block import Block, WaveformSource
from drivers.waveforms.recording_file import read_recording
from drivers.waveforms.replay import RecordingReplay
from drivers.waveforms.stream import StreamSource


@pytest.fixture
def running() -> Iterator[Callable[[Sampler], Sampler]]:
    """Start samplers; all are stopped at the end."""
    started: list[Sampler] = []

    def start(sampler: Sampler) -> Sampler:
        sampler.start()
        started.append(sampler)
        return sampler

    yield start
    for sampler in started:
        sampler.stop()


Start = Callable[[Sampler], Sampler]


def test_a_stream_becomes_windows_on_the_grid(running: Start) -> None:
    """Windows follow each other on the UTC grid, whole, in time, with the power that was sent."""
    windows = Windows()
    with Generator() as generator:
        source = StreamSource("127.0.0.1", generator.port)
        sampler = running(Sampler("feed_1", source, windows, nominal_hz=50.0))
        seen = windows.wait(8)
        assert sampler.connected
        sampler.stop()
    assert not sampler.connected
    ids = [window.window_id for window in seen]
    assert ids == list(range(ids[0], ids[0] + 8))
    for window in seen:
        assert window.feed_id == "feed_1"
        assert window.start_ns == window.window_id * WINDOW_NS
        assert window.phases == 3
        assert (window.samples, window.expected, window.flags) == (1280, 1280, ())
        assert window.analysis is not None
        assert [phase.p_mean_w for phase in window.analysis.phases] == pytest.approx(
            [MEAN_POWER_W] * 3, rel=1e-4
        )
    lateness_s = [(at - window.start_ns - WINDOW_NS) * 1e-9 for at, window in windows.seen[:8]]
    # A block is 50 ms and does not end on the grid: a window is complete up to 50 ms after its end.
    assert min(lateness_s) >= 0.0
    assert sorted(lateness_s)[4] < 0.2
    assert sampler.windows_delivered >= 8
    assert sampler.windows_missed == 0


def test_a_rate_that_does_not_divide_stays_on_the_grid(running: Start) -> None:
    """4096 Hz gives windows of 409 or 410 samples, one after the other."""
    windows = Windows()
    with Generator(rate_hz=4096.0, block=100) as generator:
        running(Sampler("feed_1", StreamSource("127.0.0.1", generator.port), windows))
        seen = windows.wait(12)
    ids = [window.window_id for window in seen]
    assert ids == list(range(ids[0], ids[0] + 12))
    assert {window.samples for window in seen} == {409, 410}
    assert all(window.samples == window.expected for window in seen)
    assert sum(window.samples for window in seen[:10]) == 4096


def test_lost_samples_mark_their_window_and_shift_none(running: Start) -> None:
    """A window that misses samples has no analysis; its neighbours have theirs, at their time."""
    windows = Windows()
    with Generator() as generator:
        generator.lose = range(5120, 5760)
        sampler = running(Sampler("feed_1", StreamSource("127.0.0.1", generator.port), windows))
        seen = windows.wait(9)
        missed = sampler.windows_missed
    torn = [window for window in seen if "gap" in window.flags]
    assert torn
    assert sum(window.expected - window.samples for window in torn) == 640
    assert all(window.analysis is None for window in torn)
    whole = [window for window in seen if window not in torn]
    assert all(window.analysis is not None and window.flags == () for window in whole)
    ids = [window.window_id for window in seen]
    assert ids == list(range(ids[0], ids[0] + 9))
    assert missed == len(torn)


def test_a_lost_peer_is_opened_again(running: Start) -> None:
    """A stream that hangs up leaves a torn window, comes back within a second, and is counted."""
    windows = Windows()
    with Generator() as generator:
        sampler = running(Sampler("feed_1", StreamSource("127.0.0.1", generator.port), windows))
        windows.wait(3)
        generator.hang_up.set()
        assert eventually(lambda: generator.connections == 2, 2.0)
        before = len(windows.seen)
        seen = windows.wait(before + 4)
        sampler.stop()
    ids = [window.window_id for window in seen]
    assert ids == sorted(set(ids))
    lost = ids[-1] - ids[0] + 1 - sum(window.analysis is not None for window in seen)
    assert lost >= 1
    assert sampler.windows_missed == lost
    assert any("gap" in window.flags for window in seen)


def test_a_generator_that_starts_late_is_found(running: Start) -> None:
    """A sampler whose peer is not there yet is not connected, and then is."""
    windows = Windows()
    generator = Generator(start_index=12_345)
    port = generator.port
    # Nobody accepts yet: the connection opens in the backlog, but no greeting comes.
    sampler = running(Sampler("feed_1", StreamSource("127.0.0.1", port), windows))
    time.sleep(0.2)
    assert not sampler.connected
    with generator:
        windows.wait(2)
        assert sampler.connected


def write_recording(folder: Path, count: int, rate_hz: int = 4800) -> Path:
    """A single-phase ASCII COMTRADE recording by hand: 230 V, 10 A, in phase, 50 Hz."""
    lines = ["S,1,1999", "2,2A,0D"]
    lines += ["1,VA,A,F,V,0.01,0,0,-99998,99998,1,1,P", "2,IA,A,F,A,0.001,0,0,-99998,99998,1,1,P"]
    lines += ["50", "1", f"{rate_hz},{count}", "01/01/2026,00:00:00.0", "01/01/2026,00:00:00.0"]
    (folder / "r.cfg").write_text("\n".join([*lines, "ASCII", "1", ""]))
    rows = []
    for i in range(count):
        wave = math.sqrt(2) * math.cos(2 * math.pi * 50 * i / rate_hz)
        rows.append(f"{i + 1},,{round(230 * wave / 0.01)},{round(10 * wave / 0.001)}")
    (folder / "r.dat").write_text("\n".join(rows) + "\n")
    return folder / "r.cfg"


def test_a_recording_is_replayed_at_true_speed_with_its_seam(
    tmp_path: Path, running: Start
) -> None:
    """Windows of a looped recording come every 100 ms and the one with the seam says so."""
    windows = Windows()
    source = RecordingReplay(read_recording(write_recording(tmp_path, count=480 * 3 + 96 * 2)))
    running(Sampler("feed_1", source, windows, nominal_hz=50.0))
    seen = windows.wait(7)
    ids = [window.window_id for window in seen]
    assert ids == list(range(ids[0], ids[0] + 7))
    # 3.4 windows long: the repetitions begin within windows 3 and 6.
    assert ["seam" in window.flags for window in seen] == [False] * 3 + [True, False, False, True]
    for at, window in windows.seen[:7]:
        assert 0.0 <= (at - window.start_ns - WINDOW_NS) * 1e-9 < 0.2
        assert window.analysis is not None
        assert window.analysis.phases[0].v_rms == pytest.approx(230.0, rel=1e-3)
        assert window.analysis.phases[0].p_mean_w == pytest.approx(2300.0, rel=1e-3)


class ScriptedSource:
    """A source whose blocks, or failures to open, are given beforehand; then it is quiet."""

    phases = 1
    skew_s = (0.0,)

    def __init__(self, *blocks: Block | None, rate_hz: float = 4800.0, failures: int = 0) -> None:
        self.sample_rate_hz = rate_hz
        self.epoch_ns = 0
        self.opened: list[float] = []
        self._failures = failures
        self._blocks = blocks
        self._left: list[Block | None] = []

    def open(self) -> None:
        """Begin the script anew."""
        self.opened.append(time.monotonic())
        if len(self.opened) <= self._failures:
            raise TransportError("nobody there")
        self._left = list(self._blocks)

    def read(self, timeout_s: float) -> Block | None:
        """The next block."""
        if self._left:
            return self._left.pop(0)
        time.sleep(min(timeout_s, 0.01))
        return None

    def close(self) -> None:
        """Nothing to do."""


def whole_window(number: int, rate: int = 4800) -> Block:
    """Window `number` of a source with epoch 0."""
    count = rate // 10
    return Block(number * count, np.ascontiguousarray(three_phases(rate, 0, count)[[0, 3]]))


def test_a_peer_that_is_away_is_tried_less_and_less_but_every_second(running: Start) -> None:
    """Attempts are 0.1, 0.2, 0.4, 0.8, 1, 1, … s apart."""
    source = ScriptedSource(failures=100)
    sampler = running(Sampler("feed_1", source, Windows()))
    assert eventually(lambda: len(source.opened) == 7)
    assert not sampler.connected
    pauses = np.diff(source.opened[:7])
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0], abs=0.15)


def test_late_current_samples_are_corrected(running: Start) -> None:
    """The skew that a source declares turns the current, and with it the power, back."""
    windows = Windows()
    source = ScriptedSource(whole_window(0))
    source.skew_s = (100e-6,)
    running(Sampler("feed_1", source, windows))
    (window,) = windows.wait(1)
    assert window.analysis is not None
    turned_rad = ANGLE + 2 * math.pi * 50 * 100e-6
    cosines = [math.cos(ANGLE + sign * 2 * math.pi * 50 * 100e-6) for sign in (-1, 1)]
    assert window.analysis.phases[0].pf == pytest.approx(cosines[1], abs=1e-5)
    assert window.analysis.phases[0].phi1_deg == pytest.approx(math.degrees(turned_rad), abs=1e-3)


class SteppingClock:
    """A clock that a test sets."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def unix_ns(self) -> int:
        """UTC in ns."""
        return self.now_ns

    def monotonic_s(self) -> float:
        """Seconds."""
        return self.now_ns * 1e-9

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * 1e9)


def test_a_clock_that_steps_opens_the_source_again(
    running: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """When the system clock is set, the source is asked for its time anew; a lag does not."""
    clock = SteppingClock(WINDOW_NS)
    steps = iter([0, 50_000_000, 900_000_000, 3600 * 10**9])

    def emit(window: Window) -> None:
        clock.now_ns = (window.window_id + 1) * WINDOW_NS + next(steps, 0)

    source = ScriptedSource(*(whole_window(number) for number in range(4)))
    running(Sampler("feed_1", source, emit, clock=clock))
    assert eventually(lambda: len(source.opened) == 2)
    assert "moved by 3600.0 s against the system clock" in caplog.text


def test_a_consumer_that_fails_does_not_end_the_measurement(
    running: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of the consumer is logged and the next window comes."""
    taken: list[int] = []

    def emit(window: Window) -> None:
        if window.window_id == 0:
            raise RuntimeError("no room")
        taken.append(window.window_id)

    source = ScriptedSource(whole_window(0), None, whole_window(1))
    sampler = running(Sampler("feed_1", source, emit))
    assert eventually(lambda: taken == [1])
    assert sampler.windows_delivered == 2
    assert "window 0 was not taken" in caplog.text


def test_a_window_that_cannot_be_analysed_says_so(running: Start) -> None:
    """A rate far below any power measurement gives windows without analysis, flagged."""
    windows = Windows()
    running(Sampler("feed_1", ScriptedSource(whole_window(0, 50), rate_hz=50.0), windows))
    (window,) = windows.wait(1)
    assert window.analysis is None
    assert window.flags == ("unusable",)


def test_a_sampler_starts_once_and_stops_twice() -> None:
    """Starting a running sampler is an error; stopping a stopped one is not; it can start again."""
    windows = Windows()
    sampler = Sampler("feed_1", ScriptedSource(whole_window(0)), windows)
    sampler.start()
    with pytest.raises(RuntimeError, match="feed_1 runs already"):
        sampler.start()
    windows.wait(1)
    begun = time.monotonic()
    sampler.stop()
    sampler.stop()
    assert time.monotonic() - begun < 5
    sampler.start()
    windows.wait(2)
    sampler.stop()


class Witness:
    """An observer that keeps what it saw, and fails once."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.indices: list[int] = []

    def begin(self, source: WaveformSource) -> None:
        """Note the rate."""
        self.begun.append(source.sample_rate_hz)

    def take(self, block: Block) -> None:
        """Note the block; the first one is too much."""
        self.indices.append(block.first_index)
        if len(self.indices) == 1:
            raise RuntimeError("no appetite")


def test_an_observer_sees_every_block_and_may_fail() -> None:
    """Blocks reach it before they are cut, and its failure costs no window."""
    windows, witness = Windows(), Witness()
    sampler = Sampler(
        "feed_1", ScriptedSource(whole_window(0), whole_window(1)), windows, observers=[witness]
    )
    sampler.start()
    try:
        assert [window.window_id for window in windows.wait(2)] == [0, 1]
    finally:
        sampler.stop()
    assert witness.begun == [4800.0]
    assert witness.indices == [0, 480]
