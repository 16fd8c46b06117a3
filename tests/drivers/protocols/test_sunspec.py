"""SunSpec against pysunspec2: its images read by the driver, our simulated device read by it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sunspec2.device
import sunspec2.modbus.client

from drivers.codec import PointCodec
from drivers.engine import DeviceSpec, Engine
from drivers.errors import ProfileError, TransportError
from drivers.profile import load_profile
from drivers.protocols.sunspec import SUNSPEC, ModelBlock, SunSpecTransport
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour
from drivers.simulation.point_values import PointValues
from drivers.simulation.sunspec_device import SunSpecDevice

_RAW_103 = {
    "A": 542, "AphA": 181, "AphB": 180, "A_SF": -1, "PhVphA": 2301, "PhVphB": 2299, "V_SF": -1,
    "W": -1234, "W_SF": 1, "Hz": 5001, "Hz_SF": -2, "WH": 1234567, "WH_SF": 0, "St": 4,
    "TmpCab": 415, "Tmp_SF": -1, "DCV": 7105,
}  # fmt: skip


def image(model_id: int, raw: dict[str, int]) -> list[int]:
    """The registers of a model as pysunspec2 lays them out; what is not given is unimplemented."""
    model = sunspec2.device.Model(model_id=model_id)
    model.ID.value, model.L.value = model_id, model.len - 2
    for name, number in raw.items():
        if name.endswith("_SF"):
            model.points[name].value = number
    for name, number in raw.items():
        model.points[name].value = number
    data = model.get_mb()
    return list(struct.unpack(f">{len(data) // 2}H", data))


def chain(*models: list[int]) -> list[int]:
    """The marker, the models and the end."""
    return [0x5375, 0x6E53, *(register for model in models for register in model), 0xFFFF, 0]


_COMMON = image(1, {})


@pytest.mark.parametrize("base", [0, 40000, 50000])
def test_an_inverter_is_found_wherever_its_models_stand(
    base: int,
    independent_server: Callable[..., Any],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Base address and the models in front do not matter; not-implemented points are absent."""
    registers = chain(_COMMON, image(120, {}), image(103, _RAW_103))
    server = independent_server(registers={base: registers})
    engine = run_engine(DeviceSpec("pv", "sunspec.inverter_103", server.target))
    wait_until(lambda: engine.reading("pv", "frequency").quality is Quality.OK, 5.0)
    readings = engine.readings("pv")
    expected = {
        "current.total": 54.2, "current.L1": 18.1, "voltage.L1": 230.1, "voltage.L2": 229.9,
        "power.active.total": -12340.0, "frequency": 50.01, "energy.active.export": 1234567 * 3600,
        "temperature.cabinet": 41.5, "state.operating": 4,
    }  # fmt: skip
    for point, value in expected.items():
        assert readings[point].value == pytest.approx(value), point
    for point in ("current.L3", "voltage.L3", "power.dc", "pf.total"):
        assert readings[point].quality is Quality.ABSENT, point
    # The registers hold volts, but their scale factor is not implemented.
    assert readings["voltage.dc"].quality is Quality.ABSENT


