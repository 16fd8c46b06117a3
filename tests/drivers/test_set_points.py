"""Set points: every function that devices have, bounds in time, and what the device then holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_profile import write_profile

from drivers.engine import DeviceSpec, Engine
from drivers.errors import ProfileError, WriteRefusedError
from drivers.profile import load_profile

WaitUntil = Callable[[Callable[[], bool], float], float]
RunEngine = Callable[..., Engine]
Independent = Callable[..., Any]


def _one(**point: Any) -> dict[str, dict[str, Any]]:
    return {"x": {"addr": 0, "unit": "%", **point}}


@pytest.mark.parametrize(
    ("function", "point", "value", "registers"),
    [
        (6, {"scale": 0.1}, 55.5, [555, 0xABCD]),
        (16, {"type": "u32"}, 70000.0, [1, 4464]),
        (16, {}, 9.0, [9, 0xABCD]),
        (22, {"mask": 0x00F0, "addr": 1}, 5.0, [0x1234, 0xAB5D]),
        (23, {"type": "u32"}, 70000.0, [1, 4464]),
    ],
)
def test_a_write_is_in_the_servers_log_and_then_a_new_read(
    tmp_path: Path,
    independent_server: Independent,
    run_engine: RunEngine,
    wait_until: WaitUntil,
    function: int,
    point: dict[str, Any],
    value: float,
    registers: list[int],
) -> None:
    """Pymodbus gets the function that the profile names, and holds what was asked for."""
    server = independent_server(registers={0: [0x1234, 0xABCD]})
    rule = {"range": [0, 100000], "fc": function}
    path = write_profile(
        tmp_path, {**_one(write=rule, **point), "all": {"addr": 0, "type": "u32", "unit": "1"}}
    )
    engine = run_engine(DeviceSpec("d", path, server.target))
    wait_until(lambda: engine.reading("d", "x").value is not None, 5.0)
    result = engine.write("d", "x", value, timeout_s=3.0)
    assert (result.status, result.accepted) == ("accepted", pytest.approx(value))
    log = server.log()
    (at,) = (k for k, entry in enumerate(log) if entry.get("values") is not None)
    assert log[at]["function"] == function
    assert any(entry["function"] == 3 for entry in log[at + 1 :])
    assert engine.reading("d", "all").value == 0x10000 * registers[0] + registers[1]


def test_writes_that_come_too_soon_are_refused(
    tmp_path: Path, independent_server: Independent, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A point with 1.5 s between writes refuses the second, sends nothing, then takes it."""
    server = independent_server(registers={0: [0]})
    path = write_profile(tmp_path, _one(write={"range": [0, 100], "min_interval_ms": 1500}))
    engine = run_engine(DeviceSpec("d", path, server.target))
    assert engine.write("d", "x", 10.0, timeout_s=3.0).status == "accepted"
    with pytest.raises(WriteRefusedError, match=r"d/x: written less than 1.5 s ago, wait 1\.\d"):
        engine.write("d", "x", 20.0)
    with pytest.raises(WriteRefusedError, match="outside 0 to 100"):
        engine.write("d", "x", 200.0)
    assert engine.reading("d", "x").value == 10.0

    def taken() -> bool:
        try:
            return engine.write("d", "x", 20.0, timeout_s=3.0).status == "accepted"
        except WriteRefusedError:
            return False

    assert wait_until(taken, 5.0) > 1.0
    writes = [entry["values"] for entry in server.log() if entry.get("values") is not None]
    assert writes == [[10], [20]]


def test_a_device_that_keeps_its_value_did_not_accept(
    tmp_path: Path, independent_server: Independent, run_engine: RunEngine
) -> None:
    """The write was acknowledged, the read-back tells what is effective."""
    server = independent_server(registers={0: [3]}, ignore_writes=True)
    path = write_profile(tmp_path, _one(write={"range": [0, 100]}))
    engine = run_engine(DeviceSpec("d", path, server.target))
    result = engine.write("d", "x", 10.0, timeout_s=3.0)
    assert (result.status, result.accepted) == ("not_set", 3.0)
    assert result.reason == "the device holds 3 %"


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({"type": "u32", "write": {"range": [0, 1], "fc": 22}}, "fc 22 writes one register"),
        ({"write": {"range": [0, 1], "fc": 22}}, "fc 22 sets the bits of a mask, the point has"),
    ],
)
def test_a_function_that_cannot_write_the_point_is_refused(
    tmp_path: Path, point: dict[str, Any], reason: str
) -> None:
    """Function 22 sets bits of one register."""
    with pytest.raises(ProfileError, match=reason):
        load_profile(write_profile(tmp_path, _one(**point)))
