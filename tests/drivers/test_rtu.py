"""Modbus RTU against pymodbus: on a serial line and over TCP."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer.rtu import FramerRTU
from small_profile import write_profile

from drivers.engine import DeviceSpec, Engine
from drivers.errors import TransportError
from drivers.modbus_pdu import WriteBlock
from drivers.modbus_rtu import RtuTransport, checksum
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.target import SerialTarget

WaitUntil = Callable[[Callable[[], bool], float], float]
RunEngine = Callable[..., Engine]
Independent = Callable[..., Any]

_IMAGE = {0: [230, 51, 0xFFFF, 12]}
_POINTS = {
    "volts": {"addr": 0, "unit": "V"},
    "set": {"addr": 1, "unit": "%", "write": {"range": [0, 100]}},
}


@pytest.fixture
def line_pair(stack: ExitStack) -> tuple[str, str]:
    """Both ends of a serial line: what goes into one comes out of the other."""
    pairs = [os.openpty() for _ in range(2)]
    masters = [master for master, _ in pairs]
    for master, slave in pairs:
        tty.setraw(slave)
        stack.callback(os.close, slave)
        stack.callback(os.close, master)

    def carry(source: int, sink: int) -> None:
        while True:
            try:
                os.write(sink, os.read(source, 256))
            except OSError:
                return

    for source, sink in (masters, masters[::-1]):
        threading.Thread(target=carry, args=(source, sink), daemon=True).start()
    return os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])


@pytest.mark.parametrize("frame", [b"", b"\x01", b"\x11\x03\x00\x6b\x00\x03", bytes(range(256))])
def test_the_checksum_is_the_one_of_pymodbus(frame: bytes) -> None:
    """CRC-16 as an independent library computes it."""
    assert checksum(frame) == FramerRTU.compute_CRC(frame).to_bytes(2, "big")


def test_a_slave_made_of_pymodbus_is_read_and_written(
    tmp_path: Path,
    line_pair: tuple[str, str],
    independent_server: Independent,
    run_engine: RunEngine,
    wait_until: WaitUntil,
) -> None:
    """Over a serial line: values arrive, a write shows in the slave's log and then a new read."""
    server = independent_server(registers=_IMAGE, line=line_pair[0], unit=9)
    path = write_profile(tmp_path, _POINTS, transport={"baud": [115200], "timeout_ms": 500})
    engine = run_engine(DeviceSpec("d", path, f"serial://{line_pair[1]}", 9))
    wait_until(lambda: engine.reading("d", "volts").value == 230.0, 5.0)
    result = engine.write("d", "set", 42.0, timeout_s=3.0)
    assert (result.status, result.accepted) == ("accepted", 42.0)
    _written_then_read(server.log(), 6, 1, [42])


def test_rtu_frames_over_tcp(
    tmp_path: Path, independent_server: Independent, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """A gateway that hands RTU frames over TCP is read, written, and found again when it dies."""
    server = independent_server(registers=_IMAGE, framer="rtu")
    path = write_profile(tmp_path, _POINTS, transport={"baud": [115200], "timeout_ms": 500})
    target = server.target.replace("tcp://", "rtu+tcp://")
    engine = run_engine(DeviceSpec("d", path, target))
    wait_until(lambda: engine.reading("d", "volts").value == 230.0, 5.0)
    assert engine.write("d", "set", 42.0, timeout_s=3.0).status == "accepted"
    _written_then_read(server.log(), 6, 1, [42])
    share = engine.utilisation("d")
    assert share is not None
    assert 0.2 < share < 0.4
    server.kill()
    wait_until(lambda: engine.reading("d", "volts").quality is Quality.COMM_ERROR, 2.0)
    server.start()
    wait_until(lambda: engine.reading("d", "volts").value == 230.0, 5.0)


def _written_then_read(log: list[dict[str, Any]], function: int, address: int, values: Any) -> None:
    """The write is in a server's log, once, and a read of the same register comes after it."""
    # pymodbus looks at a register that it was told to set, with the function that set it.
    writes = [k for k, entry in enumerate(log) if entry.get("values") is not None]
    assert len(writes) == 1
    found = log[writes[0]]
    assert (found["function"], found["address"], found["values"]) == (function, address, values)
    later = log[writes[0] + 1 :]
    assert any(
        entry["function"] == 3 and entry["address"] <= address < entry["address"] + entry["count"]
        for entry in later
    )


def test_an_exception_keeps_its_code(
    line_pair: tuple[str, str], independent_server: Independent
) -> None:
    """A slave's refusal is told at once, with its code, and costs the next request nothing."""
    independent_server(registers=_IMAGE, line=line_pair[0])
    transport = RtuTransport(SerialTarget(line_pair[1]), 115200, "8N1")
    with pytest.raises(TransportError, match="illegal data address") as caught:
        transport.read(1, ReadBlock(3, 900, 2), 2.0)
    assert (caught.value.exception_code, caught.value.refused) == (2, True)
    assert transport.read(1, ReadBlock(3, 0, 2), 2.0) == bytes((0, 230, 0, 51))
    transport.write(1, WriteBlock(16, 0, bytes((0, 1, 0, 2))), 2.0)
    assert transport.read(1, ReadBlock(3, 0, 2), 2.0) == bytes((0, 1, 0, 2))
    transport.close()


@pytest.mark.parametrize("damage", ["crc", "unit", "function"])
def test_a_damaged_reply_is_never_decoded(stack: ExitStack, damage: str) -> None:
    """A wrong checksum, another unit's reply and another function's are malformed."""
    master, slave = os.openpty()
    tty.setraw(slave)
    stack.callback(os.close, slave)
    stack.callback(os.close, master)
    frame = {"crc": b"\x01\x03\x02\x00\x07", "unit": b"\x02\x03\x02\x00\x07"}
    reply = frame.get(damage, b"\x01\x04\x02\x00\x07")
    crc = FramerRTU.compute_CRC(reply) ^ (damage == "crc")

    def serve() -> None:
        os.read(master, 64)
        os.write(master, reply + crc.to_bytes(2, "big"))

    threading.Thread(target=serve, daemon=True).start()
    transport = RtuTransport(SerialTarget(os.ttyname(slave)), 115200, "8N1")
    with pytest.raises(TransportError, match="malformed reply to function 3"):
        transport.read(1, ReadBlock(3, 0, 1), 2.0)
    transport.close()
