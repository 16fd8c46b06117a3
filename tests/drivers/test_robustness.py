"""Devices that answer late, one at a time or not at all, and buses that cannot carry polls."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from small_profile import write_profile

from drivers.engine import DeviceSpec, Engine
from drivers.errors import BusOverloadError, TransportError
from drivers.modbus_rtu import RtuTransport
from drivers.modbus_tcp import TcpTransport
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.target import SerialTarget, TcpTarget

WaitUntil = Callable[[Callable[[], bool], float], float]
RunEngine = Callable[..., Engine]

_POINT = {"x": {"addr": 0, "unit": "V"}}


class _Device:
    """A Modbus TCP device of one register that `answer` gives: None is silence.

    With `one_client` a second connection is closed at once while the first is open.
    """

    def __init__(
        self, stack: ExitStack, answer: Callable[[int], int | None], *, one_client: bool = False
    ) -> None:
        self._answer = answer
        self._one_client = one_client
        self.connections = self.refused = 0
        self.requests: list[tuple[float, int]] = []
        self.answered: list[float] = []
        self._open: set[socket.socket] = set()
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.target = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        stack.callback(self._close)

    def _close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in list(self._open):
            connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._one_client and self._open:
                self.refused += 1
                connection.close()
                continue
            self.connections += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := connection.recv(64):
                    self.requests.append((time.monotonic(), request[6]))
                    value = self._answer(request[6])
                    if value is not None:
                        self.answered.append(time.monotonic())
                        body = struct.pack(">BBBH", request[6], request[7], 2, value)
                        connection.sendall(request[:4] + struct.pack(">H", len(body)) + body)
            except OSError:
                pass
            finally:
                self._open.discard(connection)


def test_a_late_reply_answers_nobody(
    tmp_path: Path, stack: ExitStack, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A reply that comes after its time-out is never shown: its connection is not used again."""
    late = iter([True])

    def answer(_unit: int) -> int:
        if next(late, False):
            time.sleep(0.3)
            return 666
        return 7

    device = _Device(stack, answer)
    engine = run_engine(DeviceSpec("d", write_profile(tmp_path, _POINT), device.target))
    seen = set()

    def read_often() -> bool:
        seen.add(engine.reading("d", "x").value)
        return engine.statistics("d").polls >= 5

    wait_until(read_often, 5.0)
    assert seen == {None, 7.0}
    assert device.connections >= 2


@pytest.mark.parametrize("late_s", [0.11, 0.25], ids=["while it drains", "while it rests"])
def test_a_late_reply_on_a_line_answers_nobody(stack: ExitStack, late_s: float) -> None:
    """On a serial line what comes after the time-out is read away before the next request."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stack.callback(os.close, slave)
    stack.callback(os.close, master)
    # Unit 1, function 3, registers 666 and 7, with the CRCs that pymodbus computes.
    late, good = bytes.fromhex("010302029a394f"), bytes.fromhex("0103020007f986")

    def serve() -> None:
        os.read(master, 64)
        time.sleep(late_s)
        os.write(master, late)
        os.read(master, 64)
        os.write(master, good)

    threading.Thread(target=serve, daemon=True).start()
    transport = RtuTransport(SerialTarget(os.ttyname(slave)), 115200, "8N1")
    with pytest.raises(TransportError, match="no answer in time"):
        transport.read(1, ReadBlock(3, 0, 1), 0.1)
    time.sleep(0.3)
    assert transport.read(1, ReadBlock(3, 0, 1), 2.0) == bytes((0, 7))
    transport.close()


def test_a_host_is_tried_at_all_its_addresses(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name whose first address refuses is reached at its second."""
    device = _Device(stack, lambda _: 7)
    port = int(device.target.rpartition(":")[2])
    entries = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port))
        for host in ("127.7.7.7", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)
    transport = TcpTransport(TcpTarget("meter.example", port))
    assert transport.read(1, ReadBlock(3, 0, 1), 2.0) == bytes((0, 7))
    transport.close()


