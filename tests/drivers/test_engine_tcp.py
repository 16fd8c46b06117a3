"""The engine over TCP, against a pymodbus device in its own process and against simulations."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient

from drivers.engine import DeviceSpec, Engine
from drivers.errors import WriteRefusedError
from drivers.profile import load_profile
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedDevice

WaitUntil = Callable[[Callable[[], bool], float], float]
RunEngine = Callable[..., Engine]
ServeTcp = Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]


def by_pymodbus(value: float, word_order: Any = "big") -> list[int]:
    """The registers of a float32, made by pymodbus."""
    return ModbusTcpClient.convert_to_registers(
        value, ModbusTcpClient.DATATYPE.FLOAT32, word_order=word_order
    )


def _transmitter(word_order: Any = "big") -> dict[int, list[int]]:
    """A pressure transmitter of 0 to 10 bar at 2.5 bar and 21.4 Cel."""
    image: dict[int, list[int]] = {256: [], 928: []}
    for address, value in ((256, 2.5), (256, 21.4), (928, 0.0), (928, 10.0)):
        image[address] += by_pymodbus(value, word_order)
    return image


def test_a_meter_made_of_pymodbus_is_read(
    independent_server: Callable[..., Any], run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """Values that pymodbus encoded arrive with the transformer ratios of the installation."""
    registers = [0] * 76
    for address, value in (
        (0x00, 230.5),
        (0x06, 4.25),
        (0x34, 2750.0),
        (0x46, 50.125),
        (0x48, 1234.5),
    ):
        registers[address : address + 2] = by_pymodbus(value)
    server = independent_server(unit=7, registers={0: registers})
    engine = run_engine(DeviceSpec("m", "eastron.sdm630", server.target, 7, 200.0, 100.0))
    points = ("voltage.L1", "current.L1", "power.active.total", "frequency", "energy.active.import")
    wait_until(lambda: all(engine.reading("m", p).quality == Quality.OK for p in points), 3.0)
    values = [engine.reading("m", point).value for point in points]
    assert values == pytest.approx([23_050.0, 850.0, 55e6, 50.125, 1234.5 * 3.6e6 * 20_000.0])
    # Frequency 0 and the like are outside their ranges and are withheld, not shown as zero.
    assert engine.reading("m", "power.active.total").uncertainty == pytest.approx(0.01 * 55e6)
    assert {entry["function"] for entry in server.log()[1:]} == {4}


def test_a_value_out_of_range_is_withheld(
    independent_server: Callable[..., Any], run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A finite but impossible reactive power and a NaN voltage have no value, and say why."""
    registers = [0] * 76
    registers[0x3C:0x3E] = by_pymodbus(9.5e18)
    registers[0x00:0x02] = by_pymodbus(float("nan"))
    server = independent_server(registers={0: registers})
    engine = run_engine(DeviceSpec("m", "eastron.sdm630", server.target))
    wait_until(lambda: engine.reading("m", "voltage.L2").quality == Quality.OK, 3.0)
    power, voltage = engine.reading("m", "power.reactive.total"), engine.reading("m", "voltage.L1")
    assert (power.value, power.quality) == (None, Quality.OUT_OF_RANGE)
    assert (voltage.value, voltage.quality) == (None, Quality.ABSENT)


