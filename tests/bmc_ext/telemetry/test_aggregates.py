"""Seconds and minutes against their closed forms."""

from __future__ import annotations

import math

import pytest

from bmc_ext.telemetry.aggregates import Aggregate, SecondBin, merge
from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Quality


def _window(window_id: int, p_mean_w: float, voltage_v: float, frequency_hz: float) -> WindowRecord:
    return WindowRecord(
        window_id, Quality.OK, p_w=-1.0, p_mean_w=p_mean_w, frequency_hz=frequency_hz,
        v_rms_v=(voltage_v, voltage_v, None), energy_import_j=float(window_id),
    )  # fmt: skip


def test_a_second_is_made_of_its_windows() -> None:
    """Mean and extremes are of the plain means, voltage is a root mean square, energy the last."""
    second = SecondBin()
    for number in range(10):
        second.add(_window(number, 100.0 + number, 230.0 + number, 50.0 + number / 100))
    aggregate = second.aggregate(7)
    assert aggregate is not None
    assert aggregate.start_s == 7
    assert aggregate.p_w == pytest.approx(104.5)
    assert (aggregate.p_min_w, aggregate.p_max_w) == (100.0, 109.0)
    mean_square = sum((230.0 + number) ** 2 for number in range(10)) / 10
    assert aggregate.v_rms_v == pytest.approx(math.sqrt(mean_square))
    assert aggregate.frequency_hz == pytest.approx(50.045)
    assert aggregate.energy_import_j == 9.0
    assert aggregate.valid_windows == 10


def test_a_bad_window_leaves_a_gap() -> None:
    """Windows that are not of quality OK are counted out, and nothing but them is no second."""
    second = SecondBin()
    second.add(WindowRecord(0, Quality.STALE))
    assert second.aggregate(0) is None
    second.add(_window(1, 5.0, 230.0, 50.0))
    second.add(WindowRecord(2, Quality.COMM_ERROR, p_mean_w=9.0))
    aggregate = second.aggregate(0)
    assert aggregate is not None
    assert (aggregate.p_w, aggregate.valid_windows) == (5.0, 1)


def test_unknown_stays_unknown() -> None:
    """Without voltage, frequency or energy these are None, not 0."""
    second = SecondBin()
    second.add(WindowRecord(0, Quality.OK, p_mean_w=5.0))
    aggregate = second.aggregate(0)
    assert aggregate == Aggregate(0, 5.0, 5.0, 5.0, None, None, None, 1)
    assert aggregate is not None
    assert merge(0, [aggregate]) == aggregate


def test_a_minute_weighs_its_seconds_by_their_windows() -> None:
    """A second with half the windows counts half; extremes span all, the energy is the last."""
    full = Aggregate(0, 100.0, 90.0, 110.0, 230.0, 50.0, 1.0, 10)
    half = Aggregate(1, 400.0, 300.0, 500.0, 240.0, None, 2.0, 5)
    minute = merge(0, [full, half])
    assert minute.p_w == pytest.approx(200.0)
    assert (minute.p_min_w, minute.p_max_w) == (90.0, 500.0)
    assert minute.v_rms_v == pytest.approx(math.sqrt((2 * 230.0**2 + 240.0**2) / 3))
    assert minute.frequency_hz == 50.0
    assert (minute.energy_import_j, minute.valid_windows) == (2.0, 15)


def test_nothing_cannot_be_merged() -> None:
    """A minute without seconds is an error, not a row of zeros."""
    with pytest.raises(ValueError, match="nothing to merge"):
        merge(0, [])
