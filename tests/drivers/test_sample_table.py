"""Samples of many devices at once: the same as one by one, and what makes a value impossible."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_profile import write_profile

from drivers.codec import OK, OUT_OF_RANGE, PointCodec
from drivers.cross_checks import CrossChecks
from drivers.engine import DeviceSpec, Engine
from drivers.modbus_protocol import MODBUS
from drivers.profile import Profile, list_profiles, load_profile
from drivers.reading import Quality
from drivers.sample_table import Sample, SampleTable
from drivers.simulation import ModbusTcpServer, SimulatedDevice


def _table(folder: Path, **point: object) -> SampleTable:
    path = write_profile(folder, {"x": {"addr": 0, "unit": "V", **point}})
    return SampleTable(load_profile(path), MODBUS, 1.0, 1.0)


def _seen(table: SampleTable, row: int, register: int, now: float) -> Sample:
    table.accept(row, 0, [struct.pack(">H", register)], 1000.0 + now, now)
    sample = table.sample(row, 0)
    assert sample is not None
    return sample


def test_a_spike_is_withheld_and_a_step_is_believed_in_time(tmp_path: Path) -> None:
    """At most 10 V/s: 230, 900 (no), 231, then 251 only when two seconds have passed."""
    table = _table(tmp_path, max_rate=10.0)
    row = table.add([10.0], lambda _: None)
    story = [(0.0, 230, OK), (0.1, 900, OUT_OF_RANGE), (0.2, 231, OK), (0.3, 251, OUT_OF_RANGE)]
    story += [(1.2, 251, OUT_OF_RANGE), (2.1, 251, OUT_OF_RANGE), (2.3, 251, OK), (2.4, 251, OK)]
    for now, register, quality in story:
        assert _seen(table, row, register, now).quality == quality, now
    # A value that stood for a minute and was read all the time does not save up speed.
    for second in range(3, 60):
        assert _seen(table, row, 251, float(second)).quality == OK
    assert _seen(table, row, 300, 59.1).quality == OUT_OF_RANGE


def test_rows_are_apart_and_used_again(tmp_path: Path) -> None:
    """Many devices keep their own values; a device that comes into a left row inherits nothing."""
    table = _table(tmp_path)
    rows = [table.add([1.0], lambda _: None) for _ in range(9)]
    for turn in range(3):
        for row in rows:
            table.accept(row, 0, [struct.pack(">H", 100 * turn + row)], 0.0, float(turn))
    for row in rows:
        sample = table.sample(row, 0)
        assert sample is not None
        assert (sample.value, sample.since, sample.interval_s) == (200.0 + row, 2.0, 1.0)
    table.remove(rows[4])
    again = table.add([1.0], lambda _: None)
    assert again == rows[4]
    assert table.sample(again, 0) is None
    assert math.isnan(_seen(table, again, 7, 5.0).interval_s)
    assert math.isnan(_seen(table, again, 8, 6.0).interval_s)
    assert _seen(table, again, 9, 6.5).interval_s == 0.5


def test_the_same_bytes_again_are_new_but_no_change(tmp_path: Path) -> None:
    """Equal answers move the time of measurement only."""
    table = _table(tmp_path)
    row = table.add([1.0], lambda _: None)
    _seen(table, row, 7, 1.0)
    sample = _seen(table, row, 7, 2.0)
    assert (sample.measured, sample.measured_wall) == (2.0, 1002.0)
    assert (sample.since, sample.changed_wall) == (1.0, 1001.0)


_MODBUS_PROFILES = [profile for profile in list_profiles() if profile.protocol == "modbus"]


@given(profile=st.sampled_from(_MODBUS_PROFILES), data=st.data())
def test_many_devices_decode_as_one(profile: Profile, data: st.DataObject) -> None:
    """Whatever the registers hold, arrays of devices give what each device gives alone."""
    codecs = [PointCodec(point) for point in profile.points.values()]
    plan = MODBUS.plan(profile, codecs)
    lengths = [2 * request.count for request in plan.requests]
    device = st.tuples(*(st.binary(min_size=n, max_size=n) for n in lengths))
    answers = data.draw(st.lists(device, min_size=1, max_size=4))
    values, qualities = plan.decode_many(answers)
    for k, one in enumerate(answers):
        alone, codes = plan.decode(one)
        np.testing.assert_array_equal(values[k], alone)
        np.testing.assert_array_equal(qualities[k], codes)


_EXPRESSIONS = ("a + b - c", "abs(a) / (b - c)", "max(a, b, 3) * min(b, c)", "-a", "2", "a / 0")


@given(
    st.lists(
        st.tuples(*[st.one_of(st.none(), st.floats(-1e3, 1e3)) for _ in "abc"]),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(_EXPRESSIONS),
    st.sampled_from(_EXPRESSIONS),
)
def test_checks_of_many_devices_are_those_of_each(
    tmp_path_factory: pytest.TempPathFactory,
    devices: list[tuple[float | None, ...]],
    deviation: str,
    limit: str,
) -> None:
    """A check over arrays tells of every device what `Check.holds` tells of it alone."""
    points = {name: {"addr": k, "unit": "V"} for k, name in enumerate("abc")}
    folder = tmp_path_factory.mktemp("checks")
    path = write_profile(folder, points, checks=[{"expr": deviation, "max": limit}])
    profile = load_profile(path)
    codecs = {name: PointCodec(point) for name, point in profile.points.items()}
    checks = CrossChecks(profile.checks, codecs, {name: k for k, name in enumerate("abc")})
    for row in range(len(devices)):
        checks.reset(row, len(devices))
    values = np.array(devices, np.float64)
    known = ~np.isnan(values)
    qualities = np.where(known, OK, 1).astype(np.uint8)
    checks.review(np.arange(len(devices)), values, qualities, known)
    for row, device in enumerate(devices):
        named = {name: v for name, v in zip("abc", device, strict=True) if v is not None}
        assert checks.verdicts(row) == (profile.checks[0].holds(named),)


def test_a_value_that_stands_still_is_stale(
    tmp_path: Path,
    run_engine: Callable[..., Engine],
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """A voltage that must always move a little and does not for 0.6 s is stale, others are not."""
    points = {
        "live": {"addr": 0, "unit": "V", "stuck_after_ms": 600},
        "setting": {"addr": 1, "unit": "V"},
    }
    path = write_profile(tmp_path, points)
    device = SimulatedDevice(load_profile(path))
    device.update({"live": 230.0, "setting": 5.0})
    engine = run_engine(DeviceSpec("d", path, f"tcp://127.0.0.1:{serve_tcp({1: device}).port}"))
    wait_until(lambda: engine.reading("d", "live").value == 230.0, 3.0)
    wait_until(lambda: engine.reading("d", "live").quality is Quality.STALE, 3.0)
    reading = engine.reading("d", "live")
    assert reading.value is None
    assert reading.measured_at is not None
    assert reading.changed_at is not None
    assert reading.measured_at - reading.changed_at > 0.4
    assert engine.reading("d", "setting").value == 5.0
    device.update({"live": 231.0})
    wait_until(lambda: engine.reading("d", "live").value == 231.0, 3.0)


def test_devices_come_and_go_while_others_run(
    tmp_path: Path,
    run_engine: Callable[..., Engine],
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Devices of one profile are added and removed on a running engine; each reads its own."""
    path = write_profile(tmp_path, {"x": {"addr": 0, "unit": "V"}})
    devices = {unit: SimulatedDevice(load_profile(path)) for unit in range(1, 7)}
    for unit, device in devices.items():
        device.update({"x": float(unit)})
    target = f"tcp://127.0.0.1:{serve_tcp(devices).port}"
    engine = run_engine(DeviceSpec("d1", path, target, 1))
    for turn in range(3):
        for unit in range(2, 7):
            engine.add(DeviceSpec(f"d{unit}", path, target, unit))
        wait_until(lambda: all(engine.reading(f"d{u}", "x").value == u for u in range(1, 7)), 5.0)
        for unit in range(2 + turn % 2, 7):
            engine.remove(f"d{unit}")
        for unit in range(2, 2 + turn % 2):
            engine.remove(f"d{unit}")
        with pytest.raises(KeyError, match="no device 'd6'"):
            engine.reading("d6", "x")
    assert engine.device_ids == ("d1",)
    polls = engine.statistics("d1").polls
    wait_until(lambda: engine.statistics("d1").polls > polls + 2, 3.0)