def test_value_and_scale_factor_come_in_one_request(
    independent_server: Callable[..., Any],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """The wire shows it: no request reads power or its factor without the other."""
    server = independent_server(registers={40000: chain(_COMMON, image(103, _RAW_103))})
    engine = run_engine(DeviceSpec("pv", "sunspec.inverter_103", server.target))
    wait_until(lambda: engine.reading("pv", "frequency").quality is Quality.OK, 5.0)
    start = 40002 + len(_COMMON)
    value, factor = start + 14, start + 15
    polls = [
        range(entry["address"], entry["address"] + entry["count"])
        for entry in server.log()
        if "address" in entry and entry["count"] > 2
    ]
    assert polls
    assert all((value in poll) == (factor in poll) for poll in polls)


def test_a_device_without_models_is_refused_by_name(
    independent_server: Callable[..., Any],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """No marker, another model, a chain without end: comm-error, and the reason says which."""
    for registers, reason in (
        ({40000: [1, 2, 3]}, "no SunSpec marker at 40000, 0, 50000"),
        ({40000: chain(_COMMON)}, "no SunSpec model 103 (instance 1); there are: 1"),
        ({40000: [0x5375, 0x6E53, 9, 65000, *[0] * 20]}, "has no end"),
    ):
        server = independent_server(registers=registers)
        engine = run_engine(DeviceSpec("pv", "sunspec.inverter_103", server.target))
        wait_until(lambda e=engine: e.statistics("pv").last_error is not None, 5.0)
        assert reason in (engine.statistics("pv").last_error or "")
        assert engine.reading("pv", "frequency").quality is Quality.COMM_ERROR
        engine.stop()
        server.kill()


class _Registers:
    """A Modbus transport over a register image that says what it was asked for."""

    def __init__(self, registers: dict[int, int]) -> None:
        self.registers = registers
        self.asked: list[ReadBlock] = []

    def open(self) -> None: ...

    def close(self) -> None: ...

    def write(self, unit: int, request: Any, timeout_s: float) -> None: ...

    def read(self, _unit: int, request: ReadBlock, _timeout_s: float) -> bytes:
        self.asked.append(request)
        wanted = range(request.address, request.address + request.count)
        if not all(place in self.registers for place in wanted):
            raise TransportError("illegal data address", refused=True)
        return b"".join(self.registers[place].to_bytes(2, "big") for place in wanted)


def test_the_chain_is_walked_once_and_again_after_a_loss() -> None:
    """Models are looked for at the first read; after an error they are looked for anew."""
    wire = _Registers(dict(enumerate(chain(_COMMON, image(103, _RAW_103)), 40000)))
    transport = SunSpecTransport(wire, "bus")
    block = ModelBlock(103, 1, 0, 2)
    assert transport.read(1, block, 1.0) == struct.pack(">HH", 103, 50)
    walked = len(wire.asked)
    transport.read(1, block, 1.0)
    assert len(wire.asked) == walked + 1
    # Another firmware: one more model in front.
    moved = chain(_COMMON, image(120, {}), image(103, _RAW_103))
    wire.registers = dict(enumerate(moved, 0))
    with pytest.raises(TransportError):
        transport.read(1, block, 1.0)
    assert transport.read(1, block, 1.0) == struct.pack(">HH", 103, 50)


def test_a_shorter_model_has_fewer_points() -> None:
    """What lies behind the end of the device's model is absent, not the next model's registers."""
    profile = load_profile("sunspec.dc_714")
    short = [714, 18, *[0] * 18]
    short[4], short[5], short[15] = 1, 1900, 0xFFFE
    wire = _Registers(dict(enumerate(chain(_COMMON, short, image(103, _RAW_103)), 40000)))
    transport = SunSpecTransport(wire, "bus")
    codecs = [PointCodec(point) for point in profile.points.values()]
    plan = SUNSPEC.plan(profile, codecs)
    values, qualities = plan.decode([transport.read(1, r, 1.0) for r in plan.requests])
    found = {
        codec.point.name: (float(value), int(quality))
        for codec, value, quality in zip(codecs, values, qualities, strict=True)
    }
    assert found["current.dc"] == (19.0, 0)
    assert found["port2.voltage"][1] == 1


def test_a_scale_factor_out_of_reach_is_refused(tmp_path: Path) -> None:
    """A value and a factor that one read cannot hold are an error of the profile."""
    text = load_profile("sunspec.der_701").path.read_text().replace("max_regs: 125", "max_regs: 60")
    path = tmp_path / "short.yaml"
    path.write_text(text.replace("id: sunspec.der_701", "id: acme.short"))
    with pytest.raises(ProfileError, match=r"points/.*/at: the value and its scale factor are"):
        Engine([DeviceSpec("d", str(path), "tcp://127.0.0.1:1")])


def test_pysunspec2_reads_our_simulated_device(stack: ExitStack) -> None:
    """The Alliance's own client finds the models of the simulated battery and agrees on values."""
    values = PointValues(load_profile("sunspec.battery_802"))
    SimulatedBehaviour(values).advance(0.0)
    device: Any = SunSpecDevice(values, lengths={802: 62, 803: 26 + 4 * 32})  # four strings
    server = ModbusTcpServer({1: device})
    server.start()
    stack.callback(server.stop)
    client = sunspec2.modbus.client.SunSpecModbusClientDeviceTCP(
        slave_id=1, ipaddr="127.0.0.1", ipport=server.port, timeout=5.0
    )
    stack.callback(client.close)
    client.scan()
    base, bank = client.models[802][0], client.models[803][0]
    assert base.V.cvalue == pytest.approx(values.get("voltage.dc"), abs=0.011)
    assert base.A.cvalue == pytest.approx(-21.5)
    assert base.W.cvalue == pytest.approx(-17400)
    assert base.SoC.cvalue == pytest.approx(72.5)
    assert bank.ModTmpMax.cvalue == pytest.approx(31.5)
    assert bank.StrVMin.cvalue == pytest.approx(811.9)


def test_a_device_that_dies_is_lost_and_found(
    independent_server: Callable[..., Any],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Killed: comm-error; back with its models elsewhere: found there, ok."""
    models = image(103, _RAW_103)
    server = independent_server(registers={40000: chain(_COMMON, models)})
    engine = run_engine(DeviceSpec("pv", "sunspec.inverter_103", server.target))
    wait_until(lambda: engine.reading("pv", "frequency").quality is Quality.OK, 5.0)
    server.kill()
    wait_until(lambda: engine.reading("pv", "frequency").quality is Quality.COMM_ERROR, 3.0)
    server.spec = {"registers": {0: chain(_COMMON, image(120, {}), models)}}
    server.start()
    wait_until(lambda: engine.reading("pv", "frequency").quality is Quality.OK, 10.0)
