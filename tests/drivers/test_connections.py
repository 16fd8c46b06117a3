"""Connections that come and go: pulled lines, devices that hang up, slow ones, broken drivers."""

from __future__ import annotations

import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.engine import DeviceSpec, Engine
from drivers.errors import TransportError
from drivers.modbus_pdu import WriteBlock
from drivers.modbus_rtu import RtuTransport
from drivers.modbus_tcp import TcpTransport
from drivers.profile import load_profile
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedDevice
from drivers.target import SerialTarget, TcpTarget

WaitUntil = Callable[[Callable[[], bool], float], float]
RunEngine = Callable[..., Engine]
ServeTcp = Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]

_COMMAND = [sys.executable, "-u", "-c", "from drivers.cli import device; device()"]


def _simulate(stack: ExitStack, link: Path) -> subprocess.Popen[str]:
    """A transmitter on a pty, in a process of its own."""
    process = subprocess.Popen(
        [*_COMMAND, "simulate", "keller.33x", "--pty", str(link)],
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_an_unplugged_line_is_found_again(
    tmp_path: Path, run_engine: RunEngine, wait_until: WaitUntil, stack: ExitStack
) -> None:
    """The far end of a line is killed and comes again, twice: each time back within 5 s."""
    link = tmp_path / "line"
    device = _simulate(stack, link)
    engine = run_engine(DeviceSpec("p", "keller.33x", f"serial://{link}"))

    def quality() -> Quality:
        return engine.reading("p", "pressure.P1").quality

    wait_until(lambda: quality() is Quality.OK, 5.0)
    for _ in range(2):
        os.kill(device.pid, signal.SIGKILL)
        device.wait()
        wait_until(lambda: quality() is Quality.COMM_ERROR, 1.0)
        device = _simulate(stack, link)
        assert wait_until(lambda: quality() is Quality.OK, 5.0) < 5.0


def test_a_hung_up_line_is_a_transport_error() -> None:
    """Every use of a line whose far end is gone raises TransportError, and closes it."""
    master, slave = os.openpty()
    transport = RtuTransport(SerialTarget(os.ttyname(slave)), 9600, "8N1")
    transport.open()
    os.close(slave)
    os.close(master)
    for _ in range(2):
        with pytest.raises(TransportError):
            transport.read(1, ReadBlock(3, 0, 1), 0.1)
    with pytest.raises(TransportError):
        transport.write(1, WriteBlock(6, 0, b"\0\1"), 0.1)


class _HangingUp:
    """A device whose registers all hold 2.5 as float32 and that hangs up after each reply.

    A `deaf` one hangs up only when a second request has come, without a reply to it.
    """

    def __init__(self, *, deaf: bool = False) -> None:
        self._deaf = deaf
        self.requests: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._answer(connection)
                if self._deaf:
                    self.requests.append(connection.recv(260)[6:])

    def _answer(self, connection: socket.socket) -> None:
        request = connection.recv(260)
        if not request:
            return
        self.requests.append(request[6:])
        function, _, count = struct.unpack(">BHH", request[7:12])
        body = struct.pack(">BB", function, 2 * count) + b"\x40\x20\0\0" * (count // 2)
        if function in (6, 16):
            body = request[7:12]
        connection.sendall(request[:4] + struct.pack(">HB", len(body) + 1, request[6]) + body)


@pytest.fixture(params=[False, True], ids=["after each reply", "on the second request"])
def hanging_up(request: pytest.FixtureRequest) -> Iterator[_HangingUp]:
    """A device that closes each connection after one reply, at once or when asked again."""
    device = _HangingUp(deaf=request.param)
    yield device
    device.close()


def test_a_device_that_hangs_up_is_read(
    hanging_up: _HangingUp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A device that takes one request a connection is read like any other, without an error."""
    engine = run_engine(DeviceSpec("p", "keller.33x", f"tcp://127.0.0.1:{hanging_up.port}"))
    wait_until(lambda: engine.reading("p", "pressure.P1").quality is Quality.OK, 3.0)
    wait_until(lambda: engine.statistics("p").polls >= 10, 3.0)
    assert engine.reading("p", "pressure.P1").value == 2.5
    assert engine.statistics("p").errors == 0


def test_a_write_is_never_sent_twice() -> None:
    """A connection that ends after a write was sent fails the write, however often it was used."""
    device = _HangingUp(deaf=True)
    transport = TcpTransport(TcpTarget("127.0.0.1", device.port))
    transport.read(1, ReadBlock(3, 0, 2), 0.3)
    with pytest.raises(TransportError):
        transport.write(1, WriteBlock(6, 0, b"\0\1"), 0.3)
    transport.close()
    device.close()
    assert [request[1] for request in device.requests] == [3, 6]


def test_a_write_finds_a_connection_that_ended_before() -> None:
    """When the peer hung up while nothing was going on, a write goes over a new connection."""
    device = _HangingUp()
    transport = TcpTransport(TcpTarget("127.0.0.1", device.port))
    transport.read(1, ReadBlock(3, 0, 2), 0.3)
    time.sleep(0.05)
    transport.write(1, WriteBlock(6, 0, b"\0\1"), 0.3)
    transport.close()
    device.close()
    assert (device.connections, [request[1] for request in device.requests]) == (2, [3, 6])


def test_a_slow_device_is_served_with_a_time_of_its_own(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A device that takes 0.8 s is lost by its profile's time, and ok for good with 1.5 s."""
    device = SimulatedDevice(load_profile("keller.33x"))
    device.update({"range.P1.max": 10.0, "pressure.P1": 2.5})
    device.delay_s = 0.8
    target = f"tcp://127.0.0.1:{serve_tcp({1: device}).port}"
    hasty = run_engine(DeviceSpec("p", "keller.33x", target))
    wait_until(lambda: hasty.reading("p", "pressure.P1").quality is Quality.COMM_ERROR, 1.5)
    hasty.stop()
    patient = run_engine(DeviceSpec("p", "keller.33x", target, timeout_ms=1500.0))
    wait_until(lambda: {r.quality for r in patient.readings("p").values()} == {Quality.OK}, 5.0)
    end = time.monotonic() + 3.0
    while time.monotonic() < end:
        assert patient.reading("p", "pressure.P1").quality is Quality.OK
        time.sleep(0.02)
    assert patient.statistics("p").errors == 0
    device.silent = True
    assert wait_until(
        lambda: patient.reading("p", "pressure.P1").quality is Quality.COMM_ERROR, 2.5
    )


def test_devices_of_different_patience_share_a_connection(serve_tcp: ServeTcp) -> None:
    """Changing from one device's time-out to another's does not cost the connection."""
    devices = {unit: SimulatedDevice(load_profile("abb.acs580")) for unit in (1, 2)}
    port = serve_tcp(devices).port
    transport = TcpTransport(TcpTarget("127.0.0.1", port))
    ports = set()
    for unit, timeout_s in ((1, 0.3), (2, 1.5), (1, 0.3)):
        transport.read(unit, ReadBlock(3, 0, 1), timeout_s)
        assert transport._socket is not None
        ports.add(transport._socket.getsockname()[1])
    transport.close()
    assert len(ports) == 1


def test_an_unforeseen_error_costs_only_its_device(
    serve_tcp: ServeTcp,
    run_engine: RunEngine,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault in the driver is logged once with its trace; the others go on, the device returns."""
    devices = {unit: SimulatedDevice(load_profile("abb.acs580")) for unit in (1, 2)}
    target = f"tcp://127.0.0.1:{serve_tcp(devices).port}"
    engine = run_engine(*(DeviceSpec(f"d{u}", "abb.acs580", target, u) for u in devices))
    wait_until(lambda: engine.reading("d2", "speed.actual").quality is Quality.OK, 3.0)
    wait_until(lambda: engine.reading("d1", "speed.actual").quality is Quality.OK, 3.0)
    sound = TcpTransport.begin

    def broken(self: TcpTransport, unit: int, *rest: Any) -> bool:
        if unit == 1:
            raise ArithmeticError("a fault")
        return sound(self, unit, *rest)

    with caplog.at_level(logging.ERROR):
        monkeypatch.setattr(TcpTransport, "begin", broken)
        wait_until(lambda: engine.reading("d1", "speed.actual").quality is Quality.COMM_ERROR, 1.0)
        assert engine.statistics("d1").last_error == "ArithmeticError: a fault"
        wait_until(lambda: engine.statistics("d1").errors >= 3, 3.0)
        assert engine.reading("d2", "speed.actual").quality is Quality.OK
        monkeypatch.undo()
        wait_until(lambda: engine.reading("d1", "speed.actual").quality is Quality.OK, 5.0)
    assert [record.message for record in caplog.records] == ["device d1: unforeseen error"]
