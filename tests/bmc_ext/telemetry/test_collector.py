"""The tick in lock-step with a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.sampling.sampler import Window
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from bmc_ext.timekeeping import TimeBound
from drivers.reading import Quality

MakeConfig = Callable[..., Config]
MakeWindow = Callable[..., Window]
MakeCollector = Callable[[Config], Collector]


@pytest.fixture
def make_collector(state: StateDirectory, clock: Any, engine: Any) -> Iterator[MakeCollector]:
    """Builds collectors that are stopped after the test."""
    made: list[Collector] = []

    def build(config: Config) -> Collector:
        made.append(
            Collector(
                config, engine, state, clock, time_bound=lambda: TimeBound(0.0005, "kernel", 0.0)
            )
        )
        return made[-1]

    yield build
    for collector in made:
        collector.stop()


def _now(clock: Any) -> int:
    return int(clock.now_ns // 100_000_000)


def _due(collector: Collector) -> Snapshot:
    assert collector.publish_due()
    snapshot = collector.store.latest()
    assert snapshot is not None
    return snapshot


def test_a_snapshot_comes_with_the_last_feed(
    make_collector: MakeCollector, make_config: MakeConfig, make_window: MakeWindow, clock: Any
) -> None:
    """One snapshot per window, as soon as all waveform feeds have delivered it."""
    collector = make_collector(make_config(waveforms=("a", "b")))
    window_id = _now(clock)
    clock.pass_(0.101)
    collector.accept(make_window("a", window_id, 1000.0))
    assert not collector.publish_due()
    collector.accept(make_window("b", window_id, -400.0))
    snapshot = _due(collector)
    assert snapshot.window_id == window_id
    assert snapshot.start_s == window_id / 10
    assert snapshot.time_bound_s == 0.0005
    assert [feed.feed_id for feed in snapshot.feeds] == ["a", "b"]
    assert snapshot.total.p_w == pytest.approx(600.0)
    assert snapshot.total.quality is Quality.OK
    assert not collector.publish_due()


@pytest.mark.parametrize(
    ("bound", "error_s", "shown_s", "said"),
    [
        (TimeBound(0.5e-3, "chrony", 0.0), 0.1e-3, 0.6e-3, None),
        (TimeBound(0.5e-3, "chrony", 0.0), 0.7e-3, 1.2e-3, "bounded by 1.2 ms, beyond ±1 ms"),
        (TimeBound(), 0.0, None, "not synchronised"),
    ],
)
def test_times_that_are_not_known_to_a_millisecond_are_an_alarm(
    bound: TimeBound,
    error_s: float,
    shown_s: float | None,
    said: str | None,
    make_config: MakeConfig,
    make_window: MakeWindow,
    state: StateDirectory,
    clock: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The clock's bound and the worst feed's add up; beyond 1 ms every snapshot has an alarm.

    The log has one.
    """
    collector = Collector(
        make_config(waveforms=("a",)), None, state, clock, time_bound=lambda: bound
    )
    for _ in range(5):
        window_id = _now(clock)
        clock.pass_(0.1)
        collector.accept(make_window("a", window_id)._replace(time_error_s=error_s))
        snapshot = _due(collector)
        assert snapshot.time_source == bound.source
        assert snapshot.time_bound_s == (None if shown_s is None else pytest.approx(shown_s))
        assert (snapshot.time_alarm is None) == (said is None)
        assert (said or "") in (snapshot.time_alarm or "")
    collector.stop()
    assert len([text for text in caplog.messages if text.startswith("time:")]) == (said is not None)


def test_a_ring_of_the_first_version_is_missing(
    make_config: MakeConfig, make_window: MakeWindow, state: StateDirectory, clock: Any
) -> None:
    """What an older version had in its ring only is counted as missing, and the energy goes on."""
    time_bound = TimeBound
    first = Collector(make_config(waveforms=("a",)), None, state, clock, time_bound=time_bound)
    window_id = _now(clock)
    first.accept(make_window("a", window_id, 1000.0))
    first.stop()
    ring = state.path / "ring" / "a.ring"
    ring.write_bytes(b"DCPIRING\x01\x00" + ring.read_bytes()[10:])
    clock.pass_(2.0)
    second = Collector(make_config(waveforms=("a",)), None, state, clock, time_bound=time_bound)
    second.accept(make_window("a", window_id + 20, 1000.0))
    second.stop()
    assert second.history.energies("a")[0] == pytest.approx(200.0)
    assert second.history.registers("a").missing_windows == 19


