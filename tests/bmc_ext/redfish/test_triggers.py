"""When triggers fire and what they do, from windows that the test hands them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.clock import SystemClock
from bmc_ext.domain.power import total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.errors import ConflictError, MessageError
from bmc_ext.redfish.events.message import Happening
from bmc_ext.redfish.reports.definition import DEFINITIONS, DefinitionStore
from bmc_ext.redfish.reports.metrics import SENSORS, Catalogue
from bmc_ext.redfish.reports.trigger import Trigger, TriggerStore
from bmc_ext.redfish.reports.trigger_body import changed, new_trigger
from bmc_ext.redfish.reports.trigger_watch import TriggerWatch
from bmc_ext.redfish.sensor_catalogue import DeviceSensors
from bmc_ext.redfish.sensor_values import POWER, FacilitySensor, SensorValue
from bmc_ext.state import StateDirectory
from drivers.reading import Quality

READING = f"{SENSORS}/A#/Reading"
STATE = f"{SENSORS}/A#/Status/State"
LIMITS = {
    "UpperCritical": {"Reading": 100},
    "UpperWarning": {"Reading": 80},
    "LowerWarning": {"Reading": 20},
    "LowerCritical": {"Reading": 10},
}


class NoDevices:
    """There are none."""

    device_ids = ()


class Scene:
    """A watch over one sensor; `told` are its events, `reported` the reports it asked for."""

    def __init__(self, directory: Path) -> None:
        self.watts: float | None = 50.0
        self.quality = Quality.OK
        self.told: list[Happening] = []
        self.publish = self.told.append
        self.reported: list[str] = []
        self.state = StateDirectory(directory)
        sensor = FacilitySensor("A", "A", POWER, lambda _: SensorValue(self.watts, self.quality))
        self.catalogue = Catalogue({"A": sensor}, DeviceSensors(NoDevices()))  # type: ignore[arg-type]
        self.definitions = DefinitionStore(self.state)
        self.store = TriggerStore(self.state)
        self.watch = TriggerWatch(self.store, self.catalogue, self, self, SystemClock())  # type: ignore[arg-type]
        self.window = 17_000_000_000

    def report_now(self, definition_id: str, snapshot: Snapshot) -> None:
        """Take the place of the reporter."""
        assert snapshot.window_id == self.window
        self.reported.append(definition_id)

    def new(self, **members: Any) -> Trigger:
        """The trigger that a client would get."""
        body = {"Id": "t", "MetricProperties": [READING], "TriggerActions": ["RedfishEvent"]}
        return new_trigger({**body, **members}, "spare", self.catalogue, self.definitions)

    def define(self, **members: Any) -> Trigger:
        """The same, kept."""
        found = self.new(**members)
        self.store.add(found)
        return found

    def see(self, watts: float | None, windows: int = 1) -> list[str]:
        """What is told while the sensor reads that, by its message's key."""
        self.watts = watts
        before = len(self.told)
        for _ in range(windows):
            self.window += 1
            self.watch.follow(Snapshot(self.window, None, total_of(()), (), (), ()))
        return [event.message_id.rpartition(".")[2] for event in self.told[before:]]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A scene."""
    it = Scene(tmp_path)
    yield it
    it.store.close()
    it.definitions.close()
    it.state.close()


def test_each_threshold_is_told_once_in_each_direction(scene: Scene) -> None:
    """Outward and back, what is passed and what is left; resting on a side tells nothing."""
    scene.define(NumericThresholds=LIMITS)
    assert scene.see(50, 3) == []
    assert scene.see(90, 3) == ["TriggerNumericAboveUpperWarning"]
    assert scene.see(100, 3) == ["TriggerNumericAboveUpperCritical"]
    assert scene.see(90) == ["TriggerNumericBelowUpperCritical"]
    assert scene.see(50) == ["TriggerNumericReadingNormal"]
    assert scene.see(15) == ["TriggerNumericBelowLowerWarning"]
    assert scene.see(10) == ["TriggerNumericBelowLowerCritical"]
    assert scene.see(15) == ["TriggerNumericAboveLowerCritical"]
    assert scene.see(None, 5) == []
    assert scene.see(15) == []
    assert scene.see(50) == ["TriggerNumericReadingNormal"]
    first = scene.told[0]
    assert first.args == (READING, "90", "80", "t")
    assert (first.origin, first.severity) == (f"{SENSORS}/A", "Warning")
    assert [event.severity for event in scene.told[1:3]] == ["Critical", "Warning"]


def test_what_is_beyond_from_the_start_has_not_passed(scene: Scene) -> None:
    """A threshold is activated by a passage, and the first value is none."""
    scene.define(NumericThresholds=LIMITS)
    assert scene.see(200, 5) == []
    assert scene.see(50) == ["TriggerNumericReadingNormal"] * 2


@pytest.mark.parametrize(
    ("activation", "told"),
    [
        ("Increasing", ["TriggerNumericAboveUpperCritical"]),
        ("Decreasing", ["TriggerNumericReadingNormal"]),
        ("Either", ["TriggerNumericAboveUpperCritical", "TriggerNumericReadingNormal"]),
        ("Disabled", []),
    ],
)
def test_only_the_wanted_direction_is_told(scene: Scene, activation: str, told: list[str]) -> None:
    """Activation says in which direction a passage counts."""
    limit = {"Reading": 100, "Activation": activation}
    scene.define(NumericThresholds={"UpperCritical": limit})
    assert scene.see(50) + scene.see(150) + scene.see(50) == told


def test_a_dwell_time_must_be_kept_without_a_break(scene: Scene) -> None:
    """Half a second beyond, counted anew after each return."""
    limit = {"Reading": 100, "Activation": "Increasing", "DwellTime": "PT0.5S"}
    scene.define(NumericThresholds={"UpperCritical": limit})
    assert scene.see(50) + scene.see(150, 5) + scene.see(50) + scene.see(150, 5) == []
    assert scene.see(150) == ["TriggerNumericAboveUpperCritical"]


def test_a_state_triggers_by_value_or_by_change(scene: Scene) -> None:
    """Specified tells a value when it comes, with its severity; Changed tells any other."""
    value = {"Name": "gone", "Value": "UnavailableOffline", "Severity": "Critical"}
    members = {"MetricType": "Discrete", "MetricProperties": [STATE]}
    scene.define(DiscreteTriggers=[value], **members)
    scene.define(Id="c", DiscreteTriggerCondition="Changed", **members)
    assert scene.see(50, 2) == []
    scene.quality = Quality.COMM_ERROR
    assert scene.see(None, 3) == ["TriggerDiscreteConditionMet"] * 2
    assert scene.told[0].severity == "Critical"
    assert scene.told[0].args == (STATE, "UnavailableOffline", "t")
    scene.quality = Quality.OK
    assert scene.see(50, 3) == ["TriggerDiscreteConditionMet"]
    assert scene.told[-1].args[1:] == ("Enabled", "c")


def test_each_action_is_done_and_no_other(scene: Scene) -> None:
    """An event, an entry in the log, a report of the linked definitions."""
    link = {"MetricReportDefinitions": [{"@odata.id": f"{DEFINITIONS}/FacilityPower"}]}
    scene.define(NumericThresholds=LIMITS, Links=link, TriggerActions=["RedfishMetricReport"])
    scene.define(Id="l", NumericThresholds=LIMITS, TriggerActions=["LogToLogService"])
    scene.define(Id="off", NumericThresholds=LIMITS, TriggerEnabled=False)
    assert scene.see(50) + scene.see(90) + scene.see(120) == []
    assert scene.reported == ["FacilityPower"] * 2
    newest, oldest = scene.watch.logged()
    assert newest.event.args == (READING, "120", "100", "l")
    assert int(newest.id) > int(oldest.id)


def test_a_change_begins_anew_and_the_disk_keeps_it(scene: Scene) -> None:
    """A trigger that was changed forgets what it saw; one that is read again is the same."""
    before = scene.define(NumericThresholds=LIMITS)
    assert scene.see(50) == []
    after = changed(before, {"NumericThresholds": {"UpperCritical": {"Reading": 60}}},
                    scene.catalogue, scene.definitions)  # fmt: skip
    scene.store.replace(after)
    assert scene.see(90, 2) == []
    again = TriggerStore(scene.state)
    assert again.list() == (after,)
    again.close()
    assert dataclasses.replace(after, thresholds=before.thresholds) == before


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({}, "/NumericThresholds"),
        ({"NumericThresholds": {"Upper": {"Reading": 1}}}, "/NumericThresholds/Upper"),
        ({"NumericThresholds": {"UpperCritical": {}}}, "/NumericThresholds/UpperCritical/Reading"),
        ({"NumericThresholds": {"UpperCritical": {"Reading": True}}},
         "/NumericThresholds/UpperCritical/Reading"),
        ({"NumericThresholds": {"UpperCritical": {"Reading": 1, "Activation": "Up"}}},
         "/NumericThresholds/UpperCritical/Activation"),
        ({"NumericThresholds": {"UpperCritical": {"Reading": 1, "DwellTime": "1 s"}}},
         "/NumericThresholds/UpperCritical/DwellTime"),
        ({"NumericThresholds": {"UpperCritical": {"Reading": 1}, "UpperWarning": {"Reading": 2}}},
         "/NumericThresholds"),
        ({"NumericThresholds": LIMITS, "MetricProperties": [STATE]}, "/MetricProperties"),
        ({"NumericThresholds": LIMITS, "MetricProperties": [f"{SENSORS}/none#/Reading"]},
         "/MetricProperties"),
        ({"NumericThresholds": LIMITS, "MetricProperties": []}, "/MetricProperties"),
        ({"NumericThresholds": LIMITS, "DiscreteTriggers": []}, "/DiscreteTriggers"),
        ({"NumericThresholds": LIMITS, "TriggerActions": ["Mail"]}, "/TriggerActions"),
        ({"NumericThresholds": LIMITS, "Links": {"MetricReportDefinitions": [{}]}},
         "/Links/MetricReportDefinitions"),
        ({"MetricType": "Discrete", "MetricProperties": [STATE]}, "/DiscreteTriggers"),
        ({"MetricType": "Discrete", "MetricProperties": [STATE],
          "DiscreteTriggers": [{"Name": "x"}]}, "/DiscreteTriggers/0/Value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(scene: Scene, members: dict[str, Any], place: str) -> None:
    """Every fault has its pointer, and nothing is kept."""
    with pytest.raises(MessageError) as caught:
        scene.define(**members)
    assert caught.value.property_path == place
    assert scene.store.list() == ()


def test_all_triggers_together_have_a_limit(scene: Scene) -> None:
    """1000 values a window; what is disabled does not count, and may not be enabled then."""
    many = {"NumericThresholds": LIMITS, "MetricProperties": [READING] * 600}
    scene.define(**many)
    with pytest.raises(ConflictError):
        scene.define(Id="more", **many)
    off = scene.define(Id="off", TriggerEnabled=False, **many)
    with pytest.raises(ConflictError):
        scene.store.replace(dataclasses.replace(off, enabled=True))
    assert [known.id for known in scene.store.list()] == ["t", "off"]
