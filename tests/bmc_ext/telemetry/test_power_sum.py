"""The sum of feeds whose powers come in any order, from threads, with feeds that come and go."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from bmc_ext.sampling.events import Event, PowerSeries
from bmc_ext.telemetry.power_sum import LATE_MS, PowerSum

START_MS = 1_772_619_300_000
STEP_MS = START_MS + 2500


def powers(first_ms: int, count: int, before_w: float, after_w: float) -> PowerSeries:
    """A mean over 10 ms of a power that steps at STEP_MS."""
    ms = np.arange(first_ms, first_ms + count)
    share = np.clip((ms - STEP_MS) / 10, 0, 1)
    return PowerSeries(first_ms, before_w + (after_w - before_w) * share)


def make(feeds: str = "abc") -> PowerSum:
    """A sum of these feeds that watches for 50 MW."""
    return PowerSum(feeds, threshold_w=50e6, nominal_hz=50)


def test_a_step_over_several_feeds_is_one_event() -> None:
    """20 MW in each of three feeds, whose blocks differ in length and come late: 60 MW, once."""
    total = make()
    events: list[Event] = []
    done = dict.fromkeys("abc", START_MS)
    sizes = {"a": 5, "b": 50, "c": 100}
    while min(done.values()) < START_MS + 5000:
        for feed in "abc":
            if done[feed] <= min(done.values()) + 100:
                events += total.add(feed, powers(done[feed], sizes[feed], 10e6, 30e6))
                done[feed] += sizes[feed]
    assert [event.is_over for event in events] == [False, True]
    assert events[0].onset_ns == pytest.approx(STEP_MS * 10**6, abs=600_000)
    assert events[1].change_w == pytest.approx(60e6, rel=1e-3)


def test_opposite_steps_cancel() -> None:
    """A load that moves from one feed to another changes nothing at the grid."""
    total = make("ab")
    for first_ms in range(START_MS, START_MS + 5000, 50):
        assert total.add("a", powers(first_ms, 50, 10e6, 100e6)) == []
        assert total.add("b", powers(first_ms, 50, 100e6, 10e6)) == []


def test_a_feed_that_is_silent_holds_up_nothing_for_long() -> None:
    """Half a second after the last of its powers the others are summed without it, and back again.

    Neither its leaving nor its coming is a step, and a true step in between is seen.
    """
    total = make("ab")
    events: list[Event] = []
    for first_ms in range(START_MS, START_MS + 9000, 50):
        events += total.add("a", powers(first_ms, 50, 10e6, 70e6))
        if not START_MS + 1000 <= first_ms < START_MS + 5000:
            events += total.add("b", powers(first_ms, 50, 200e6, 200e6))
    assert [event.is_over for event in events] == [False, True]
    assert events[0].onset_ns == pytest.approx(STEP_MS * 10**6, abs=600_000)
    assert LATE_MS == 500


def test_a_gap_in_one_feed_is_no_step() -> None:
    """Lost samples begin the search anew."""
    total = make("ab")
    for first_ms in range(START_MS, START_MS + 5000, 50):
        if first_ms != STEP_MS:
            assert total.add("a", powers(first_ms, 50, 10e6, 70e6)) == []
        assert total.add("b", powers(first_ms, 50, 20e6, 20e6)) == []


def test_a_source_that_is_set_back_begins_anew() -> None:
    """Powers of an earlier time are taken from there on; an event that went on is cut."""
    total = make("a")
    events = total.add("a", powers(STEP_MS - 500, 520, 10e6, 90e6))
    assert [event.is_over for event in events] == [False]
    events = total.add("a", powers(STEP_MS - 100_000, 500, 10e6, 10e6))
    assert [(event.is_over, event.is_cut, event.number) for event in events] == [(True, True, 1)]
    later = total.add("a", PowerSeries(STEP_MS - 99_500, np.full(300, 90e6)))
    assert [event.number for event in later] == [2, 2]


def test_threads_may_bring_their_powers_at_once() -> None:
    """Every millisecond is summed once, by whoever brings its last part."""
    total = make("abcd")
    found: list[Event] = []

    def bring(feed: str) -> None:
        for first_ms in range(START_MS, START_MS + 5000, 5):
            found.extend(total.add(feed, powers(first_ms, 5, 10e6, 30e6)))
            barrier.wait(10)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=bring, args=(feed,)) for feed in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [event.is_over for event in found] == [False, True]
    assert found[1].change_w == pytest.approx(80e6, rel=1e-3)
