"""A Modbus device made of pymodbus alone, in a process of its own that can be killed.

Its argument is JSON: port (0 for any), unit, registers {address: [values]} for functions 3 and 4
alike, ignore_writes, framer (`rtu` for RTU frames over TCP), line (a serial line in place of TCP).
It prints one JSON line when it listens and one per request that it serves.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def say(**facts: Any) -> None:
    """One line for the test that listens."""
    print(json.dumps(facts), flush=True)


async def serve(spec: dict[str, Any]) -> None:
    """Serve until killed."""

    async def served(
        function: int, start: int, address: int, count: int, registers: list[int], values: Any
    ) -> None:
        say(function=function, address=address, count=count, values=values)
        if values is not None and spec.get("ignore_writes"):
            values[:] = registers[address - start : address - start + count]

    blocks = [
        SimData(int(address), values=values, datatype=DataType.REGISTERS)
        for address, values in spec["registers"].items()
    ]
    device = SimDevice(id=spec.get("unit", 1), simdata=blocks, action=served)
    if "line" in spec:
        line = ModbusSerialServer(device, framer=FramerType.RTU, port=spec["line"], baudrate=115200)
        await line.listen()
        say(port=0)
    else:
        framer = FramerType(spec.get("framer", "socket"))
        server = ModbusTcpServer(device, framer=framer, address=("127.0.0.1", spec.get("port", 0)))
        await server.listen()
        say(port=server.transport.sockets[0].getsockname()[1])
    await asyncio.Event().wait()


asyncio.run(serve(json.loads(sys.argv[1])))
