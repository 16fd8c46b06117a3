"""A simulated device of any protocol beside plain Modbus, served where the driver finds it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from drivers.simulation.byte_server import ByteTcpServer
from drivers.simulation.line_instrument import LineInstrument
from drivers.simulation.mbus_meter import MbusMeter
from drivers.simulation.sunspec_device import SunSpecDevice
from drivers.simulation.sysfs_tree import SysfsTree
from drivers.simulation.tcp_server import ModbusTcpServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from drivers.simulation.point_values import PointValues

_CHIP = "simulated"


def serve_values(values: PointValues, folder: Path) -> AbstractContextManager[str]:
    """Serve the device on loopback (sysfs: as files in `folder`) and give its target.

    KeyError names a protocol that nothing is simulated of.
    """
    return _SERVERS[values.profile.protocol](values, folder)


@contextmanager
def _sunspec(values: PointValues, folder: Path) -> Iterator[str]:  # noqa: ARG001
    # All that the server wants of a device, though it is none of a Modbus profile.
    device: Any = SunSpecDevice(values)
    server = ModbusTcpServer({values.profile.transport.unit: device})
    server.start()
    try:
        yield f"tcp://127.0.0.1:{server.port}"
    finally:
        server.stop()


@contextmanager
def _mbus(values: PointValues, folder: Path) -> Iterator[str]:  # noqa: ARG001
    meter = MbusMeter(values)
    server = ByteTcpServer(lambda: meter)
    server.start()
    try:
        yield f"mbus+tcp://127.0.0.1:{server.port}?address=1"
    finally:
        server.stop()


@contextmanager
def _line(values: PointValues, folder: Path) -> Iterator[str]:  # noqa: ARG001
    server = ByteTcpServer(lambda: LineInstrument(values))
    server.start()
    try:
        yield f"line+tcp://127.0.0.1:{server.port}"
    finally:
        server.stop()


@contextmanager
def _snmp(values: PointValues, folder: Path) -> Iterator[str]:  # noqa: ARG001
    # The one of them that needs an extra.
    from drivers.simulation.snmp_agent import SnmpAgent

    agent = SnmpAgent(values)
    agent.start()
    try:
        yield f"snmp://127.0.0.1:{agent.port}?community=public"
    finally:
        agent.stop()


@contextmanager
def _sysfs(values: PointValues, folder: Path) -> Iterator[str]:
    tree = SysfsTree(values, folder, _CHIP)
    tree.plug()
    try:
        yield tree.target
    finally:
        tree.unplug()


_SERVERS: dict[str, Callable[[PointValues, Path], AbstractContextManager[str]]] = {
    "sunspec": _sunspec,
    "mbus": _mbus,
    "line": _line,
    "snmp": _snmp,
    "sysfs": _sysfs,
}