def test_low_word_first_is_understood(
    independent_server: Callable[..., Any], run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A CDAB float written by pymodbus with little word order is 2500 L/min from 150 m3/h."""
    registers = by_pymodbus(150.0, "little") + [0] * 6
    server = independent_server(registers={0: registers, 71: [0], 91: [80, 1, 1]})
    engine = run_engine(DeviceSpec("f", "oem.tuf2000m", server.target))
    wait_until(lambda: engine.reading("f", "flow.volume").quality == Quality.OK, 3.0)
    assert engine.reading("f", "flow.volume").value == pytest.approx(2500.0)
    assert engine.reading("f", "flow.volume").unit == "L/min"


def test_a_killed_device_is_noticed_and_found_again(
    independent_server: Callable[..., Any], run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """SIGKILL: all points comm-error within 1 s; started again: ok within 5 s."""
    server = independent_server(registers=_transmitter())
    engine = run_engine(DeviceSpec("p", "keller.33x", server.target))

    def all_points(quality: Quality) -> bool:
        return {r.quality for r in engine.readings("p").values()} == {quality}

    wait_until(lambda: all_points(Quality.OK), 3.0)
    last = engine.reading("p", "pressure.P1")
    server.kill()
    # The scale group is polled every 10 s only: it goes with the device, not with its own poll.
    assert wait_until(lambda: all_points(Quality.COMM_ERROR), 1.0) < 1.0
    lost = engine.reading("p", "pressure.P1")
    assert lost.value is None
    assert last.measured_at is not None
    assert lost.measured_at is not None
    assert lost.measured_at >= last.measured_at
    time.sleep(1.0)
    server.start()
    assert wait_until(lambda: all_points(Quality.OK), 5.0) < 5.0
    assert engine.statistics("p").errors >= 1


def test_a_device_that_falls_silent_is_noticed(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A device that keeps its socket and answers nothing is comm-error within 1 s, too."""
    device = SimulatedDevice(load_profile("keller.33x"))
    device.set("range.P1.max", 10.0)
    server = serve_tcp({1: device})
    engine = run_engine(DeviceSpec("p", "keller.33x", f"tcp://127.0.0.1:{server.port}"))
    wait_until(lambda: engine.reading("p", "range.P1.max").quality == Quality.OK, 3.0)
    device.silent = True
    wait_until(lambda: engine.reading("p", "range.P1.max").quality == Quality.COMM_ERROR, 1.0)
    device.silent = False
    wait_until(lambda: engine.reading("p", "range.P1.max").quality == Quality.OK, 5.0)


_SLOW_METER = """\
profile: device-profile/1
id: acme.slow
vendor: ACME
model: slow
kind: PowerMeter
sources: [{ref: none, verified: restated}]
transport: {modes: [tcp, rtu]}
defaults: {fc: 3, type: u16, group: slow}
groups:
  slow: {every_ms: 60000, source_ms: 60000, stale_after_ms: 120000}
  brief: {every_ms: 60000, source_ms: 60000, stale_after_ms: 300}
points:
  frequency: {addr: 0, unit: Hz}
  voltage.L1: {addr: 1, unit: V, group: brief}
"""


def test_a_device_polled_once_a_minute_is_noticed_as_fast(
    tmp_path: Path, serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A heartbeat between slow polls shows within 1 s that the device died, and that it is back."""
    path = tmp_path / "slow.yaml"
    path.write_text(_SLOW_METER)
    device = SimulatedDevice(load_profile(path))
    server = serve_tcp({1: device})
    engine = run_engine(DeviceSpec("m", str(path), f"tcp://127.0.0.1:{server.port}"))
    wait_until(lambda: engine.reading("m", "frequency").quality == Quality.OK, 1.0)
    # No fresh read within stale_after: the point is stale though its device lives.
    wait_until(lambda: engine.reading("m", "voltage.L1").quality == Quality.STALE, 1.0)
    assert engine.reading("m", "voltage.L1").value is None
    time.sleep(1.2)
    assert engine.reading("m", "frequency").quality == Quality.OK
    device.silent = True
    wait_until(lambda: engine.reading("m", "frequency").quality == Quality.COMM_ERROR, 1.0)
    device.silent = False
    wait_until(lambda: engine.reading("m", "frequency").quality == Quality.OK, 5.0)


def test_a_dead_unit_behind_a_gateway_costs_the_others_next_to_nothing(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """With one of four units silent the others lose at most a tenth of their slots."""
    devices = {unit: SimulatedDevice(load_profile("keller.33x")) for unit in range(1, 5)}
    server = serve_tcp(devices)
    target = f"tcp://127.0.0.1:{server.port}"
    engine = run_engine(*(DeviceSpec(f"p{u}", "keller.33x", target, u) for u in devices))
    wait_until(lambda: engine.reading("p4", "pressure.P1").quality == Quality.OK, 3.0)
    devices[2].silent = True
    wait_until(lambda: engine.reading("p2", "pressure.P1").quality == Quality.COMM_ERROR, 1.0)
    before = {name: engine.statistics(name) for name in ("p1", "p3", "p4")}
    began = time.monotonic()
    qualities = set()
    while time.monotonic() - began < 3.0:
        qualities |= {engine.reading(name, "pressure.P1").quality for name in before}
        time.sleep(0.02)
    assert qualities == {Quality.OK}
    for name, was in before.items():
        now = engine.statistics(name)
        assert now.polls - was.polls >= 27
        assert now.errors == was.errors == 0


def test_a_device_that_refuses_a_group_keeps_its_others(
    independent_server: Callable[..., Any], run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A Modbus exception makes its group comm-error and leaves the other groups alone."""
    server = independent_server(registers={256: by_pymodbus(2.5) + by_pymodbus(21.0)})
    engine = run_engine(DeviceSpec("p", "keller.33x", server.target))
    wait_until(lambda: engine.reading("p", "pressure.P1").quality == Quality.OK, 3.0)
    wait_until(lambda: engine.reading("p", "range.P1.max").quality == Quality.COMM_ERROR, 1.0)
    assert engine.reading("p", "pressure.P1").value == 2.5
    assert "exception 2" in str(engine.statistics("p").last_error)


def test_a_write_reaches_the_device_and_is_read_back(
    independent_server: Callable[..., Any], run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """The independent device's own log shows the write and after it a new read."""
    server = independent_server(registers={0: [0x047F, 2000, 0, 0x1237, 2000, 0]})
    engine = run_engine(DeviceSpec("d", "abb.acs580", server.target))
    wait_until(lambda: engine.reading("d", "speed.reference").quality == Quality.OK, 3.0)
    assert engine.reading("d", "speed.reference").value == 10.0
    result = engine.write("d", "speed.reference", 62.5)
    assert (result.status, result.requested, result.accepted) == ("accepted", 62.5, 62.5)
    assert engine.reading("d", "speed.reference").value == 62.5
    served = [entry for entry in server.log() if "function" in entry]
    writes = [k for k, entry in enumerate(served) if entry["values"] is not None]
    assert [served[k] for k in writes] == [
        {"function": 6, "address": 1, "count": 1, "values": [12500]}
    ]
    assert any(entry["function"] == 3 for entry in served[writes[0] + 1 :])


def test_a_write_that_the_device_ignores_is_not_set(
    independent_server: Callable[..., Any], run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A device that answers a write and keeps its value is reported with that value."""
    server = independent_server(ignore_writes=True, registers={0: [0, 2000, 0, 1, 2000, 0]})
    engine = run_engine(DeviceSpec("d", "abb.acs580", server.target))
    wait_until(lambda: engine.reading("d", "speed.reference").quality == Quality.OK, 3.0)
    result = engine.write("d", "speed.reference", 62.5)
    assert (result.status, result.accepted) == ("not_set", 10.0)
    assert result.reason == "the device holds 10 %"


def test_a_write_is_rounded_to_the_register_and_still_accepted(
    serve_tcp: ServeTcp, run_engine: RunEngine
) -> None:
    """33.333 % is 5461 of 16384 steps: accepted is what the drive holds, within its resolution."""
    drive = SimulatedDevice(load_profile("danfoss.fc102"))
    written: list[tuple[str, float]] = []
    drive.on_write = lambda point, value: written.append((point, value))
    server = serve_tcp({1: drive})
    engine = run_engine(DeviceSpec("d", "danfoss.fc102", f"tcp://127.0.0.1:{server.port}"))
    result = engine.write("d", "speed.reference", 33.333)
    assert result.status == "accepted"
    assert result.accepted == 5461 * 100 / 16384
    assert written == [("speed.reference", result.accepted)]


@pytest.mark.parametrize(
    ("point", "value", "reason"),
    [
        ("speed.reference", 100.1, r"d/speed\.reference: 100\.1 is outside 0 to 100 %"),
        ("speed.reference", -0.5, r"outside 0 to 100 %"),
        ("speed.reference", float("nan"), "nan is not a number"),
        ("speed.reference", float("inf"), "inf is not a number"),
        ("speed.actual", 50.0, "the point is read-only"),
        ("speed.wish", 50.0, "has no such point"),
    ],
)
def test_a_write_outside_the_bounds_never_leaves(
    serve_tcp: ServeTcp, run_engine: RunEngine, point: str, value: float, reason: str
) -> None:
    """Bounds come first: the refusal names point and bounds, and the device sees nothing."""
    drive = SimulatedDevice(load_profile("danfoss.fc102"))
    written: list[tuple[str, float]] = []
    drive.on_write = lambda name, number: written.append((name, number))
    server = serve_tcp({1: drive})
    engine = run_engine(DeviceSpec("d", "danfoss.fc102", f"tcp://127.0.0.1:{server.port}"))
    with pytest.raises(WriteRefusedError, match=reason):
        engine.write("d", point, value)
    assert written == []
    assert engine.statistics("d").writes == 0


def test_a_write_to_a_dead_device_says_so(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """Without a device the write is a comm_error with its reason, and is not done later."""
    drive = SimulatedDevice(load_profile("danfoss.fc102"))
    drive.set("speed.reference", 20.0)
    server = serve_tcp({1: drive})
    engine = run_engine(DeviceSpec("d", "danfoss.fc102", f"tcp://127.0.0.1:{server.port}"))
    wait_until(lambda: engine.reading("d", "speed.actual").quality == Quality.OK, 3.0)
    server.stop()
    result = engine.write("d", "speed.reference", 50.0)
    assert (result.status, result.accepted) == ("comm_error", None)
    assert result.reason
    server.start()
    wait_until(lambda: engine.reading("d", "speed.actual").quality == Quality.OK, 5.0)
    assert engine.reading("d", "speed.reference").value == pytest.approx(20.0, abs=0.01)


def test_a_write_that_nobody_waited_for_is_not_done(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A write given up on while the bus is busy is cancelled: the device never sees it."""
    drive = SimulatedDevice(load_profile("danfoss.fc102"))
    server = serve_tcp({1: drive})
    engine = run_engine(DeviceSpec("d", "danfoss.fc102", f"tcp://127.0.0.1:{server.port}"))
    wait_until(lambda: engine.reading("d", "speed.actual").quality == Quality.OK, 3.0)
    drive.delay_s = 0.25
    polls = engine.statistics("d").polls
    wait_until(lambda: engine.statistics("d").polls > polls, 2.0)
    time.sleep(0.1)
    result = engine.write("d", "speed.reference", 50.0, timeout_s=0.01)
    assert result.status == "comm_error"
    assert "it was not sent" in str(result.reason)
    drive.delay_s = 0.0
    time.sleep(0.5)
    assert drive.get("speed.reference") == 0.0


def test_a_late_reply_is_never_the_answer_to_the_next_question(
    run_engine: RunEngine, wait_until: WaitUntil, stack: ExitStack
) -> None:
    """A device that answers after the time-out finds its socket closed and a new one open."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    connections: list[socket.socket] = []
    stack.callback(lambda: [c.close() for c in connections])
    stopping = threading.Event()

    def answer(connection: socket.socket, late: bool) -> None:
        while not stopping.is_set():
            try:
                request = connection.recv(64)
                if not request:
                    return
                unit, function, _, count = struct.unpack(">BBHH", request[6:12])
                if late:
                    time.sleep(0.5)
                body = bytes([unit, function, 2 * count]) + bytes(2 * count)
                connection.sendall(request[:4] + struct.pack(">H", len(body)) + body)
            except OSError:
                return

    def accept() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(
                target=answer, args=(connection, len(connections) == 1), daemon=True
            ).start()

    threading.Thread(target=accept, daemon=True).start()
    stack.callback(stopping.set)
    target = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    engine = run_engine(DeviceSpec("d", "abb.acs580", target))
    wait_until(lambda: engine.reading("d", "speed.actual").quality == Quality.OK, 5.0)
    assert len(connections) == 2
    assert engine.statistics("d").errors == 1
    engine.stop()
    listener.shutdown(socket.SHUT_RDWR)


def test_a_malformed_reply_is_an_error_and_ends_the_connection(
    run_engine: RunEngine, wait_until: WaitUntil, stack: ExitStack
) -> None:
    """A reply of the wrong length or transaction is never decoded."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with connection:
                    request = connection.recv(64)
                    body = request[6:8] + b"\x03\x12\x34\x56"
                    connection.sendall(request[:4] + struct.pack(">H", len(body)) + body)
                    connection.recv(1)
            except OSError:
                return

    threading.Thread(target=answer, daemon=True).start()
    target = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    engine = run_engine(DeviceSpec("d", "abb.acs580", target))
    wait_until(lambda: engine.statistics("d").errors >= 3, 3.0)
    assert "malformed reply to function 3" in str(engine.statistics("d").last_error)
    assert engine.reading("d", "speed.actual").quality == Quality.COMM_ERROR
    engine.stop()
    listener.shutdown(socket.SHUT_RDWR)


def test_slots_that_a_slow_device_misses_are_counted_not_queued(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A device that takes 250 ms for a 100 ms slot: half the slots are missed, none catch up."""
    device = SimulatedDevice(load_profile("keller.33x"))
    device.delay_s = 0.25
    server = serve_tcp({1: device})
    engine = run_engine(DeviceSpec("d", "keller.33x", f"tcp://127.0.0.1:{server.port}"))
    wait_until(lambda: engine.statistics("d").polls >= 8, 5.0)
    polls, missed = engine.statistics("d").polls, engine.statistics("d").missed_slots
    # Of five slots in half a second two are served.
    assert 1.0 <= missed / polls <= 2.0
    device.delay_s = 0.0
    began, was = time.monotonic(), engine.statistics("d").polls
    wait_until(lambda: engine.statistics("d").polls - was >= 8, 5.0)
    time.sleep(0.2)
    slots = (time.monotonic() - began) / 0.1
    assert engine.statistics("d").polls - was <= slots + 2


def test_times_tell_reads_from_changes(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """measured_at moves with every read, changed_at with the value; the interval is observed."""
    device = SimulatedDevice(load_profile("keller.33x"))
    server = serve_tcp({1: device})
    engine = run_engine(DeviceSpec("p", "keller.33x", f"tcp://127.0.0.1:{server.port}"))
    wait_until(lambda: engine.reading("p", "pressure.P1").quality == Quality.OK, 3.0)
    first = engine.reading("p", "pressure.P1")
    assert first.effective_interval_s is None
    assert first.measured_at == pytest.approx(time.time(), abs=1.0)
    for k in range(8):
        device.set("pressure.P1", 1.0 + k / 10.0)
        time.sleep(0.3)
    last = engine.reading("p", "pressure.P1")
    assert last.changed_at is not None
    assert last.measured_at is not None
    assert last.effective_interval_s is not None
    assert last.measured_at - last.changed_at > 0.05
    assert 0.2 < last.effective_interval_s < 1.0  # 0.3 s, longer where the machine stalls
    assert last.source_interval_s == 0.005


def test_devices_come_and_go_while_the_engine_runs(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A device added is read, one removed is forgotten, the others do not notice."""
    devices = {unit: SimulatedDevice(load_profile("keller.33x")) for unit in (1, 2)}
    server = serve_tcp(devices)
    target = f"tcp://127.0.0.1:{server.port}"
    engine = run_engine(DeviceSpec("a", "keller.33x", target, 1))
    engine.add(DeviceSpec("b", "keller.33x", target, 2))
    wait_until(lambda: engine.reading("b", "pressure.P1").quality == Quality.OK, 3.0)
    with pytest.raises(ValueError, match="'b' is given twice"):
        engine.add(DeviceSpec("b", "keller.33x", target, 2))
    engine.remove("a")
    assert engine.device_ids == ("b",)
    with pytest.raises(KeyError, match="no device 'a'"):
        engine.reading("a", "pressure.P1")
    with pytest.raises(KeyError, match=r"device 'b' \(keller\.33x\) has no point 'nonsense'"):
        engine.reading("b", "nonsense")
    polls = engine.statistics("b").polls
    wait_until(lambda: engine.statistics("b").polls > polls + 3, 3.0)
    assert engine.statistics("b").errors == 0
    engine.remove("b")
    assert engine.device_ids == ()


def test_a_stopped_engine_knows_nothing_and_can_start_again(
    serve_tcp: ServeTcp, wait_until: WaitUntil
) -> None:
    """After stop readings lose their value and writes are refused; after start both are back."""
    drive = SimulatedDevice(load_profile("abb.acs580"))
    server = serve_tcp({1: drive})
    engine = Engine([DeviceSpec("d", "abb.acs580", f"tcp://127.0.0.1:{server.port}")])
    assert engine.reading("d", "speed.actual").value is None
    engine.start()
    wait_until(lambda: engine.reading("d", "speed.actual").quality == Quality.OK, 3.0)
    engine.stop()
    assert engine.write("d", "speed.reference", 5.0).status == "comm_error"
    wait_until(lambda: engine.reading("d", "speed.actual").quality == Quality.COMM_ERROR, 1.5)
    engine.start()
    wait_until(lambda: engine.reading("d", "speed.actual").quality == Quality.OK, 3.0)
    engine.stop()