def test_a_late_feed_is_unknown_but_counted(
    make_collector: MakeCollector,
    make_config: MakeConfig,
    make_window: MakeWindow,
    clock: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """80 ms after its end a window goes out without the late feed, whose energy still counts."""
    collector = make_collector(make_config(waveforms=("a", "b")))
    window_id = _now(clock)
    clock.pass_(0.11)
    collector.accept(make_window("a", window_id))
    clock.pass_(0.069)
    assert not collector.publish_due()
    clock.pass_(0.002)
    a, b = _due(collector).feeds
    assert (a.quality, b.quality) == (Quality.OK, Quality.STALE)
    assert (b.p_w, b.energy_import_j, b.phases) == (None, 0.0, ())
    snapshot = collector.store.latest()
    assert snapshot is not None
    assert (snapshot.total.quality, snapshot.total.p_w) == (Quality.STALE, None)
    collector.accept(make_window("b", window_id, 3000.0))
    assert collector.late_windows == 1
    assert caplog.messages == [
        f"feed b: window {window_id} came 81 ms after its end, its snapshot waited 80 ms; "
        "1 came late until now, of 1 feeds"
    ]
    collector.accept(make_window("a", window_id, 3000.0))
    assert len(caplog.messages) == 1, "one line a minute, however many are late"
    clock.pass_(60.0)
    collector.accept(make_window("a", window_id, 3000.0))
    assert "3 came late until now, of 2 feeds" in caplog.messages[-1]
    collector.accept(make_window("b", window_id + 1, 3000.0))
    assert collector.history.energies("b")[0] == pytest.approx(600.0)


def test_a_dead_feed_delays_nobody(
    make_collector: MakeCollector, make_config: MakeConfig, make_window: MakeWindow, clock: Any
) -> None:
    """A lost source is comm-error within 1 s; then the others' windows no longer wait for it."""
    collector = make_collector(make_config(waveforms=("a", "b")))
    lost_at = clock.monotonic
    qualities = []
    for _ in range(10):
        window_id = _now(clock)
        clock.pass_(0.1)
        collector.accept(make_window("a", window_id))
        if not collector.publish_due():
            clock.pass_(0.08)
            assert collector.publish_due()
            clock.pass_(-0.08)
        snapshot = collector.store.latest()
        assert snapshot is not None
        qualities.append((clock.monotonic - lost_at, snapshot.feeds[1].quality))
    assert all(quality is Quality.STALE for after, quality in qualities if after < 0.65)
    assert all(quality is Quality.COMM_ERROR for after, quality in qualities if after > 0.85)
    window_id = _now(clock)
    clock.pass_(0.101)
    collector.accept(make_window("a", window_id))
    collector.accept(make_window("b", window_id))
    assert _due(collector).feeds[1].quality is Quality.OK


def test_meters_and_loops_tick_without_waveforms(
    make_collector: MakeCollector, make_config: MakeConfig, clock: Any, engine: Any
) -> None:
    """With no waveform feed there is a snapshot right after the end of every window."""
    engine.put("m_f", "power.active.total", 500.0, "W")
    engine.put("m_f", "temperature.ch0", 55.0, "Cel")
    collector = make_collector(
        make_config(
            meters=("f",),
            loops=({"id": "loop"},),
            silicon=({"id": "gpu", "temperature": "m_f/temperature.ch0"},),
        )
    )
    first = _now(clock)
    for number in range(30):
        assert not collector.publish_due()
        clock.pass_(0.1)
        snapshot = _due(collector)
        assert snapshot.window_id == first + number
        assert snapshot.feeds[0].p_w == 500.0
        assert snapshot.loops[0].quality is Quality.ABSENT
        assert snapshot.silicon[0].temperature.value == 55.0
    collector.history.commit()
    rows = collector.history.query("f", "1s", 0, 1 << 40, 9)
    assert [(row.p_w, row.valid_windows) for row in rows] == [(500.0, 10)] * 3


def test_a_failed_meter_is_a_gap_in_the_history(
    make_collector: MakeCollector, make_config: MakeConfig, clock: Any, engine: Any
) -> None:
    """Windows of a meter that is not OK are not aggregated, and its feed shows why."""
    collector = make_collector(make_config(meters=("f",)))
    for number in range(10):
        good = number < 7
        quality = Quality.OK if good else Quality.COMM_ERROR
        engine.put("m_f", "power.active.total", 500.0 if good else None, "W", quality)
        clock.pass_(0.1)
        assert _due(collector).feeds[0].quality is quality
    clock.pass_(0.3)
    collector.history.commit()
    (row,) = collector.history.query("f", "1s", 0, 1 << 40, 9)
    assert row.valid_windows == 7


def test_the_clock_is_set_back(
    make_collector: MakeCollector,
    make_config: MakeConfig,
    make_window: MakeWindow,
    clock: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Set back by an hour, snapshots go on from the new time and the energy keeps rising."""
    collector = make_collector(make_config(waveforms=("a",)))
    energies = []
    for step_s in (0.0, -3600.0):
        clock.step(step_s)
        for _ in range(20):
            collector.publish_due()
            window_id = _now(clock)
            clock.pass_(0.1)
            collector.accept(make_window("a", window_id, 1000.0))
            snapshot = _due(collector)
            assert snapshot.window_id == window_id
            energies.append(snapshot.feeds[0].energy_import_j)
    assert energies == pytest.approx([100.0 * (number + 1) for number in range(40)])
    assert len(caplog.messages) == 1
    assert "went 3600.0 s back" in caplog.text
    clock.pass_(1.3)
    collector.history.commit()
    rows = collector.history.query("a", "1s", 0, 1 << 40, 99)
    assert [row.valid_windows for row in rows] == [10, 10, 10, 10]


def test_windows_far_ahead_enter_no_snapshot(
    make_collector: MakeCollector, make_config: MakeConfig, make_window: MakeWindow, clock: Any
) -> None:
    """A source whose time is minutes ahead of the clock fills no memory and no snapshot."""
    collector = make_collector(make_config(waveforms=("a",)))
    for number in range(50):
        collector.accept(make_window("a", _now(clock) + 6000 + number))
    clock.pass_(0.19)
    snapshot = _due(collector)
    assert snapshot.feeds[0].quality is Quality.STALE
    assert collector.history.energies("a")[0] == pytest.approx(50 * 300.0)


def test_an_unknown_feed_is_refused(
    make_collector: MakeCollector, make_config: MakeConfig, make_window: MakeWindow
) -> None:
    """A window of a feed that is not configured as a waveform feed is a ValueError."""
    collector = make_collector(make_config(meters=("f",)))
    with pytest.raises(ValueError, match="'f' is no waveform feed"):
        collector.accept(make_window("f", 1))


def test_energy_goes_on_after_an_orderly_restart(
    state: StateDirectory, make_config: MakeConfig, make_window: MakeWindow, clock: Any
) -> None:
    """A second collector on the same state continues the totals and the second's row."""
    config = make_config(waveforms=("a",))
    first_window = _now(clock)
    for start in (0, 4):
        collector = Collector(config, None, state, clock)
        for number in range(start, start + 4):
            collector.accept(make_window("a", first_window + number, 1000.0))
        collector.stop()
    collector = Collector(config, None, state, clock)
    assert collector.history.energies("a")[0] == pytest.approx(800.0)
    (row,) = collector.history.query("a", "1s", 0, 1 << 40, 9)
    assert row.valid_windows == 8
    collector.stop()


def test_a_lost_history_takes_energy_from_the_ring(
    state: StateDirectory, make_config: MakeConfig, make_window: MakeWindow, clock: Any
) -> None:
    """With the database gone, the ring brings back the totals and the last ten minutes."""
    config = make_config(waveforms=("a",))
    collector = Collector(config, None, state, clock)
    for number in range(30):
        collector.accept(make_window("a", _now(clock) + number, 1000.0))
    collector.stop()
    for path in state.path.glob("history.sqlite*"):
        path.unlink()
    again = Collector(config, None, state, clock)
    assert again.history.energies("a")[0] == pytest.approx(3000.0)
    again.history.commit(everything=True)
    rows = again.history.query("a", "1s", 0, 1 << 40, 9)
    assert [row.valid_windows for row in rows] == [10, 10, 10]
    again.stop()


def test_a_lost_ring_takes_energy_from_the_history(
    state: StateDirectory, make_config: MakeConfig, make_window: MakeWindow, clock: Any
) -> None:
    """With the ring gone, the totals continue from the database."""
    config = make_config(waveforms=("a",))
    collector = Collector(config, None, state, clock)
    collector.accept(make_window("a", _now(clock), 1000.0))
    collector.stop()
    (state.path / "ring" / "a.ring").unlink()
    again = Collector(config, None, state, clock)
    again.accept(make_window("a", _now(clock) + 1, 1000.0))
    assert again.history.energies("a")[0] == pytest.approx(200.0)
    again.stop()


def test_readers_see_whole_snapshots(
    make_collector: MakeCollector, make_config: MakeConfig, make_window: MakeWindow, clock: Any
) -> None:
    """While windows are published, every snapshot read holds values of one window only."""
    collector = make_collector(make_config(waveforms=("a", "b")))
    torn: list[Snapshot] = []
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            snapshot = collector.store.latest()
            if snapshot is None:
                continue
            seen.add(snapshot.window_id)
            expected = float(snapshot.window_id % 1000)
            if [feed.p_w for feed in snapshot.feeds] != [expected, expected]:
                torn.append(snapshot)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(300):
        window_id = _now(clock)
        clock.pass_(0.1)
        for feed in ("a", "b"):
            collector.accept(make_window(feed, window_id, float(window_id % 1000)))
        assert collector.publish_due()
    done.set()
    for reader in readers:
        reader.join()
    assert torn == []
    assert len(seen) > 1
