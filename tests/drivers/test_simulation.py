"""The simulated devices, asked by pymodbus as an independent master; and the engine over RTU."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from drivers.engine import DeviceSpec, Engine
from drivers.errors import TransportError
from drivers.profile import Profile, load_profile
from drivers.reading import Quality
from drivers.simulation import (
    ModbusRtuServer,
    ModbusTcpServer,
    PseudoTerminal,
    SimulatedBehaviour,
    SimulatedDevice,
)
from drivers.simulation.rtu_server import crc16

WaitUntil = Callable[[Callable[[], bool], float], float]
RunEngine = Callable[..., Engine]
ServeTcp = Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]
ServeRtu = Callable[[dict[int, SimulatedDevice]], str]
Master = ModbusTcpClient | ModbusSerialClient

FLOAT32 = ModbusTcpClient.DATATYPE.FLOAT32


def two_devices() -> dict[int, SimulatedDevice]:
    """A flow meter as unit 3 and a drive as unit 9."""
    flow = SimulatedDevice(load_profile("oem.tuf2000m"))
    flow.update({"flow.volume": 2500.0, "signal.quality": 87.0})
    drive = SimulatedDevice(load_profile("danfoss.fc102"))
    drive.set("speed.actual", -50.0)
    return {3: flow, 9: drive}


def ask(master: Master, devices: dict[int, SimulatedDevice]) -> None:
    """What an independent master must find on the two devices."""
    registers = master.read_holding_registers(0, count=2, device_id=3).registers
    assert master.convert_from_registers(registers, FLOAT32, word_order="little") == 150.0
    assert master.read_holding_registers(91, count=1, device_id=3).registers == [87]
    assert master.read_holding_registers(2910, count=1, device_id=9).registers == [0xE000]
    # What the device does not have it refuses: gaps, other tables, read-only and unknown registers.
    assert master.read_holding_registers(8, count=1, device_id=3).exception_code == 2
    assert master.read_input_registers(0, count=2, device_id=3).exception_code == 2
    assert master.read_coils(0, count=1, device_id=3).isError()
    assert master.write_register(2910, 1, device_id=9).exception_code == 2
    written: list[tuple[str, float]] = []
    devices[9].on_write = lambda point, value: written.append((point, value))
    assert not master.write_register(2810, 0x2000, device_id=9).isError()
    assert devices[9].get("speed.reference") == 50.0
    assert not master.write_registers(2810, [0x1000], device_id=9).isError()
    assert written == [("speed.reference", 50.0), ("speed.reference", 25.0)]


def test_an_independent_master_finds_them_over_tcp(serve_tcp: ServeTcp) -> None:
    """Pymodbus reads, writes and is refused over Modbus TCP; nobody is a gateway's exception."""
    devices = two_devices()
    server = serve_tcp(devices)
    with ModbusTcpClient("127.0.0.1", port=server.port, timeout=10) as master:
        ask(master, devices)
        assert master.read_holding_registers(0, count=1, device_id=77).exception_code == 0x0B


def test_an_independent_master_finds_them_over_rtu(serve_rtu: ServeRtu) -> None:
    """Pymodbus reads, writes and is refused over Modbus RTU on a pty."""
    devices = two_devices()
    with ModbusSerialClient(serve_rtu(devices), baudrate=115200, timeout=0.5) as master:
        ask(master, devices)


def test_the_crc_is_the_standard_one() -> None:
    """The CRC of 02 07 is 41 12, the worked example of Modbus over Serial Line V1.02, 6.2.2."""
    assert crc16(b"\x02\x07") == b"\x41\x12"


def test_noise_on_the_line_drops_one_frame_only(serve_rtu: ServeRtu) -> None:
    """After garbage, a broken CRC and half a frame, the next whole frame is answered."""
    path = serve_rtu(two_devices())
    line = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        good = bytes([3, 3, 0, 91, 0, 1])
        for noise in (b"\x00\xff\x13", good + b"\x00\x00", good[:4]):
            os.write(line, noise)
            time.sleep(0.06)
        os.write(line, good + crc16(good))
        answer = os.read(line, 64)
        assert answer == bytes([3, 3, 2, 0, 87]) + crc16(bytes([3, 3, 2, 0, 87]))
    finally:
        os.close(line)


def test_reads_too_long_for_the_device_are_refused(serve_tcp: ServeTcp) -> None:
    """The SDM630 takes 80 registers in one read, not 81."""
    server = serve_tcp({1: SimulatedDevice(load_profile("eastron.sdm630"))})
    with ModbusTcpClient("127.0.0.1", port=server.port, timeout=10) as master:
        assert master.read_input_registers(0, count=81).exception_code == 3
        assert len(master.read_input_registers(0, count=76).registers) == 76


def test_a_server_that_stops_drops_its_clients_and_starts_again_on_its_port() -> None:
    """Stop closes connections at once, start binds the same port; a taken port is an error."""
    device = SimulatedDevice(load_profile("keller.33x"))
    server = ModbusTcpServer({1: device})
    server.start()
    port = server.port
    with ModbusTcpClient("127.0.0.1", port=port, timeout=1) as master:
        assert not master.read_holding_registers(256, count=4).isError()
        with pytest.raises(TransportError, match=f"127.0.0.1:{port} cannot be served"):
            ModbusTcpServer({1: device}, port=port).start()
        server.stop()
        assert master.socket is not None
        master.socket.settimeout(1.0)
        assert master.socket.recv(1) == b""
    server.stop()
    server.start()
    assert server.port == port
    server.stop()


