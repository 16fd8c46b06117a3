"""When a report is made and what is in it, from windows that the test publishes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from served_front import wait_for

from bmc_ext.domain.power import total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.errors import ConflictError, MessageError, NotFoundError
from bmc_ext.redfish.reports.collection import Collected
from bmc_ext.redfish.reports.definition import DefinitionStore, Entry, ReportDefinition
from bmc_ext.redfish.reports.metrics import SENSORS, Catalogue
from bmc_ext.redfish.reports.reporter import Reporter
from bmc_ext.redfish.reports.request_body import new_definition
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


@pytest.mark.parametrize(
    ("function", "of"),
    [("Average", fmean), ("Maximum", max), ("Minimum", min), ("Summation", sum)],
)
def test_a_function_is_of_the_last_windows(
    function: str, of: Callable[[list[float]], float]
) -> None:
    """Each of the windows in the duration counts once, and none before it."""
    collected = Collected(function, 0.5)
    values = [3.0, -1.5, 40.0, 2.25, 7.0, 7.0, -8.0, 0.5]
    for number, value in enumerate(values):
        collected.add(10_000 + number, str(value))
        collected.add(10_000 + number, "999")  # a window that is there already
        result = collected.result()
        if number < 4:
            assert result is None
        else:
            assert float(result or "nan") == pytest.approx(of(values[number - 4 : number + 1]))


def test_a_function_of_what_is_not_known_is_not_known() -> None:
    """A tenth of unknown values is borne by an average, not by a sum; windows left out count."""
    average, total = Collected("Average", 1.0), Collected("Summation", 1.0)
    for collected in (average, total):
        for number in range(10):
            collected.add(number, None if number == 4 else "2.0")
    assert (average.result(), total.result()) == ("2.0", None)
    average.add(12, "2.0")  # two were left out
    assert average.result() is None
    for number in range(13, 22):
        average.add(number, "5.0")
    assert average.result() == "4.7"
    average.add(1000, "5.0")
    assert average.result() is None


def test_a_report_holds_functions_beside_readings(scene: Scene) -> None:
    """What is pushed shows the function under the URI of its property."""
    entries = (
        Entry("peak", (f"{SENSORS}/A#/Reading",), "Maximum", 0.2),
        Entry(None, (f"{SENSORS}/A#/Reading",)),
    )
    start = ReportDefinition("f", "F", "OnRequest", entries, metrics=2, collected=1, held=2)
    scene.reporter.store.add(start)

    def shown() -> list[Any]:
        scene.windows(1)
        return [v["MetricValue"] for v in scene.reporter.report("f")["MetricValues"]]

    wait_for(lambda: shown() == ["1.0", "1.0"], 10, "two windows in a row")
    scene.watts["A"] = 9.0
    wait_for(lambda: shown() == ["9.0", "9.0"], 10, "the higher value")


def _metric(**members: object) -> dict[str, Any]:
    metric = {"MetricProperties": [f"{SENSORS}/A#/Reading"], **members}
    return {"Id": "f", "MetricReportDefinitionType": "OnRequest", "Metrics": [metric]}


def test_a_function_is_defined_with_its_duration(scene: Scene) -> None:
    """What is wrong with a function is named by its pointer; a right one survives the disk."""
    catalogue = scene.reporter.catalogue
    for members, place in (
        ({"CollectionFunction": "Median", "CollectionDuration": "PT1S"}, "CollectionFunction"),
        ({"CollectionFunction": "Average"}, "CollectionDuration"),
        ({"CollectionFunction": "Average", "CollectionDuration": "PT2H"}, "CollectionDuration"),
        ({"CollectionDuration": "PT1S"}, "CollectionDuration"),
        ({"CollectionTimeScope": "Interval"}, "CollectionTimeScope"),
        ({"CollectionFunction": "Average", "CollectionDuration": "PT1S",
          "CollectionTimeScope": "Point"}, "CollectionTimeScope"),
    ):  # fmt: skip
        with pytest.raises(MessageError) as caught:
            new_definition(_metric(**members), "f", catalogue)
        assert caught.value.property_path == f"/Metrics/0/{place}"
    wanted = _metric(CollectionFunction="Average", CollectionDuration="PT1M")
    found = new_definition(wanted, "f", catalogue)
    assert (found.collected, found.held, found.values_per_s) == (1, 600, 10)
    scene.reporter.store.add(found)
    again = DefinitionStore(scene.state)
    assert again.get("f") == found
    again.close()


def test_what_functions_hold_is_bounded(scene: Scene) -> None:
    """More than 1.6 MB of values is refused before anything is kept."""
    entry = Entry(None, (f"{SENSORS}/A#/Reading",), "Average", 3600.0)
    one = ReportDefinition("0", "0", "OnRequest", (entry,), metrics=1, collected=1, held=190_000)
    scene.reporter.store.add(one)
    with pytest.raises(ConflictError, match="200000"):
        scene.reporter.store.add(dataclasses.replace(one, id="1"))
    assert [known.id for known in scene.reporter.store.list()] == ["0"]
