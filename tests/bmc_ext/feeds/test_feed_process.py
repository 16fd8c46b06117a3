"""Feeds sampled in a process of their own: what comes from it, and what its end leaves."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import wait_for
from e2e.waveform_source import FREQUENCY_HZ, TRUE_W

from bmc_ext.clock import SystemClock
from bmc_ext.config import parse_config
from bmc_ext.errors import ConfigurationError, SamplingError
from bmc_ext.feeds.process import FeedProcess
from bmc_ext.feeds.samplers import FeedSamplers, FeedSettings
from bmc_ext.sampling.events import Event, EventKind
from bmc_ext.sampling.sampler import Window
from drivers.reading import Reading

SOURCE = Path(__file__).parents[2] / "e2e" / "waveform_source.py"
SERVICE = Path(__file__).with_name("sampling_service.py")


class Told:
    """A FeedSink that keeps what it is told; `window` raises for the feeds in `refused`."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self.changes: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[str | None, Event]] = []
        self.refused: set[str] = set()
        self.threads: set[int] = set()
        self.cuts = 0

    def window(self, window: Window) -> None:
        """A window."""
        self.threads.add(threading.get_ident())
        if window.feed_id in self.refused:
            raise RuntimeError("not this one")
        self.windows.append(window)

    def cycles(self, source_id: str, changes: Any) -> None:
        """Values over cycles."""
        self.changes.setdefault(source_id, {}).update(changes)

    def event(self, feed_id: str | None, event: Event) -> None:
        """An event."""
        self.events.append((feed_id, event))

    def lost(self, count: int) -> None:
        """None is to be lost."""
        raise AssertionError(f"{count} events were lost")

    def cut(self) -> None:
        """A process was lost."""
        self.cuts += 1

    def good(self, feed_id: str) -> list[Window]:
        """The feed's windows that could be analysed."""
        return [w for w in self.windows if w.feed_id == feed_id and w.analysis is not None]


def settings(feeds: list[dict[str, Any]], base: Path = Path()) -> FeedSettings:
    """Of these feeds; 30 kW are an event of the sum."""
    document = {
        "facility": {"id": "site", "rated_power_w": 1e6},
        "state_dir": ".",
        "feeds": [{"rated_power_w": 1e6, "nominal_hz": 50, **feed} for feed in feeds],
    }
    return FeedSettings(parse_config(document, base=base).feeds, 30e3, SystemClock())


def no_temperature(point: str) -> Reading:
    """There are no devices."""
    raise AssertionError(point)


