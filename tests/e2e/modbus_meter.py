"""An SDM630 made of pymodbus alone, as its own process: `python modbus_meter.py PORT POWER_W`."""

from __future__ import annotations

import sys

from pymodbus.server import StartTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

LAST_REGISTER = 400


def registers(power_w: float) -> dict[int, float]:
    """PDU address to value, from the vendor's map: three equal phases at 230 V, PF 0.9."""
    volts, phase_w = 230.0, power_w / 3
    values = {0x34: power_w, 0x38: power_w / 0.9, 0x3E: 0.9, 0x46: 50.02, 0x48: 1234.5, 0x4A: 0.5}
    for phase in range(3):
        values[0x00 + 2 * phase] = volts + phase
        values[0x06 + 2 * phase] = phase_w / 0.9 / volts
        values[0x0C + 2 * phase] = phase_w
        values[0x12 + 2 * phase] = phase_w / 0.9
        values[0x1E + 2 * phase] = 0.9
    return values


def device(power_w: float) -> SimDevice:
    """The register image; addresses that the map does not name read as 0.0."""
    known = registers(power_w)
    data = [
        SimData(address, values=known.get(address, 0.0), datatype=DataType.FLOAT32)
        for address in range(0, LAST_REGISTER, 2)
    ]
    return SimDevice(id=1, simdata=data)


if __name__ == "__main__":
    StartTcpServer(device(float(sys.argv[2])), address=("127.0.0.1", int(sys.argv[1])))