def test_a_dead_unit_costs_its_neighbours_no_slot(
    tmp_path: Path, stack: ExitStack, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A unit behind a gateway falls silent, with 2 s of patience: its neighbour misses no slot."""
    silent = threading.Event()
    device = _Device(stack, lambda unit: None if unit == 2 and silent.is_set() else unit)
    path = write_profile(tmp_path, _POINT, transport={"timeout_ms": 2000}, group={"every_ms": 500})
    engine = run_engine(*(DeviceSpec(f"d{u}", path, device.target, u) for u in (1, 2)))
    wait_until(lambda: all(engine.reading(f"d{u}", "x").value == u for u in (1, 2)), 5.0)
    silent.set()
    wait_until(lambda: engine.reading("d2", "x").quality is Quality.COMM_ERROR, 4.0)
    wait_until(lambda: engine.reading("d1", "x").value == 1, 3.0)
    missed, polls = engine.statistics("d1").missed_slots, engine.statistics("d1").polls
    asked = len(device.requests)
    time.sleep(6.0)
    assert engine.statistics("d1").missed_slots == missed
    assert engine.statistics("d1").polls >= polls + 11
    # Two seconds apart, each up to a quarter less; one that was tried in each slot has twelve.
    assert 2 <= sum(unit == 2 for _, unit in device.requests[asked:]) <= 8
    silent.clear()
    assert wait_until(lambda: engine.reading("d2", "x").value == 2, 5.0) < 5.0


def test_a_device_that_takes_one_client_is_never_asked_by_two(
    tmp_path: Path, stack: ExitStack, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """After a time-out the old connection is gone before the new one comes."""
    silent = threading.Event()
    device = _Device(stack, lambda _: None if silent.is_set() else 7, one_client=True)
    engine = run_engine(DeviceSpec("d", write_profile(tmp_path, _POINT), device.target))
    wait_until(lambda: engine.reading("d", "x").value == 7, 3.0)
    silent.set()
    wait_until(lambda: engine.reading("d", "x").value is None, 3.0)
    silent.clear()
    assert wait_until(lambda: engine.reading("d", "x").value == 7, 5.0) < 5.0
    assert device.connections >= 2
    # The device may see the new connection a moment before the old one's end, not time after time.
    assert device.refused <= 1


def test_a_name_is_looked_up(
    tmp_path: Path, stack: ExitStack, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A host name works like an address; one that nobody knows fails its own device only."""
    device = _Device(stack, lambda _: 7)
    path = write_profile(tmp_path, _POINT)
    by_name = device.target.replace("127.0.0.1", "localhost")
    engine = run_engine(
        DeviceSpec("d", path, by_name), DeviceSpec("n", path, "tcp://no-such-host.invalid:502")
    )
    wait_until(lambda: engine.reading("d", "x").value == 7, 3.0)
    wait_until(lambda: engine.reading("n", "x").quality is Quality.COMM_ERROR, 20.0)
    assert "no-such-host.invalid" in str(engine.statistics("n").last_error)


def test_a_gateway_to_a_slow_line_is_refused(tmp_path: Path) -> None:
    """RTU over TCP shares its line's time like any serial bus, and the arithmetic is shown."""
    path = write_profile(tmp_path, _POINT, transport={"turnaround_ms": 20})
    target = "rtu+tcp://127.0.0.1:4001?baud=9600"
    engine = Engine([DeviceSpec(f"d{u}", path, target, u) for u in (1, 2, 3)])
    pattern = (
        r"rtu\+tcp://127.0.0.1:4001 at 9600 Bd 8N1 cannot carry its polls, they take 1\d\d % .*"
        r"d1 fast: 1 registers in 1 reads take 4\d ms of every 100 ms"
    )
    with pytest.raises(BusOverloadError, match=pattern):
        engine.start()


def test_a_device_that_needs_rest_is_not_asked_too_often(tmp_path: Path) -> None:
    """Two reads with 60 ms of rest each do not fit into 100 ms: refused, with the arithmetic."""
    points = {"x": {"addr": 0, "unit": "V"}, "y": {"addr": 9, "unit": "V"}}
    path = write_profile(tmp_path, points, transport={"min_interval_ms": 60})
    engine = Engine([DeviceSpec("d", path, "tcp://127.0.0.1:1")])
    with pytest.raises(BusOverloadError, match=r"fast: 2 reads with 60 ms .* 120 ms of every 100"):
        engine.start()


def test_the_rest_between_requests_is_kept(
    tmp_path: Path, stack: ExitStack, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A device that needs 40 ms after each answer gets them between the reads of one poll."""
    device = _Device(stack, lambda _: 7)
    points = {"x": {"addr": 0, "unit": "V"}, "y": {"addr": 9, "unit": "V"}}
    path = write_profile(tmp_path, points, transport={"min_interval_ms": 40})
    engine = run_engine(DeviceSpec("d", path, device.target))
    wait_until(lambda: engine.statistics("d").polls >= 5, 5.0)
    asked = [moment for moment, _ in device.requests]
    assert min(ask - answer for answer, ask in zip(device.answered, asked[1:], strict=False)) > 0.04


@pytest.mark.parametrize(
    ("hard", "outcome"),
    [
        (2000, "allowed 552"),
        (300, "40 buses and 512 files of other use are 552 open files, .* allows this process 300"),
    ],
)
def test_more_buses_than_files(tmp_path: Path, hard: int, outcome: str) -> None:
    """A process that may open 128 files asks for more, and where it gets none it says so."""
    path = write_profile(tmp_path, _POINT)
    program = f"""
import resource
from drivers.engine import DeviceSpec, Engine
resource.setrlimit(resource.RLIMIT_NOFILE, (128, {hard}))
engine = Engine([DeviceSpec(f"d{{k}}", {path!r}, f"tcp://127.0.0.2:{{k + 1}}") for k in range(40)])
try:
    engine.start()
    engine.stop()
    print("allowed", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except Exception as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert re.match(outcome, done.stdout), done.stdout