def test_points_are_set_and_read_in_line_values() -> None:
    """With transformer ratios the simulated meter is set to what the line carries."""
    meter = SimulatedDevice(load_profile("eastron.sdm630"), ct_ratio=1000.0, pt_ratio=100.0)
    meter.update({"voltage.L1": 20_000.0, "power.active.total": 12e6, "frequency": None})
    assert meter.get("voltage.L1") == pytest.approx(20_000.0)
    assert meter.get("power.active.total") == pytest.approx(12e6)
    assert meter.get("frequency") is None
    assert meter.read_registers(4, 0, 2) == [0x4348, 0]  # 200.0 V on the meter's side
    with pytest.raises(KeyError, match="no point 'power'"):
        meter.set("power", 1.0)
    with pytest.raises(ValueError, match="no value that means absent"):
        SimulatedDevice(load_profile("advantech.adam6015")).set("temperature.ch0", None)


def test_a_simulated_device_moves_as_its_profile_says() -> None:
    """Sums add up, energy integrates power, the drive's speed follows its reference."""
    meter = SimulatedDevice(load_profile("eastron.sdm630"))
    behaviour = SimulatedBehaviour(meter, {"power.active.L3": 5000.0})
    for _ in range(100):
        behaviour.advance(0.1)

    def value(device: SimulatedDevice, point: str) -> float:
        found = device.get(point)
        assert found is not None
        return found

    phases = sum(value(meter, f"power.active.L{k}") for k in (1, 2, 3))
    assert value(meter, "power.active.L3") == 5000.0
    assert value(meter, "power.active.total") == pytest.approx(phases, rel=1e-6)
    # A half period of the sines: 8100 W + 400 W * 2/pi on average, and 5000 W, for 10 s.
    assert value(meter, "energy.active.import") == pytest.approx(133_546.0, rel=2e-3)
    drive = SimulatedDevice(load_profile("abb.acs580"))
    follower = SimulatedBehaviour(drive)
    drive.set("speed.reference", 90.0)
    follower.advance(1.5)
    # One time constant: 60 + 30 * (1 - 1/e).
    assert value(drive, "speed.actual") == pytest.approx(78.96, abs=0.01)
    follower.advance(60.0)
    assert value(drive, "speed.actual") == pytest.approx(90.0, abs=0.01)


@pytest.mark.parametrize("name", ["keller.33x", "danfoss.fc102", "oem.tuf2000m", "eastron.sdm630"])
def test_the_engine_reads_over_rtu(
    name: str, serve_rtu: ServeRtu, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """Minimalmodbus reads every point of a device on a pty, framing 8E1 included."""
    profile: Profile = load_profile(name)
    device = SimulatedDevice(profile)
    SimulatedBehaviour(device)
    path = serve_rtu({5: device})
    engine = run_engine(DeviceSpec("d", name, f"serial://{path}?baud=115200", 5))
    wait_until(lambda: {r.quality for r in engine.readings("d").values()} == {Quality.OK}, 4.0)
    assert {p: r.value for p, r in engine.readings("d").items()} == {
        point: device.get(point) for point in profile.points
    }


def test_writes_and_losses_over_rtu(
    serve_rtu: ServeRtu, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """On a serial line a write is read back, an ignored one not set, a silent unit lost alone."""
    drives = {unit: SimulatedDevice(load_profile("danfoss.fc102")) for unit in (1, 2)}
    path = serve_rtu(drives)
    target = f"serial://{path}?baud=115200"
    engine = run_engine(*(DeviceSpec(f"d{u}", "danfoss.fc102", target, u) for u in drives))
    wait_until(lambda: engine.reading("d2", "speed.actual").quality == Quality.OK, 3.0)
    assert engine.write("d1", "speed.reference", 75.0).status == "accepted"
    assert drives[1].get("speed.reference") == 75.0
    drives[1].ignores_writes = True
    result = engine.write("d1", "speed.reference", 10.0)
    assert (result.status, result.accepted) == ("not_set", 75.0)
    drives[1].silent = True
    wait_until(lambda: engine.reading("d1", "speed.actual").quality == Quality.COMM_ERROR, 1.0)
    assert engine.write("d1", "speed.reference", 20.0).status == "comm_error"
    assert engine.reading("d2", "speed.actual").quality == Quality.OK
    drives[1].silent = False
    wait_until(lambda: engine.reading("d1", "speed.actual").quality == Quality.OK, 5.0)


def test_a_serial_line_that_is_pulled_is_found_again(
    tmp_path: Path, run_engine: RunEngine, wait_until: WaitUntil, stack: ExitStack
) -> None:
    """Nothing at the path is a comm-error; when the line appears, the device is read."""
    link = tmp_path / "line"
    engine = run_engine(DeviceSpec("p", "keller.33x", f"serial://{link}?baud=115200"))
    wait_until(lambda: engine.reading("p", "pressure.P1").quality == Quality.COMM_ERROR, 1.0)
    assert "No such file" in str(engine.statistics("p").last_error)
    line = stack.enter_context(closing(PseudoTerminal(link)))
    server = ModbusRtuServer({1: SimulatedDevice(load_profile("keller.33x"))}, line.master_fd)
    server.start()
    stack.callback(server.stop)
    wait_until(lambda: engine.reading("p", "pressure.P1").quality == Quality.OK, 5.0)
