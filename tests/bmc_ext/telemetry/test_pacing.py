"""When a window's snapshot is due, over steps of the clock."""

from __future__ import annotations

import pytest

from bmc_ext.telemetry.pacing import Pacing

WINDOW_NS = 100_000_000
BASE = 17_726_193_300


def _at(windows: float) -> int:
    return BASE * WINDOW_NS + round(windows * WINDOW_NS)


def test_a_complete_window_is_due_at_once() -> None:
    """As soon as the last feed has delivered there is nothing to wait for."""
    pacing = Pacing(_at(0.3))
    assert pacing.next_window == BASE
    assert pacing.pause_s(_at(1.01), awaited=True, complete=True) == 0.0


def test_a_late_feed_is_waited_for_80_ms() -> None:
    """A window with a feed outstanding is due 80 ms after its end, so an answer is ≤ 100 ms old."""
    pacing = Pacing(_at(0.3))
    assert pacing.pause_s(_at(1.0), awaited=True, complete=False) == pytest.approx(0.08)
    assert pacing.pause_s(_at(1.8), awaited=True, complete=False) == 0.0


def test_without_waveforms_the_tick_is_on_the_grid() -> None:
    """When no feed is awaited the snapshot is due at the window's end."""
    pacing = Pacing(_at(0.3))
    assert pacing.pause_s(_at(0.3), awaited=False, complete=True) == pytest.approx(0.07)
    assert pacing.pause_s(_at(1.0), awaited=False, complete=True) == 0.0


def test_a_small_lag_is_caught_up() -> None:
    """Up to a second behind, no window is left out; windows follow each other."""
    pacing = Pacing(_at(0.0))
    assert pacing.follow(_at(10.0)) is None
    pacing.advance()
    assert pacing.next_window == BASE + 1


def test_a_small_step_back_is_waited_out() -> None:
    """A clock set back by up to a second makes the tick wait: window ids never go backwards."""
    pacing = Pacing(_at(10.0))
    assert pacing.follow(_at(0.5)) is None
    assert pacing.next_window == BASE + 10
    assert pacing.pause_s(_at(0.5), awaited=False, complete=True) == pytest.approx(1.05)


@pytest.mark.parametrize(("windows", "said"), [(-36_000, "back"), (36_000, "ahead")])
def test_a_large_step_is_followed(windows: int, said: str) -> None:
    """A clock that is set by an hour is followed at once, and that is said."""
    pacing = Pacing(_at(0.0))
    assert pacing.follow(_at(windows)) == f"went 3600.0 s {said}"
    assert pacing.next_window == BASE + windows
    assert pacing.follow(_at(windows)) is None