@contextlib.contextmanager
def source(step: float = 1.0) -> Iterator[int]:
    """A stream of waveforms in a process of its own; its port."""
    command = [sys.executable, SOURCE, "0.0", "1.0", str(step)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def sampled(wanted: FeedSettings) -> Iterator[tuple[FeedProcess, Told]]:
    """The process at work, and what it tells."""
    told = Told()
    feeds = FeedProcess(wanted, told)
    feeds.start()
    try:
        yield feeds, told
    finally:
        feeds.stop()


def streams(port: int, *names: str) -> list[dict[str, Any]]:
    """Feeds of that source."""
    return [{"id": name, "waveform": {"type": "stream", "port": port}} for name in names]


def steps(told: Told) -> list[float]:
    """The changes of power that are over, in W."""
    over = [event for _, event in told.events if event.is_over]
    assert all(event.kind is EventKind.POWER_CHANGE for event in over)
    return [event.change_w for event in over if event.change_w is not None]


def is_there(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False


def test_windows_cycles_and_events_are_the_truth() -> None:
    """The source's power, frequency and step arrive whole, in order, from one thread."""
    with source(step=2.0) as port, sampled(settings(streams(port, "a", "b"))) as (feeds, told):
        wait_for(lambda: len(told.good("a")) > 45 and steps(told), 15, "4.5 s of windows")
        pid = feeds.pid
        assert pid is not None
        assert pid != os.getpid()
    assert not is_there(pid)
    for name in "ab":
        good = told.good(name)
        ids = [window.window_id for window in good]
        assert ids == sorted(ids)
        assert len(ids) > 40
        powers = sorted(w.analysis.total.p_w for w in good if w.analysis is not None)
        assert powers[2] == pytest.approx(TRUE_W, rel=1e-4)
        assert powers[-3] == pytest.approx(2 * TRUE_W, rel=1e-4)
        newest = told.changes[name]["ten_twelve"]
        assert newest.frequency_hz == pytest.approx(FREQUENCY_HZ, abs=1e-3)
        assert {"ten_twelve", "smoothed", "three_seconds"} <= told.changes[name].keys()
    assert {feed for feed, _ in told.events} == {None}, "only the sum passes the threshold"
    assert steps(told)[0] == pytest.approx(2 * TRUE_W, rel=0.02)
    assert len(told.threads) == 1


def test_stop_tells_everything_and_leaves_nothing() -> None:
    """The last window is hardly older than the stop; the process is gone, twice."""
    with source() as port:
        for _ in range(2):
            with sampled(settings(streams(port, "a"))) as (feeds, told):
                wait_for(lambda: told.good("a"), 15, "a window")
                pid = feeds.pid
                stopped_ns = time.time_ns()
            assert pid is not None
            assert not is_there(pid)
            assert told.windows[-1].start_ns > stopped_ns - 400_000_000


def test_a_killed_process_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and windows come again with the truth in them."""
    with source() as port, sampled(settings(streams(port, "a"))) as (feeds, told):
        wait_for(lambda: told.good("a"), 15, "a window")
        killed = feeds.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: feeds.pid not in (None, killed), 15, "another process")
        before = len(told.windows)
        wait_for(lambda: len(told.windows) > before + 3, 15, "windows")
        analysis = told.windows[-1].analysis
        assert analysis is not None
        assert analysis.total.p_w == pytest.approx(TRUE_W, rel=1e-4)
        assert told.cuts == 1
    assert "the sampling process ended with -9: it is started again" in caplog.text
    assert told.cuts == 1, "a stop is no loss"


def test_it_ends_with_a_service_that_is_killed(tmp_path: Path) -> None:
    """Nobody is left who samples for nobody."""
    with source() as port:
        service = subprocess.Popen(
            [sys.executable, SERVICE, str(port)], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        assert service.stdout is not None
        pid = int(service.stdout.readline())
        assert is_there(pid)
        service.kill()
        service.wait()
        wait_for(lambda: not is_there(pid), 10, "the process is gone")
        service.stdout.close()


def test_one_that_hangs_is_replaced_and_one_with_nothing_to_tell_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A process that is stopped is killed, and windows come again; without a source it is well."""
    with source() as gone:
        pass
    with (
        source() as port,
        sampled(settings(streams(gone, "b"))) as (quiet, unmeasured),
        sampled(settings(streams(port, "a"))) as (feeds, told),
    ):
        wait_for(lambda: told.good("a"), 15, "a window")
        well, hanging = quiet.pid, feeds.pid
        assert hanging is not None
        os.kill(hanging, signal.SIGSTOP)
        wait_for(lambda: feeds.pid not in (None, hanging), 60, "another process")
        before = len(told.good("a"))
        wait_for(lambda: len(told.good("a")) > before + 3, 15, "windows")
        assert quiet.pid == well
    assert unmeasured.windows == []
    assert not is_there(hanging)
    assert caplog.text.count("the sampling process is silent: it is killed") == 1


def test_one_that_dies_again_and_again_is_started_ever_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It neither takes a processor nor fills the log: what is said once is not said again."""
    with source() as port, sampled(settings(streams(port, "a"))) as (feeds, told):
        seen: list[float] = []
        for _ in range(4):
            before = len(told.windows)
            wait_for(lambda n=before: len(told.windows) > n, 30, "a window")
            pid = feeds.pid
            assert pid is not None
            seen.append(time.monotonic())
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda old=pid: feeds.pid not in (None, old), 30, "another")
        assert told.cuts == 4
        assert time.monotonic() - seen[-1] > 0.8, "0.1, 0.2, 0.4 and 0.8 s"
    assert caplog.text.count("it is started again") == 1


@pytest.mark.parametrize("pause_s", [0.0, 0.1, 0.3, 0.6])
def test_a_stop_while_it_begins_leaves_nothing(pause_s: float) -> None:
    """Whatever it is about then: nobody waits for it, and nobody is left."""
    with source() as port:
        feeds = FeedProcess(settings(streams(port, "a")), Told())
        feeds.start()
        first = feeds.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        second = wait_for(lambda: pid if (pid := feeds.pid) != first else None, 15, "another")
        time.sleep(pause_s)
        os.kill(second, signal.SIGSTOP)  # whether it samples already or not
        begun_s = time.monotonic()
        feeds.stop()
        if pause_s == 0.0:
            assert time.monotonic() - begun_s < 5, "10 s are for one that samples"
        assert feeds.pid is None
        assert not is_there(second)


def test_signals_for_all_processes_do_not_end_it() -> None:
    """Ctrl-C and a unit's end reach it too, and early: the service is to end it, not they."""
    with source() as port, sampled(settings(streams(port, "a"))) as (feeds, told):
        first = feeds.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        pid = wait_for(lambda: pid if (pid := feeds.pid) != first else None, 15, "another")
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        before = len(told.windows)
        wait_for(lambda: len(told.windows) > before + 3, 15, "windows")
        assert feeds.pid == pid


def test_a_source_that_cannot_be_is_refused_as_here(tmp_path: Path) -> None:
    """The same error, and no process."""
    waveform = {"type": "recording", "path": "gone.csv", "rate_hz": 12_800}
    (tmp_path / "gone.csv").touch()
    wanted = settings([{"id": "a", "waveform": waveform}], tmp_path)
    (tmp_path / "gone.csv").unlink()
    with pytest.raises(ConfigurationError) as here:
        FeedSamplers(wanted, Told(), no_temperature)
    with pytest.raises(ConfigurationError) as there:
        FeedProcess(wanted, Told()).start()
    assert str(there.value) == str(here.value)
    assert "gone.csv" in str(there.value)


def test_a_machine_that_cannot_start_it_says_why() -> None:
    """Nor does it leave anything open."""
    feeds = FeedProcess(settings(streams(9, "a")), Told())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open(encoding="ascii") as free:
        open_before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        # Two more are the ends of the socket pair: Popen's own pipe is the one that fails.
        resource.setrlimit(resource.RLIMIT_NOFILE, (free.fileno() + 3, hard))
        try:
            with pytest.raises(SamplingError, match="does not start: Too many open files"):
                feeds.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == open_before
    assert feeds.pid is None


def test_a_sink_that_raises_harms_no_other_feed(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the other feed's windows are taken."""
    with source() as port:
        told = Told()
        told.refused = {"a"}
        feeds = FeedProcess(settings(streams(port, "a", "b")), told)
        feeds.start()
        wait_for(lambda: len(told.good("b")) > 3, 15, "windows of the other")
        feeds.stop()
    assert told.good("a") == []
    assert "was not taken: window" in caplog.text


def test_its_lines_stand_in_the_service_s_log(caplog: pytest.LogCaptureFixture) -> None:
    """A source that is lost is named there."""
    with caplog.at_level(logging.WARNING), contextlib.ExitStack() as stack:
        port = stack.enter_context(source())
        with sampled(settings(streams(port, "lonely"))) as (_, told):
            wait_for(lambda: told.good("lonely"), 15, "a window")
            stack.close()
            wait_for(lambda: "feed lonely: waveform stream" in caplog.text, 15, "the line")


def test_without_a_process_it_stops_at_once() -> None:
    """A stop between a loss and the next start."""
    with source() as port:
        feeds = FeedProcess(settings(streams(port, "a")), Told())
        feeds.start()
        assert feeds.pid is not None
        os.kill(feeds.pid, signal.SIGKILL)
        feeds.stop()
        assert feeds.pid is None or not is_there(feeds.pid)
