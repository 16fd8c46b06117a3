"""The tap carries and records what independent masters and devices say to each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient

from drivers.check.bus_tap import BusTap, SerialTap, TcpTap, tap_for
from drivers.check.modbus_wire import abandoned_request, is_simulated, wrong_requests
from drivers.errors import TransportError
from drivers.profile import Profile, load_profile
from drivers.profile_types import Transport
from drivers.read_plan import ReadBlock
from drivers.simulation import ModbusTcpServer, SimulatedDevice
from drivers.target import SerialTarget, TcpTarget

WaitUntil = Callable[[Callable[[], bool], float], float]


@pytest.fixture
def tapped(independent_server: Callable[..., Any], stack: Any) -> TcpTap:
    """A tap before an independent pymodbus device with registers 0 to 9."""
    server = independent_server(registers={0: list(range(10))})
    tap = TcpTap(server.target, "127.0.0.1", server.port)
    tap.start()
    stack.callback(tap.stop)
    return tap


def port_of(tap: BusTap) -> int:
    """Where the tap listens."""
    return int(tap.target.rpartition(":")[2])


def test_every_byte_is_recorded(tapped: TcpTap) -> None:
    """Between pymodbus and pymodbus the trace holds the request and the reply of Modbus TCP."""
    with ModbusTcpClient("127.0.0.1", port=port_of(tapped), timeout=10) as master:
        assert master.read_holding_registers(2, count=2).registers == [2, 3]
    frames = [(r.kind, r.data[6:]) for r in tapped.records if r.kind != "event"]
    assert frames == [
        ("request", bytes([1, 3, 0, 2, 0, 2])),
        ("reply", bytes([1, 3, 4, 0, 2, 0, 3])),
    ]
    times = [record.time_s for record in tapped.records]
    assert times == sorted(times)
    assert abs(times[0] - time.time()) < 60.0


def test_a_pulled_cable_drops_the_master_and_comes_back(
    tapped: TcpTap, wait_until: WaitUntil
) -> None:
    """Meanwhile nobody listens; afterwards a new connection reaches the device again."""
    with ModbusTcpClient("127.0.0.1", port=port_of(tapped), timeout=1, retries=0) as master:
        assert not master.read_holding_registers(0, count=1).isError()
        tapped.pull(0.3, silently=True)
        wait_until(lambda: any(r.text == "cable pulled" for r in tapped.records), 2.0)
        with ModbusTcpClient("127.0.0.1", port=port_of(tapped), timeout=1) as refused:
            assert not refused.connected
        wait_until(lambda: any(r.text == "cable back" for r in tapped.records), 2.0)
    with ModbusTcpClient("127.0.0.1", port=port_of(tapped), timeout=10) as master:
        assert master.read_holding_registers(1, count=1).registers == [1]


def test_targets_that_can_be_tapped() -> None:
    """TCP and serial schemes are tapped, whoever named them; a line that is not there is said."""
    settings = Transport(modes=("tcp",))
    tap = tap_for("rtu+tcp://10.0.0.9?x=1", TcpTarget("10.0.0.9", 4001), settings)
    assert isinstance(tap, TcpTap)
    assert tap.target == f"rtu+tcp://127.0.0.1:{tap.target.split(':')[2].split('?')[0]}?x=1"
    tap.start()
    tap.stop()
    assert tap_for("snmp://public@10.0.0.9", object(), settings) is None
    with pytest.raises(TransportError, match="/dev/nowhere"):
        SerialTap("serial:///dev/nowhere", "/dev/nowhere", 9600, "8N1")
    with pytest.raises(TransportError, match="/dev/nowhere"):
        tap_for("serial:///dev/nowhere", SerialTarget("/dev/nowhere"), settings)


def test_a_wrong_exception_is_told_from_a_right_one(tapped: TcpTap) -> None:
    """Pymodbus refuses what it cannot decode for function 0; nothing that was sent is a write."""
    profile = load_profile("abb.acs580")
    found = list(wrong_requests(tapped.target, 1, profile, ReadBlock(3, 0, 1), 0.5))
    assert all(request.alive for request in found)
    other = "exception 1, but to function 0"
    assert [request.answer for request in found] == [other, "exception 2", other, other, other]
    assert [request.refused for request in found] == [False, True, False, False, False]
    sent = [r.data[7] for r in tapped.records if r.kind == "request"]
    assert set(sent) == {3, 99}


class _Lenient(SimulatedDevice):
    """A device that has every register."""

    def read_registers(self, fc: int, address: int, count: int) -> list[int]:
        del fc, address
        return [0] * count


def test_a_device_that_takes_anything_is_found(
    station: Profile, serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]
) -> None:
    """An address that nobody mapped, answered as if it were right, is no refusal."""
    device = _Lenient(station)
    server = serve_tcp({1: device})
    target = f"tcp://127.0.0.1:{server.port}"
    found = {
        request.kind.split(" (")[0]: request
        for request in wrong_requests(target, 1, station, ReadBlock(3, 10, 1), 1.0)
    }
    lenient = found["an address that is not mapped"]
    assert not lenient.refused
    assert "as if it were right" in lenient.answer
    assert found["a function that does not exist"].refused


def test_an_abandoned_request_is_not_answered_to_the_next(tapped: TcpTap) -> None:
    """After leaving before the answer, another question gets its own."""
    seconds, note = abandoned_request(tapped.target, 1, ReadBlock(3, 0, 8), ReadBlock(3, 0, 1), 1.0)
    assert note == ""
    assert seconds is not None


def test_our_simulations_say_so_and_others_do_not(
    tapped: TcpTap,
    station: Profile,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    serve_rtu: Callable[[dict[int, SimulatedDevice]], str],
) -> None:
    """Read Device Identification tells a simulation, over TCP and RTU."""
    devices = {1: SimulatedDevice(station)}
    assert is_simulated(f"tcp://127.0.0.1:{serve_tcp(devices).port}", 1, 1.0)
    path = serve_rtu(devices)
    tap = SerialTap(f"serial://{path}", path, 9600, "8N1")
    tap.start()
    assert is_simulated(tap.target, 1, 1.0)
    tap.stop()
    assert not is_simulated(tapped.target, 1, 1.0)
