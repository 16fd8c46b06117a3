"""Where the field devices can be reached: Modbus TCP gateways, own ports, and one serial line.

Per hall one gateway carries flow meters as units 1 to 6, pressure transmitters as 11 to 16, pump
drives as 21 to 26 and leak cables as 31 to 36. Temperature modules, meters and the rack PDU have
ports of their own. The pressure transmitter of the first loop hangs on a pseudo-terminal instead.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from drivers.simulation import ModbusRtuServer, ModbusTcpServer, PseudoTerminal, SimulatedDevice
from emulator.plant.facility import Facility
from emulator.plant.field_devices import (
    RACK_PDU,
    gateway_of,
    loop_device,
    meter_of,
    temperatures_of,
)

_FIRST_UNIT = {"flow": 1, "pressure": 11, "pump": 21, "leak": 31}
_SERIAL_BAUD = 9600


class _Server(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


def serial_device(facility: Facility) -> str:
    """The one device on the serial line."""
    return loop_device("pressure", facility.loop_ids[0])


def gateways(facility: Facility) -> dict[str, dict[int, str]]:
    """The devices of each hall's gateway by unit."""
    return {
        gateway_of(hall_id): _gateway_units(facility, hall)
        for hall, hall_id in enumerate(facility.hall_ids)
    }


def own_ports(facility: Facility) -> list[str]:
    """The devices that have a port of their own, as unit 1."""
    sides = ("supply", "return")
    modules = [temperatures_of(hall, side) for hall in facility.hall_ids for side in sides]
    return [RACK_PDU, *(meter_of(feed_id) for feed_id in facility.metered), *modules]


def _gateway_units(facility: Facility, hall: int) -> dict[int, str]:
    per_hall = facility.loops.per_hall
    loops = facility.loop_ids[hall * per_hall : (hall + 1) * per_hall]
    return {
        first + position: loop_device(kind, loop_id)
        for kind, first in _FIRST_UNIT.items()
        for position, loop_id in enumerate(loops)
        if loop_device(kind, loop_id) != serial_device(facility)
    }


@dataclass(frozen=True, slots=True)
class Address:
    """Where a driver finds a device: `target` as in the configuration, and its unit."""

    target: str
    unit: int


class Fieldbus:
    """All servers of the field devices; `addresses` is complete after `start`.

    Besides devices, a hall's whole gateway (`hall_1_gateway`) can be stopped and started.
    """

    def __init__(
        self, facility: Facility, devices: Mapping[str, SimulatedDevice], state_dir: Path
    ) -> None:
        self.addresses: dict[str, Address] = {}
        self._devices = devices
        self._serial_id = serial_device(facility)
        self._line_link = state_dir / f"{self._serial_id}.tty"
        self._line: PseudoTerminal | None = None
        self._gateways = gateways(facility)
        self._tcp_servers: dict[str, ModbusTcpServer] = {
            gateway_id: ModbusTcpServer({unit: devices[name] for unit, name in units.items()})
            for gateway_id, units in self._gateways.items()
        }
        self._tcp_servers |= {
            name: ModbusTcpServer({1: devices[name]}) for name in own_ports(facility)
        }
        self._running: dict[str, _Server] = {}
        self._lock = threading.Lock()  # two requests must not start one server at once

    @property
    def names(self) -> frozenset[str]:
        """Everything that can be stopped: devices and gateways."""
        return frozenset(self._devices) | frozenset(self._tcp_servers)

    def start(self) -> None:
        """Serve everything; TransportError or OSError when a port or the line cannot be had."""
        self._line_link.unlink(missing_ok=True)  # a killed run leaves its link behind
        self._line = PseudoTerminal(self._line_link)
        serial = ModbusRtuServer({1: self._devices[self._serial_id]}, self._line.master_fd)
        servers: dict[str, _Server] = {self._serial_id: serial, **self._tcp_servers}
        for name, server in servers.items():
            server.start()
            self._running[name] = server
        self._note_addresses()

    def stop(self) -> None:
        """Stop serving and remove the serial line."""
        # Each server takes up to half a second to notice.
        with ThreadPoolExecutor(max_workers=max(len(self._running), 1)) as pool:
            list(pool.map(lambda server: server.stop(), self._running.values()))
        self._running.clear()
        if self._line is not None:
            self._line.close()
            self._line = None

    def stop_device(self, name: str) -> None:
        """Make a device unreachable: its own port closes, on a shared bus it falls silent.

        KeyError names an unknown device.
        """
        with self._lock:
            if (server := self._tcp_servers.get(name)) is not None:
                server.stop()
            else:
                self._devices[name].silent = True

    def start_device(self, name: str) -> None:
        """Undo `stop_device`. KeyError names an unknown device."""
        with self._lock:
            if (server := self._tcp_servers.get(name)) is not None:
                server.stop()  # a running one cannot be started
                server.start()
            else:
                self._devices[name].silent = False

    def ignore_writes(self, name: str, ignore: bool) -> None:
        """Make a device acknowledge writes without doing them. KeyError names an unknown device."""
        self._devices[name].ignores_writes = ignore

    def _note_addresses(self) -> None:
        for name, server in self._tcp_servers.items():
            target = f"tcp://{server.host}:{server.port}"
            for unit, device_id in self._gateways.get(name, {1: name}).items():
                self.addresses[device_id] = Address(target, unit)
        target = f"serial://{self._line_link.absolute()}?baud={_SERIAL_BAUD}"
        self.addresses[self._serial_id] = Address(target, 1)
