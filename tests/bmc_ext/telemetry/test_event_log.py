"""The log of events: over restarts, torn records, a flood, and who is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bmc_ext.errors import StateError
from bmc_ext.sampling.events import Event, EventKind
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.event_log import CAPACITY, EventLog, LoggedEvent


def change(number: int, *, is_over: bool = False, is_cut: bool = False) -> Event:
    """A change of power of 60 MW that was detected in second `number`."""
    return Event(
        number=number,
        kind=EventKind.POWER_CHANGE,
        is_over=is_over,
        is_cut=is_cut,
        phases=(),
        onset_ns=number * 10**9 - 7_000_123,
        detected_ns=number * 10**9,
        end_ns=number * 10**9 + 5 if is_over and not is_cut else None,
        before_w=100e6,
        after_w=160e6 if is_over else 151e6,
        extreme_v=None,
    )


DIP = Event(
    number=9,
    kind=EventKind.VOLTAGE_DIP,
    is_over=True,
    is_cut=False,
    phases=("L1", "L3"),
    onset_ns=5,
    detected_ns=10,
    end_ns=20,
    before_w=None,
    after_w=None,
    extreme_v=161.5,
)


@pytest.fixture
def log(state: StateDirectory, clock: Any) -> EventLog:
    """An empty log."""
    return EventLog(state, clock)


def test_an_event_is_kept_as_it_was_over_a_restart(
    log: EventLog, state: StateDirectory, clock: Any
) -> None:
    """Every member comes back, unknown ones as None; numbers go on; nothing was closed before."""
    log.record("a", change(1))
    log.record("a", change(1, is_over=True))
    log.record("b", DIP._replace(is_over=False))
    log.record("b", DIP)
    log.record(None, change(2))
    again = EventLog(state, clock)
    kept = again.newest(10)
    assert [(e.sequence, e.feed_id) for e in kept] == [(3, None), (2, "b"), (1, "a")]
    assert kept[2].event == change(1, is_over=True)._replace(number=1)
    assert kept[1].event == DIP._replace(number=2)
    assert kept[0].event == change(2)._replace(number=3)
    again.record("a", change(1))
    assert again.newest(1)[0].sequence == 4


def test_detectors_count_for_themselves(log: EventLog) -> None:
    """The same number of two feeds, and of the sum, are three events."""
    for feed_id in ("a", "b", None):
        log.record(feed_id, change(1))
    log.record("b", change(1, is_over=True))
    assert [e.event.is_over for e in log.newest(10)] == [False, True, False]


def test_queries_narrow(log: EventLog) -> None:
    """Newest first; limit, since (by detection, inclusive) and feed each leave out the others."""
    for number in range(1, 6):
        log.record("a" if number % 2 else None, change(number))
    assert [e.sequence for e in log.newest(2)] == [5, 4]
    assert [e.sequence for e in log.newest(9, since_ns=4 * 10**9)] == [5, 4]
    assert [e.sequence for e in log.newest(9, feed_id="a")] == [5, 3, 1]
    assert log.newest(9, feed_id="b") == []


def test_a_torn_record_is_left_out(log: EventLog, state: StateDirectory, clock: Any) -> None:
    """A flipped bit in the file costs that event and no other, and its number is not used again."""
    for number in (1, 2, 3):
        log.record("a", change(number))
    log.close()
    path = state.path / "events.ring"
    content = bytearray(path.read_bytes())
    record_bytes = (len(content) - 64) // CAPACITY
    content[64 + record_bytes + 20] ^= 1
    path.write_bytes(content)
    again = EventLog(state, clock)
    assert [e.sequence for e in again.newest(9)] == [3, 1]


def test_a_flood_is_bounded_and_counted(log: EventLog, clock: Any) -> None:
    """Beyond a burst of 500 only one event in two seconds is written; the others are counted."""
    for number in range(1, 701):
        log.record("a", change(number))
        log.record("a", change(number, is_over=True))
    assert log.lost_events == 200
    assert len(log.newest(1000)) == 500
    clock.pass_(2.0)
    log.record("a", change(701))
    log.record("a", change(702))
    assert log.lost_events == 201
    # The end of one that was lost is not taken for the end of another.
    log.record("a", change(702, is_over=True))
    assert not log.newest(1)[0].event.is_over


def test_the_oldest_go_first(log: EventLog, clock: Any) -> None:
    """The file does not grow: of 5000 events the last 4096 are kept."""
    for number in range(1, 5001):
        clock.pass_(2.0)
        log.record("a", change(number))
    kept = log.newest(5000)
    assert len(kept) == CAPACITY
    assert (kept[0].sequence, kept[-1].sequence) == (5000, 5001 - CAPACITY)


def test_the_end_of_a_very_old_one_overwrites_no_newer_one(log: EventLog, clock: Any) -> None:
    """It is told, but its place belongs to another by now."""
    told: list[LoggedEvent] = []
    log.record("a", change(1))
    for number in range(2, CAPACITY + 2):
        clock.pass_(2.0)
        log.record("a", change(number))
    log.observe(told.append)
    log.record("a", change(1, is_over=True))
    kept = log.newest(CAPACITY)
    assert [logged.sequence for logged in kept] == list(range(CAPACITY + 1, 1, -1))
    assert [(logged.sequence, logged.event.is_over) for logged in told] == [(1, True)]


def test_what_was_cleared_stays_away(log: EventLog, state: StateDirectory, clock: Any) -> None:
    """Nothing from before comes back: not by a late end, not over a restart; numbers go on."""
    for number in (1, 2, 3):
        log.record("a", change(number))
    log.clear()
    assert log.newest(9) == []
    log.record("a", change(3, is_over=True))
    log.record("a", change(4))
    assert [e.sequence for e in log.newest(9)] == [5]
    again = EventLog(state, clock)
    assert [e.sequence for e in again.newest(9)] == [5]
    again.clear()
    last = EventLog(state, clock)
    assert last.newest(9) == []
    last.record("a", change(1))
    assert [e.sequence for e in last.newest(9)] == [7]


def test_what_goes_on_is_cut(log: EventLog) -> None:
    """It is over and told once; the next of that number, whose beginning was lost, is another."""
    told: list[LoggedEvent] = []
    for feed_id in ("a", None):
        log.record(feed_id, change(1))
    log.record("b", change(1))
    log.record("b", change(1, is_over=True))
    log.observe(told.append)
    log.cut()
    kept = log.newest(9)
    assert [(e.sequence, e.event.is_over, e.event.is_cut) for e in kept] == [
        (3, True, False),
        (2, True, True),
        (1, True, True),
    ]
    assert kept[1].event.end_ns is None
    assert {logged.sequence for logged in told} == {1, 2}
    log.record("a", change(1, is_over=True))
    log.cut()
    assert log.newest(9) == kept
    assert len(told) == 2


def test_what_was_cleared_is_not_cut(log: EventLog) -> None:
    """Nobody is told of what was forgotten, and of one that was overwritten nothing is known."""
    told: list[LoggedEvent] = []
    log.record("a", change(1))
    log.clear()
    log.observe(told.append)
    log.cut()
    assert (told, log.newest(9)) == ([], [])


def test_a_folder_that_cannot_hold_it_is_an_error(state: StateDirectory, clock: Any) -> None:
    """What stands in the way is named."""
    path: Path = state.path / "events.ring"
    path.mkdir()
    with pytest.raises(StateError, match=r"events\.ring"):
        EventLog(state, clock)


def test_each_observer_is_told_until_it_leaves(log: EventLog) -> None:
    """Of several services on one log each is told until it leaves, though another one fails."""
    told: dict[str, list[int]] = {"first": [], "second": []}

    def first(logged: LoggedEvent) -> None:
        told["first"].append(logged.event.number)
        raise RuntimeError("in the first")

    def second(logged: LoggedEvent) -> None:
        told["second"].append(logged.event.number)

    log.observe(first)
    log.observe(second)
    log.record("a", change(1))
    log.unobserve(second)
    log.record("a", change(2))
    assert told == {"first": [1, 2], "second": [1]}
