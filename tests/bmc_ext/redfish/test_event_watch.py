"""What the watch tells of values that turn bad and good, on a clock of the test's own."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from bmc_ext.clock import SystemClock
from bmc_ext.domain.power import FeedValues, total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.domain.thresholds import Limits
from bmc_ext.redfish.events.edges import FIRST_GOOD_S, Edges
from bmc_ext.redfish.events.message import Happening
from bmc_ext.redfish.events.watch import Watch
from bmc_ext.redfish.sensor_catalogue import DeviceSensors
from bmc_ext.redfish.sensor_values import HEAT, FacilitySensor, SensorValue
from bmc_ext.sampling.events import Event, EventKind
from bmc_ext.settings import Config, FacilityConfig
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.event_log import EventLog
from bmc_ext.telemetry.snapshot import SnapshotStore
from drivers.reading import Condition, Quality, Reading

CONFIG = Config(FacilityConfig("site", "Site", 1e6, 1e6), Path("state"))
OVERDUE = Condition("calibration-overdue", "meter-1", "the certificate of meter-1 ended")


class Clock:
    """Stands until it is moved."""

    now_s = 1000.0

    def unix_ns(self) -> int:
        """UTC in ns."""
        return round(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        """Seconds."""
        return self.now_s


class Meters:
    """One device with two points."""

    device_ids = ("meter-1",)
    qualities = (Quality.OK, Quality.OK)

    def readings(self, device_id: str) -> dict[str, Reading]:  # noqa: ARG002
        """Both points."""
        return {
            point: Reading(1.0 if quality is Quality.OK else None, "W", quality)
            for point, quality in zip(("p", "q"), self.qualities, strict=True)
        }

    def reading(self, device_id: str, point: str) -> Reading:
        """One of them."""
        return self.readings(device_id)[point]


class Parts(NamedTuple):
    """What the watch takes of a Context."""

    clock: Any
    snapshots: SnapshotStore
    device_sensors: DeviceSensors
    eventing: Any
    facility_sensors: dict[str, FacilitySensor]
    config: Config
    host: Any = None
    events: Any = None


class Scene:
    """A watch over one feed and one device; `told` are the events so far."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.meters = Meters()
        self.told: list[Happening] = []
        self.publish = self.told.append
        self.heat_w: float | None = 1000.0
        limits = Limits(upper_critical=9000.0, upper_caution=5000.0, hysteresis=500.0)
        heat = FacilitySensor("H", "Heat", HEAT, self.heat, limits=limits)
        devices = DeviceSensors(self.meters)
        self.parts = Parts(self.clock, SnapshotStore(), devices, self, {"H": heat}, CONFIG)
        self.watch = Watch(self.parts)  # type: ignore[arg-type]
        self.window = 0

    def heat(self, _: Snapshot) -> SensorValue:
        """What the sensor with limits reads."""
        return SensorValue(self.heat_w, Quality.OK)

    def run(
        self,
        seconds: float,
        quality: Quality = Quality.OK,
        conditions: tuple[Condition, ...] = (),
        time_bound_s: float | None = 1e-4,
    ) -> list[str]:
        """Look every quarter of a second; the messages that were told."""
        before = len(self.told)
        feed = dataclasses.replace(a_feed(), quality=quality, conditions=conditions)
        for _ in range(round(seconds * 4)):
            self.clock.now_s += 0.25
            self.window += 1
            snapshot = Snapshot(self.window, time_bound_s, total_of((feed,)), (feed,), (), ())
            self.parts.snapshots.publish(snapshot)
            self.watch.look(slowly=True)
        return [event.message_id.rpartition(".")[2] for event in self.told[before:]]


