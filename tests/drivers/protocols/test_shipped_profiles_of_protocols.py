"""Every shipped profile beside plain Modbus: its golden vectors, and its simulated device."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.codec import PointCodec
from drivers.engine import DeviceSpec, Engine
from drivers.profile import SHIPPED_DIRECTORY, Profile, list_profiles
from drivers.profile_types import Golden
from drivers.protocol import protocol_named
from drivers.protocols.line import LineTransport
from drivers.protocols.mbus import MbusTransport
from drivers.protocols.mbus_record import read_records
from drivers.protocols.snmp import SnmpTransport
from drivers.protocols.sysfs import SysfsTarget, SysfsTransport
from drivers.reading import Quality
from drivers.simulation import SimulatedBehaviour
from drivers.simulation.point_values import PointValues
from drivers.simulation.served_values import Place, serve_values

PROFILES = [profile for profile in list_profiles() if profile.protocol != "modbus"]
VECTORS = [(profile, vector) for profile in PROFILES for vector in profile.golden]
each_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.id)


def test_profiles_of_each_protocol_are_shipped() -> None:
    """There are profiles of five protocols beside Modbus, and every one has golden vectors."""
    protocols = [profile.protocol for profile in PROFILES]
    assert {name: protocols.count(name) for name in set(protocols)} == {
        "sunspec": 7, "mbus": 4, "snmp": 5, "sysfs": 4, "line": 2,
    }  # fmt: skip
    assert all(profile.golden for profile in PROFILES)


@pytest.mark.parametrize(("profile", "vector"), VECTORS, ids=lambda entry: getattr(entry, "id", ""))
def test_golden_vectors_hold(profile: Profile, vector: Golden, tmp_path: Path) -> None:
    """What devices sent, or standards say, is decoded to what it is known to mean."""
    assert vector.origin
    codecs = [PointCodec(point) for point in profile.points.values()]
    plan = protocol_named(profile.protocol).plan(profile, codecs)
    answers = [
        _ANSWERS[profile.protocol](request, vector.read, tmp_path) for request in plan.requests
    ]
    values, qualities = plan.decode(answers)
    rows = {codec.point.name: row for row, codec in enumerate(codecs)}
    for name, expected in vector.expect.items():
        row = rows[name]
        if expected is None:
            assert qualities[row] == 1, name
        else:
            assert qualities[row] == 0, name
            read = codecs[row].to_device(float(values[row]))
            assert read == pytest.approx(expected, rel=1e-7, abs=1e-9), name


def _sunspec(request: Any, read: Any, _: Path) -> bytes:
    """The vector's registers within the request's window, zeros around them."""
    registers = (
        dict(enumerate(read["regs"], read["offset"])) if read["model"] == request.model else {}
    )
    window = range(request.offset, request.offset + request.count)
    return b"".join(registers.get(place, 0).to_bytes(2, "big") for place in window)


class _Bytes:
    """A line on which every short frame or text is answered with the next of `replies`."""

    def __init__(self, *replies: bytes) -> None:
        self._replies = list(replies)

    def open(self) -> None: ...

    def close(self) -> None: ...

    def drain(self, *, patient: bool) -> None: ...

    def write(self, data: bytes) -> None: ...

    def read(self, _timeout_s: float) -> bytes:
        return self._replies.pop(0)


def _mbus(request: Any, read: Any, _: Path) -> list[float]:
    if "telegram" in read:
        telegram = bytes.fromhex(read["telegram"])
        transport = MbusTransport(_Bytes(b"\xe5", telegram), "meter", 2400)
        return transport.read(telegram[5], request, 1.0)
    records, more = read_records(bytes.fromhex(read["records"]))
    assert not more
    known = {record.key: record.value for record in records}
    return [known.get(key, float("nan")) for key in request]


class _Objects:
    """An agent that has the vector's objects."""

    def __init__(self, objects: dict[str, int]) -> None:
        self._objects = objects

    def get(self, oids: list[str], _timeout_s: float) -> tuple[int, int, dict[str, int]]:
        return 0, 0, {oid: self._objects[oid] for oid in oids if oid in self._objects}


