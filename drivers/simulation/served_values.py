"""A simulated device of any protocol beside plain Modbus, served where the driver finds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.simulation.byte_server import ByteTcpServer, Conversation, PtyServer
from drivers.simulation.line_instrument import LineInstrument
from drivers.simulation.mbus_meter import MbusMeter
from drivers.simulation.point_values import PointValues
from drivers.simulation.rtu_server import ModbusRtuServer, PseudoTerminal
from drivers.simulation.sunspec_device import SunSpecDevice
from drivers.simulation.sysfs_tree import SysfsTree
from drivers.simulation.tcp_server import ModbusTcpServer

_CHIP = "simulated"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a simulated device is: a TCP or UDP port (0 for a free one), a pty, or a folder."""

    host: str = "127.0.0.1"
    port: int = 0
    pty: PseudoTerminal | None = None
    folder: Path | None = None


def serve_values(values: PointValues, place: Place) -> AbstractContextManager[str]:
    """Serve the device and give its target.

    ValueError when its protocol has no such place, or nothing is simulated of that protocol.
    """
    server = _SERVERS.get(values.profile.protocol)
    if server is None:
        known = ", ".join(_SERVERS)
        raise ValueError(f"of {values.profile.protocol} nothing is simulated, only of {known}")
    return server(values, place)


@contextmanager
def _sunspec(values: PointValues, place: Place) -> Iterator[str]:
    # All that the servers want of a device, though it is none of a Modbus profile.
    device: Any = SunSpecDevice(values)
    devices = {values.profile.transport.unit: device}
    if place.pty is not None:
        line = ModbusRtuServer(devices, place.pty.master_fd)
        line.start()
        try:
            yield f"serial://{place.pty.path}"
        finally:
            line.stop()
        return
    server = ModbusTcpServer(devices, place.host, place.port)
    server.start()
    try:
        yield f"tcp://{place.host}:{server.port}"
    finally:
        server.stop()


@contextmanager
def _mbus(values: PointValues, place: Place) -> Iterator[str]:
    meter = MbusMeter(values)
    with _spoken("mbus", lambda: meter, place) as target:
        yield f"{target}?address=1"


@contextmanager
def _line(values: PointValues, place: Place) -> Iterator[str]:
    with _spoken("line", lambda: LineInstrument(values), place) as target:
        yield target


@contextmanager
def _spoken(scheme: str, begin: Callable[[], Conversation], place: Place) -> Iterator[str]:
    server: ByteTcpServer | PtyServer
    if place.pty is not None:
        server = PtyServer(begin(), place.pty.master_fd)
        server.start()
        target = f"{scheme}+serial://{place.pty.path}"
    else:
        server = ByteTcpServer(begin, place.host, place.port)
        server.start()
        target = f"{scheme}+tcp://{place.host}:{server.port}"
    try:
        yield target
    finally:
        server.stop()


@contextmanager
def _snmp(values: PointValues, place: Place) -> Iterator[str]:
    # The one of them that needs an extra.
    from drivers.simulation.snmp_agent import SnmpAgent

    if place.pty is not None:
        raise ValueError("SNMP is served over UDP only")
    agent = SnmpAgent(values, host=place.host, port=place.port)
    agent.start()
    try:
        yield f"snmp://{place.host}:{agent.port}?community=public"
    finally:
        agent.stop()


@contextmanager
def _sysfs(values: PointValues, place: Place) -> Iterator[str]:
    if place.folder is None:
        raise ValueError("chips of sysfs are served in a folder only")
    tree = SysfsTree(values, place.folder, _CHIP)
    tree.plug()
    try:
        yield tree.target
    finally:
        tree.unplug()


_SERVERS: dict[str, Callable[[PointValues, Place], AbstractContextManager[str]]] = {
    "sunspec": _sunspec,
    "mbus": _mbus,
    "line": _line,
    "snmp": _snmp,
    "sysfs": _sysfs,
}