def a_feed() -> FeedValues:
    """A feed that says nothing."""
    needed = {
        field.name: None
        for field in dataclasses.fields(FeedValues)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    known = {"feed_id": "f1", "quality": Quality.OK, "source": "meter", "phases": ()}
    return FeedValues(**{**needed, **{k: v for k, v in known.items() if k in needed}})  # type: ignore[arg-type]


@pytest.fixture
def scene() -> Scene:
    """A scene in which all was good for a while."""
    it = Scene()
    assert it.run(5) == []
    return it


def test_a_feed_that_fails_and_comes_back_is_told_once_each(scene: Scene) -> None:
    """Each turn is one event, with the sensor as its origin."""
    assert scene.run(5, Quality.STALE) == ["SensorFailure"]
    assert scene.told[-1].origin == "/redfish/v1/Chassis/DCPI/Sensors/Feed_f1_Power"
    assert scene.told[-1].origin_type == "Sensor"
    assert scene.run(5) == ["SensorRestored"]


def test_a_power_event_that_is_cut_is_not_told_as_over(scene: Scene, tmp_path: Path) -> None:
    """Nobody saw the voltage come back: only what was seen to end is told as such."""
    with contextlib.closing(StateDirectory(tmp_path / "state")) as state:
        log = EventLog(state, SystemClock())
        watch = Watch(scene.parts._replace(events=SimpleNamespace(log=log)))  # type: ignore[arg-type]
        watch.start()
        for number in (1, 2):
            log.record("f1", _dip(number, is_over=False))
        log.record("f1", _dip(1, is_over=True))
        log.cut()
        watch.stop()
        assert [kept.event.is_over for kept in log.newest(9)] == [True, True]
        log.close()
    told = [event.message_id.rpartition(".")[2] for event in scene.told]
    assert told == ["VoltageDip", "VoltageDip", "VoltageRestored"]


def _dip(number: int, *, is_over: bool) -> Event:
    """A dip of L1 to 161.5 V."""
    return Event(
        number=number, kind=EventKind.VOLTAGE_DIP, onset_ns=10**18, detected_ns=10**18 + 10**8,
        end_ns=10**18 + 10**9 if is_over else None, before_w=None, after_w=None, extreme_v=161.5,
        phases=("L1",), is_over=is_over, is_cut=False,
    )  # fmt: skip


def test_a_blink_is_not_told(scene: Scene) -> None:
    """Half a second without values is no failure, however often it comes."""
    for _ in range(5):
        assert scene.run(0.5, Quality.STALE) == []
        assert scene.run(0.25) == []


def test_a_device_is_lost_when_none_of_its_points_answers(scene: Scene) -> None:
    """One register that cannot be read is not a device that is gone."""
    scene.meters.qualities = (Quality.OK, Quality.COMM_ERROR)
    assert scene.run(5) == []
    scene.meters.qualities = (Quality.COMM_ERROR, Quality.STALE)
    assert scene.run(5) == ["DeviceLost"]
    assert scene.told[-1].args == ("meter-1",)
    scene.meters.qualities = (Quality.OK, Quality.OK)
    assert scene.run(5) == ["DeviceRestored"]


def test_what_was_never_there_is_told_after_the_start(scene: Scene) -> None:
    """A device gets 15 s to be read for the first time."""
    fresh = Scene()
    fresh.meters.qualities = (Quality.COMM_ERROR, Quality.COMM_ERROR)
    assert fresh.run(FIRST_GOOD_S - 1) == []
    assert fresh.run(2) == ["DeviceLost"]


def test_an_overdue_calibration_is_told_in_the_words_of_the_status(scene: Scene) -> None:
    """Once while it lasts, and once when it is over."""
    assert scene.run(5, conditions=(OVERDUE,)) == ["CalibrationOverdue"]
    assert scene.told[-1].text == OVERDUE.text
    assert scene.run(5) == ["ConditionCleared"]
    assert scene.told[-1].args == ("CalibrationOverdue", "meter-1")
    assert scene.run(5, conditions=(OVERDUE,)) == ["CalibrationOverdue"]


def test_the_time_alarm_is_told_and_cleared_after_a_calm(scene: Scene) -> None:
    """A bound beyond 1 ms, and 10 s below it."""
    assert scene.run(5, time_bound_s=2e-3) == ["ResourceWarningThresholdExceeded"]
    assert scene.run(9) == []
    assert scene.run(2) == ["ResourceWarningThresholdCleared"]


def test_a_reading_that_passes_its_limits_is_told_in_its_own_unit(scene: Scene) -> None:
    """Caution and critical one by one, back only beyond the hysteresis; unknown tells nothing."""
    scene.heat_w = 6000.0
    assert scene.run(3) == ["ReadingAboveUpperCautionThreshold"]
    event = scene.told[-1]
    assert event.args == ("H", "6", "kW", "5")
    assert (event.severity, event.origin_type) == ("Warning", "Sensor")
    assert event.text == "Sensor 'H' reading of 6 (kW) is above the 5 upper caution threshold."
    scene.heat_w = 9500.0
    assert scene.run(3) == ["ReadingAboveUpperCriticalThreshold"]
    scene.heat_w = None
    assert scene.run(3) == []
    scene.heat_w = 4800.0
    assert scene.run(0.5) == []  # not for long enough
    scene.heat_w = None
    assert scene.run(3) == []
    scene.heat_w = 4800.0
    assert scene.run(3) == ["ReadingBelowUpperCriticalThreshold"]
    assert scene.told[-1].args[1] == "4.8"
    assert scene.told[-1].text.endswith(
        "is now below the 9 upper critical threshold but remains outside of normal range."
    )
    scene.heat_w = 4400.0
    assert scene.run(3) == ["SensorReadingNormalRange"]
    assert scene.told[-1].args == ("H", "4.4", "kW")
    assert scene.told[-1].severity == "OK"
    scene.heat_w = 9500.0
    assert sorted(scene.run(3)) == [
        "ReadingAboveUpperCautionThreshold",
        "ReadingAboveUpperCriticalThreshold",
    ]
    scene.heat_w = 1000.0
    assert scene.run(3) == ["SensorReadingNormalRange"], "one message brings it all the way back"


def test_what_is_gone_is_forgotten() -> None:
    """A device that was removed while it was bad is not told as restored when it is new again."""
    edges = Edges(first_after_s=0.0)
    assert edges.follow("a", True, 0.0) is True
    edges.forget_all_but([])
    assert edges.follow("a", False, 5.0) is None
    assert not edges.is_bad("a")
