"""When a report is made and what is in it, from windows that the test publishes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_front import wait_for

from bmc_ext.domain.power import total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.reports.definition import DefinitionStore, Entry, ReportDefinition
from bmc_ext.redfish.reports.metrics import SENSORS, Catalogue
from bmc_ext.redfish.reports.reporter import Reporter
from bmc_ext.redfish.sensor_catalogue import DeviceSensors
from bmc_ext.redfish.sensor_values import POWER, FacilitySensor, SensorValue
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.snapshot import SnapshotStore
from drivers.reading import Quality


class NoDevices:
    """There are none."""

    device_ids = ()


class Scene:
    """A reporter over two sensors; `pushed` are the reports that it published."""

    def __init__(self, directory: Path) -> None:
        self.watts: dict[str, float | None] = {"A": 1.0, "B": 2.0}
        self.pushed: list[dict[str, Any]] = []
        self.snapshots = SnapshotStore()
        self.state = StateDirectory(directory)
        sensors = {name: FacilitySensor(name, name, POWER, self.source(name)) for name in "AB"}
        catalogue = Catalogue(sensors, DeviceSensors(NoDevices()))  # type: ignore[arg-type]
        store = DefinitionStore(self.state)
        self.reporter = Reporter(store, catalogue, self.snapshots, self)  # type: ignore[arg-type]
        self.reporter.store.remove("FacilityPower")
        self.window = 17_000_000_000

    def source(self, name: str) -> Any:
        """What the sensor of that name reads."""
        return lambda _: SensorValue(self.watts[name], Quality.OK)

    def publish(self, report: tuple[dict[str, Any], str]) -> None:
        """Take the place of the event service."""
        self.pushed.append(report[0])

    def define(self, kind: str, **members: object) -> None:
        """A report on both sensors that is pushed."""
        entries = (Entry("a", (f"{SENSORS}/A#/Reading",)), Entry(None, (f"{SENSORS}/B/Reading",)))
        start = ReportDefinition("r", "R", kind, entries, metrics=2, actions=("RedfishEvent",))
        self.reporter.store.add(dataclasses.replace(start, **members))

    def windows(self, count: int) -> None:
        """So many windows, each seen by the reporter."""
        for _ in range(count):
            self.window += 1
            self.snapshots.publish(Snapshot(self.window, None, total_of(()), (), (), ()))
            time.sleep(0.01)

    def values(self) -> list[list[str | None]]:
        """The values of each report that was pushed."""
        return [[v["MetricValue"] for v in report["MetricValues"]] for report in self.pushed]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A scene whose reporter runs."""
    it = Scene(tmp_path)
    it.reporter.start()
    yield it
    it.reporter.stop()
    it.state.close()


def test_a_report_on_change_rests_while_nothing_changes(scene: Scene) -> None:
    """One report for the first window and one for each change, unknown is a change."""
    scene.define("OnChange")
    scene.windows(5)
    scene.watts["B"] = 2.5
    scene.windows(5)
    scene.watts["A"] = None
    scene.windows(5)
    wait_for(lambda: len(scene.pushed) == 3, 5, "three reports")
    assert scene.values() == [["1.0", "2.0"], ["1.0", "2.5"], [None, "2.5"]]


def test_repeated_values_are_left_out_where_that_is_wanted(scene: Scene) -> None:
    """SuppressRepeatedMetricValue shows only what has changed."""
    scene.define("OnChange", suppress_repeated=True)
    scene.windows(2)
    scene.watts["B"] = 2.5
    scene.windows(2)
    wait_for(lambda: len(scene.pushed) == 2, 5, "two reports")
    assert scene.values() == [["1.0", "2.0"], ["2.5"]]


def test_a_period_has_one_report(scene: Scene) -> None:
    """The first window of each half second, whatever is left out."""
    scene.define("Periodic", interval_s=0.5)
    scene.windows(20)
    wait_for(lambda: len(scene.pushed) >= 4, 5, "four reports")
    shown = [report["Oem"]["DCPI"]["WindowId"] for report in scene.pushed]
    assert len({window // 5 for window in shown}) == len(shown)


def test_a_disabled_report_rests_and_one_that_is_not_kept_cannot_be_read(scene: Scene) -> None:
    """Only what logs to the collection has a resource."""
    scene.define("Periodic", interval_s=0.1, enabled=False)
    scene.windows(5)
    assert scene.pushed == []
    assert scene.reporter.ids() == []
    with pytest.raises(NotFoundError):
        scene.reporter.report("r")


def test_a_report_on_request_is_of_the_newest_window(scene: Scene) -> None:
    """Read when it is asked for, never pushed."""
    scene.define("OnRequest")
    scene.windows(3)
    report = scene.reporter.report("r")
    assert report["Oem"]["DCPI"]["WindowId"] == scene.window
    assert [v.get("MetricId") for v in report["MetricValues"]] == ["a", None]
    assert scene.pushed == []
