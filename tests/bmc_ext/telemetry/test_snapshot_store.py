"""The store of snapshots: waiting, subscribing, failing subscribers."""

from __future__ import annotations

import threading
import time

import pytest

from bmc_ext.domain.power import TotalValues
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.telemetry.snapshot import SnapshotStore
from drivers.reading import Quality


def _snapshot(window_id: int) -> Snapshot:
    return Snapshot(window_id, None, TotalValues(Quality.OK), (), (), ())


def test_the_latest_is_what_was_published() -> None:
    """Before the first snapshot there is none; then it is the very object that was published."""
    store = SnapshotStore()
    assert store.latest() is None
    snapshot = _snapshot(5)
    store.publish(snapshot)
    assert store.latest() is snapshot
    assert store.wait_newer(4, 0.0) is snapshot


def test_waiting_ends_with_the_next_snapshot() -> None:
    """A waiting reader wakes at once; without a newer snapshot it gets None in time."""
    store = SnapshotStore()
    store.publish(_snapshot(5))
    started = time.monotonic()
    assert store.wait_newer(5, 0.05) is None
    assert 0.04 < time.monotonic() - started < 1.0
    timer = threading.Timer(0.02, store.publish, [_snapshot(6)])
    timer.start()
    newer = store.wait_newer(5, 5.0)
    assert newer is not None
    assert newer.window_id == 6
    timer.join()


def test_a_clock_set_back_wakes_the_waiting() -> None:
    """After the clock was set back, the lower window is the newer one."""
    store = SnapshotStore()
    store.publish(_snapshot(5000))
    store.publish(_snapshot(10))
    newer = store.wait_newer(5000, 0.0)
    assert newer is not None
    assert newer.window_id == 10


def test_subscribers_get_every_snapshot_until_they_leave() -> None:
    """A subscriber sees each snapshot once, in order, and none after it has left."""
    store = SnapshotStore()
    seen: list[int] = []

    def take(snapshot: Snapshot) -> None:
        seen.append(snapshot.window_id)

    store.subscribe(take)
    for window_id in (1, 2):
        store.publish(_snapshot(window_id))
    store.unsubscribe(take)
    store.unsubscribe(take)
    store.publish(_snapshot(3))
    assert seen == [1, 2]


def test_a_failing_subscriber_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """One that raises is logged and dropped; the others and the publisher go on."""
    store = SnapshotStore()
    seen: list[int] = []

    def fail(snapshot: Snapshot) -> None:
        raise RuntimeError("its loop is closed")

    store.subscribe(fail)
    store.subscribe(lambda snapshot: seen.append(snapshot.window_id))
    store.publish(_snapshot(1))
    store.publish(_snapshot(2))
    assert seen == [1, 2]
    assert caplog.text.count("a subscriber of snapshots failed") == 1
