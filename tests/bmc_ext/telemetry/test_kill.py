"""kill -9 of a recording process, and what its successor finds."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import bmc_ext
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from bmc_ext.telemetry.ring import Ring

SERVICE = Path(__file__).with_name("recording_service.py")
SECONDS = 2.6


def _record_and_kill(state_path: Path) -> dict[str, list[int]]:
    """Let the process record for a while and kill it; the windows that it had accepted."""
    root = str(Path(bmc_ext.__file__).parents[1])
    accepted: dict[str, list[int]] = {"a": [], "b": []}
    with subprocess.Popen(
        [sys.executable, str(SERVICE), str(state_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as process:
        assert process.stdout is not None
        end = math.inf
        for line in process.stdout:
            feed, window_id = line.split()
            accepted[feed].append(int(window_id))
            end = min(end, time.monotonic() + SECONDS)
            if time.monotonic() > end:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    return accepted


def _energies(windows: list[int]) -> tuple[float, float]:
    """Import and export in J of the closed form that the process records."""
    powers = [100.0 * (window_id % 7 - 2) for window_id in windows]
    return 0.1 * sum(p for p in powers if p > 0), -0.1 * sum(p for p in powers if p < 0)


@dataclass(frozen=True)
class Killed:
    """What two killed processes left: their state, what they had accepted and committed."""

    path: Path
    accepted: dict[str, list[int]]
    last_committed_s: int

    def recorded(self, feed: str) -> list[int]:
        """The windows in the feed's ring, in the order of writing."""
        ring = Ring(self.path / "ring" / f"{feed}.ring")
        windows: list[int] = ring.read()["window_id"].tolist()
        ring.close()
        return windows


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """What two lives on one state directory leave that both end in kill -9."""
    path = tmp_path_factory.mktemp("killed") / "state"
    first, second = _record_and_kill(path), _record_and_kill(path)
    accepted = {feed: first[feed] + second[feed] for feed in first}
    with contextlib.closing(sqlite3.connect(path / "history.sqlite")) as database:
        (last,) = database.execute("SELECT max(start_s) FROM second").fetchone()
    return Killed(path, accepted, last)


@pytest.fixture
def successor(killed: Killed, make_config: Callable[..., Config]) -> Iterator[Collector]:
    """A third life, not yet recording."""
    state = StateDirectory(killed.path)
    collector = Collector(make_config(waveforms=("a", "b")), None, state)
    yield collector
    collector.stop()
    state.close()


@pytest.mark.parametrize("feed", ["a", "b"])
def test_the_ring_holds_every_accepted_window(killed: Killed, feed: str) -> None:
    """After two kills every window that was accepted is in the ring, in order."""
    stored = killed.recorded(feed)
    assert set(killed.accepted[feed]) <= set(stored)
    # Either life may have written windows that it could no longer report, or that went unread.
    assert len(stored) <= len(killed.accepted[feed]) + 4
    assert stored == sorted(stored)


def test_the_database_alone_lacks_the_running_second_at_most(killed: Killed) -> None:
    """What was committed before the kill reaches to the last second that had ended."""
    killed_at_s = killed.accepted["a"][-1] / 10
    assert killed.last_committed_s + 1 >= killed_at_s - 1.35


@pytest.mark.parametrize("feed", ["a", "b"])
def test_energy_goes_on_from_the_last_window(
    killed: Killed, successor: Collector, feed: str
) -> None:
    """The successor's totals are the closed form over all windows that were recorded."""
    expected = _energies(killed.recorded(feed))
    assert successor.history.energies(feed) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("feed", ["a", "b"])
def test_registers_go_on_from_the_last_window(
    killed: Killed, successor: Collector, feed: str
) -> None:
    """Reactive energies and counted gaps too; between the two lives nothing was measured."""
    recorded = killed.recorded(feed)
    imported, exported = _energies(recorded)
    registers = successor.history.registers(feed)
    assert registers[:4] == pytest.approx((imported / 2, 0.0, exported / 2, 0.0), rel=1e-12)
    assert registers.missing_windows == recorded[-1] - recorded[0] + 1 - len(recorded)
    assert registers.missing_windows > 0
    assert registers.since_window == recorded[0]


@pytest.mark.parametrize("feed", ["a", "b"])
def test_history_is_whole_up_to_the_kill(killed: Killed, successor: Collector, feed: str) -> None:
    """Every second has as many windows as were recorded in it, the last one included."""
    expected: dict[int, int] = {}
    for window_id in killed.recorded(feed):
        expected[window_id // 10] = expected.get(window_id // 10, 0) + 1
    assert successor.history.commit(everything=True)
    rows = successor.history.query(feed, "1s", 0, 1 << 40, 999)
    assert {row.start_s: row.valid_windows for row in rows} == expected
    assert max(expected.values()) == 10
