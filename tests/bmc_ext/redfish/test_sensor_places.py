"""A sensor looks at its own feed, loop or junction: its cost does not grow with the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.config import parse_config
from bmc_ext.domain.power import FeedValues, PhaseValues, TotalValues
from bmc_ext.domain.snapshot import LoopValues, SiliconValues, Snapshot
from bmc_ext.redfish.feed_sensors import deviation_percent
from bmc_ext.redfish.sensor_catalogue import facility_sensors
from bmc_ext.telemetry.peaks import PowerPeaks
from drivers.reading import Quality, Reading

COUNT = 5


class Watched(tuple[Any, ...]):
    """A tuple that can be looked into at one place only, and never walked through."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("all members were looked at")


def _reading(value: float) -> Reading:
    return Reading(value, "Cel", Quality.OK, 1.0)


def _feed(number: int, power_w: float | None = None) -> FeedValues:
    phases = tuple(
        PhaseValues(name, 10.0 * number, 0, 0, 1, 1, 230.0, 1.0, 1, 1)
        for name in ("L1", "L2", "L3")
    )
    return FeedValues(
        f"f{number}", "waveform", Quality.OK, p_w=power_w or 100.0 * number, phases=phases
    )


def _loop(number: int) -> LoopValues:
    readings = [_reading(number * 10.0 + place) for place in range(6)]
    return LoopValues(f"l{number}", "water", Quality.OK, *readings, heat_w=number * 1000.0)


def _snapshot(window_id: int = 10, power_w: float | None = None) -> Snapshot:
    return Snapshot(
        window_id,
        None,
        TotalValues(Quality.OK, p_w=power_w or 1000.0),
        Watched(_feed(number, power_w) for number in range(COUNT)),
        Watched(_loop(number) for number in range(COUNT)),
        Watched(SiliconValues(f"s{n}", _reading(50.0 + n)) for n in range(COUNT)),
    )


def _config(tmp_path: Path) -> Any:
    return parse_config(
        {
            "facility": {"id": "site", "rated_power_w": 1e6},
            "state_dir": "state",
            "devices": [
                {"id": f"d{n}", "profile": "keller.33x", "target": "tcp://127.0.0.1:502"}
                for n in range(COUNT)
            ],
            "feeds": [
                {"id": f"f{n}", "rated_power_w": 1e3, "meter": f"d{n}"} for n in range(COUNT)
            ],
            "loops": [{"id": f"l{n}"} for n in range(COUNT)],
            "silicon": [{"id": f"s{n}", "temperature": "d0/x"} for n in range(COUNT)],
        },
        base=tmp_path,
    )


def test_every_sensor_reads_its_own_place(tmp_path: Path) -> None:
    """Each value is that of the configured place, found without a walk through the others."""
    sensors, snapshot = facility_sensors(_config(tmp_path)), _snapshot()
    values = {name: sensor.value(snapshot).value for name, sensor in sensors.items()}
    for number in range(COUNT):
        assert values[f"Feed_f{number}_Power"] == (100.0 * number or 0.0)
        assert values[f"Feed_f{number}_L2_Power"] == 10.0 * number
        assert values[f"Loop_l{number}_SupplyTemperature"] == number * 10.0
        assert values[f"Loop_l{number}_DeltaTemperature"] == 1.0
        assert values[f"Loop_l{number}_Heat"] == number * 1000.0
        assert values[f"Silicon_s{number}"] == 50.0 + number


def test_peaks_keep_the_first_moment_of_the_highest_power() -> None:
    """What is lower, equal or unknown afterwards does not move a peak."""
    peaks = PowerPeaks()
    for window_id, power_w in ((10, 5.0), (20, 9.0), (30, 9.0), (40, 2.0)):
        peaks.take(_walkable(_snapshot(window_id, power_w)))
    assert peaks.of(()) == peaks.of(("f3",)) == (9.0, 2.0)
    assert peaks.of(("f2", "L1")) == (20.0, 1.0)
    assert peaks.of(("nobody",)) is None


@pytest.mark.parametrize(
    ("values", "percent"),
    [
        ([9.0, 10.0, 11.0], 10.0),
        ([10.0, 10.0, 13.0], 100 * 2 / 11),
        ([10.0, None, 10.0], None),
        ([10.0], None),
        ([0.0, 0.0, 0.0], None),
        ([], None),
    ],
)
def test_unbalance_is_the_largest_deviation_from_the_mean(
    values: list[float | None], percent: float | None
) -> None:
    """Of three known phases; of fewer, or of nothing at all, it is unknown."""
    assert deviation_percent(values) == (None if percent is None else pytest.approx(percent))


def _walkable(snapshot: Snapshot) -> Snapshot:
    feeds = tuple(snapshot.feeds[place] for place in range(COUNT))
    return Snapshot(snapshot.window_id, None, snapshot.total, feeds, (), ())