def _snmp(request: Any, read: Any, _: Path) -> list[float]:
    session: Any = _Objects(read["objects"])
    return SnmpTransport(session, "agent").read(1, request, 1.0)


def _sysfs(request: Any, read: Any, folder: Path) -> list[float]:
    chip = folder / "hwmon0"
    chip.mkdir()
    for name, text in {"name": "chip", **read["files"]}.items():
        (chip / name).write_text(f"{text}\n")
    transport = SysfsTransport()
    try:
        return transport.read(SysfsTarget(str(folder), "chip").unit, request, 1.0)
    finally:
        transport.close()


def _line(request: Any, read: Any, _: Path) -> list[float]:
    question = request.question
    steps = [f"{question.acknowledge}{question.end}"] * (len(question.send) - 1)
    said = [text.encode() for text in (*steps, f"{read['line']}{question.end}")]
    return LineTransport(_Bytes(*said), "instrument").read(1, request, 1.0)


_ANSWERS: dict[str, Callable[[Any, Any, Path], Any]] = {
    "sunspec": _sunspec, "mbus": _mbus, "snmp": _snmp, "sysfs": _sysfs, "line": _line,
}  # fmt: skip


@each_profile
def test_a_simulated_device_is_read_back(
    profile: Profile,
    tmp_path: Path,
    stack: ExitStack,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Every point of a simulated device arrives through the engine, ok, as the device has it."""
    device = PointValues(profile)
    SimulatedBehaviour(device).advance(1.0)
    assert set(profile.simulation) == set(profile.points)
    target = stack.enter_context(serve_values(device, Place(folder=tmp_path)))
    engine = run_engine(DeviceSpec("d", profile.id, target, profile.transport.unit))
    wait_until(lambda: {r.quality for r in engine.readings("d").values()} == {Quality.OK}, 10.0)
    for point, reading in engine.readings("d").items():
        codec = PointCodec(profile.points[point])
        step = abs(codec.to_canonical(profile.points[point].scale) - codec.to_canonical(0.0))
        coarse = {"mbus": 0.1, "sunspec": 10.0}.get(profile.protocol, 1.0)
        expected = device.get(point)
        assert reading.value == pytest.approx(expected, rel=5e-4, abs=coarse * step), point
        assert reading.unit == codec.unit
    for condition in profile.identify:
        value = PointCodec(profile.points[condition.point]).to_device(
            engine.reading("d", condition.point).value or 0.0
        )
        assert condition.low <= value <= condition.high


@each_profile
def test_many_devices_are_decoded_as_one_by_one(profile: Profile, tmp_path: Path) -> None:
    """The answers of several devices at once give the rows that each alone gives."""
    codecs = [PointCodec(point) for point in profile.points.values()]
    plan: Any = protocol_named(profile.protocol).plan(profile, codecs)
    each = [
        [
            _ANSWERS[profile.protocol](request, vector.read, _new(tmp_path))
            for request in plan.requests
        ]
        for vector in (profile.golden[0], profile.golden[-1])
    ]
    values, qualities = plan.decode_many(each)
    assert values.shape == qualities.shape == (2, len(codecs))
    for row, answers in enumerate(each):
        alone, alone_qualities = plan.decode(answers)
        assert values[row] == pytest.approx(alone, nan_ok=True)
        assert (qualities[row] == alone_qualities).all()


def _new(folder: Path) -> Path:
    """A folder that is not there yet, in `folder`."""
    made = folder / str(len(list(folder.iterdir())))
    made.mkdir()
    return made


@pytest.mark.parametrize("name", ["sunspec", "mbus", "snmp", "sysfs", "line"])
def test_the_guide_names_every_member_of_a_point(name: str) -> None:
    """What a profile may write under `at` and each scheme of a target is in the guide."""
    protocol = protocol_named(name)
    guide = (SHIPPED_DIRECTORY.parent / "protocols" / "README.md").read_text("utf-8")
    for member in protocol.point_schema["properties"]:
        assert re.search(rf"[`{{ ]{member}[`:]", guide), member
    for scheme in protocol.schemes:
        assert f"{scheme}:" in guide or (name == "sunspec" and "those of Modbus" in guide), scheme
