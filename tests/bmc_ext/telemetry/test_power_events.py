"""Which sources are watched, for how much, and what their windows tell them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bmc_ext.config import parse_config
from bmc_ext.sampling.events import EventKind
from bmc_ext.sampling.sampler import TimedObserver
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.power_detectors import PowerDetectors
from bmc_ext.telemetry.power_events import PowerEvents
from drivers.waveforms.block import Block

STREAM = {"type": "stream", "port": 1}


class Origin:
    """A source of 12.8 kS/s that began with the epoch."""

    phases = 3
    sample_rate_hz = 12_800.0
    epoch_ns = 0
    skew_s = (0.0, 0.0, 0.0)


def site(feeds: list[dict[str, Any]], **facility: Any) -> Any:
    """A configuration of these feeds."""
    document = {
        "facility": {"id": "site", "rated_power_w": 1e6, **facility},
        "state_dir": ".",
        "devices": [{"id": "m", "profile": "eastron.sdm630", "target": "tcp://127.0.0.1:5020"}],
        "feeds": [{"rated_power_w": 1e6, **feed} for feed in feeds],
    }
    return parse_config(document, base=Path())


def step(size_w: float, volts: float = 230.0) -> np.ndarray:
    """Two seconds of three phases whose power steps up from 1 MW after the first."""
    t = np.arange(25_600) / 12_800
    carrier = np.sqrt(2) * np.cos(2 * np.pi * (50 * t - np.arange(3)[:, None] / 3))
    power_w = 1e6 + size_w * (t >= 1)
    return np.concatenate([volts * carrier, power_w / (3 * 230) * carrier]).astype(np.float32)


class Watched(PowerEvents):
    """The log and the detectors of a configuration."""

    def __init__(self, config: Config, state: StateDirectory, clock: Any) -> None:
        super().__init__(state, clock)
        threshold_w = config.facility.event_threshold_w
        self.observers = PowerDetectors(config.feeds, threshold_w, self).observers


def show(events: Watched, samples: np.ndarray, *sources: str) -> None:
    """Bring the same samples of all these sources, in turn, to whoever watches them."""
    observers = [observer for source in sources for observer in events.observers(source)]
    for observer in observers:
        observer.begin(Origin())
    for first in range(0, samples.shape[1], 640):
        part = np.ascontiguousarray(samples[:, first : first + 640])
        for observer in observers:
            observer.take(Block(first, part))


def test_thresholds_are_per_feed_and_for_the_site(state: StateDirectory, clock: Any) -> None:
    """40 kW count in a feed of 30 kW and not in one of 50 kW; both together are one of the site."""
    config = site(
        [
            {"id": "a", "waveform": STREAM, "event_threshold_w": 30e3},
            {"id": "b", "waveform": STREAM, "event_threshold_w": 50e3},
            {"id": "c", "meter": "m"},
        ],
        event_threshold_w=70e3,
    )
    events = Watched(config, state, clock)
    show(events, step(40e3), "a", "b")
    found = [(e.feed_id, round((e.event.change_w or 0) / 1e3)) for e in events.log.newest(9)]
    assert sorted(found, key=str) == [("a", 40), (None, 80)]
    assert events.observers("c") == ()
    assert events.lost_events == 0
    events.close()


def test_a_change_of_50_mw_counts_unless_it_is_said_otherwise(
    state: StateDirectory, clock: Any
) -> None:
    """The default is the standard's, for the feed and for the site."""
    config = site([{"id": "a", "waveform": STREAM}])
    assert config.facility.event_threshold_w == config.feeds[0].event_threshold_w == 50e6
    events = Watched(config, state, clock)
    show(events, step(45e6), "a")
    assert events.log.newest(9) == []
    show(events, step(55e6), "a")
    assert {e.feed_id for e in events.log.newest(9)} == {"a", None}


def test_events_follow_the_measured_time(state: StateDirectory, clock: Any) -> None:
    """What the sampler tells of a source's clock moves the events of the feed and of the site."""
    events = Watched(site([{"id": "a", "waveform": STREAM}]), state, clock)
    (observer,) = events.observers("a")
    assert isinstance(observer, TimedObserver)
    observer.begin(Origin())
    observer.set_time(12_800, 5_000_000_000, 12_800.0)
    samples = step(60e6)
    for first in range(0, samples.shape[1], 640):
        observer.take(Block(first, np.ascontiguousarray(samples[:, first : first + 640])))
    found = {e.feed_id: e.event.onset_ns for e in events.log.newest(9)}
    assert found.keys() == {"a", None}
    assert list(found.values()) == pytest.approx([5_000_000_000] * 2, abs=1_500_000)


def test_voltage_events_need_a_declared_voltage(state: StateDirectory, clock: Any) -> None:
    """200 V are a dip of 230 V and nothing where no voltage is declared."""
    config = site(
        [
            {"id": "a", "waveform": STREAM, "declared_voltage_v": 230},
            {"id": "b", "waveform": STREAM},
        ]
    )
    events = Watched(config, state, clock)
    show(events, step(0, volts=200.0), "a", "b")
    (dip,) = events.log.newest(9)
    assert (dip.feed_id, dip.event.kind) == ("a", EventKind.VOLTAGE_DIP)
    assert dip.event.extreme_v == pytest.approx(200.0, abs=0.1)


def test_of_redundant_sources_the_first_is_watched(state: StateDirectory, clock: Any) -> None:
    """A feed with a meter and two sources of samples is one feed, not two in the sum."""
    members = [
        {"id": "m1", "meter": "m"},
        {"id": "w1", "waveform": STREAM},
        {"id": "w2", "waveform": STREAM},
    ]
    events = Watched(site([{"id": "a", "members": members}]), state, clock)
    assert [len(events.observers(source)) for source in ("m1", "w1", "w2")] == [0, 1, 0]
    show(events, step(60e6), "w1")
    assert {e.feed_id for e in events.log.newest(9)} == {"a", None}


def test_a_source_that_cannot_be_watched_is_left_alone(state: StateDirectory, clock: Any) -> None:
    """A rate below 400 Hz is said, and nothing more happens."""

    class Slow(Origin):
        sample_rate_hz = 100.0

    events = Watched(site([{"id": "a", "waveform": STREAM}]), state, clock)
    (observer,) = events.observers("a")
    observer.begin(Slow())
    observer.take(Block(0, np.zeros((6, 10), np.float32)))
    assert events.log.newest(9) == []
