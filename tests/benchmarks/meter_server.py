"""Many Modbus TCP meters in one process, made of sockets and epoll alone: the bench's other side.

    python -m tests.benchmarks.meter_server COUNT [LATENCY_MS]

Each meter listens on a port of its own and answers every read with 20 float32 points that are new
each 100 ms and add up. It prints its ports as one JSON line and serves until its stdin ends.
"""

from __future__ import annotations

import json
import math
import select
import socket
import struct
import sys
import time
from collections import deque

# Phase voltages, currents, active, reactive and apparent powers, factors, total and frequency.
POINTS = 20
_TABLE = 64


def _body(step: int) -> bytes:
    """20 points of one moment; the total is the sum of the phases' powers."""
    swing = math.sin(2 * math.pi * step / _TABLE)
    volts = [230.0 + swing, 231.0 - swing, 229.0 + 0.5 * swing]
    amps = [10.0 + swing, 11.0 + swing, 12.0 - swing]
    watts = [v * i * 0.95 for v, i in zip(volts, amps, strict=True)]
    vars_ = [v * i * 0.3 for v, i in zip(volts, amps, strict=True)]
    apparent = [v * i for v, i in zip(volts, amps, strict=True)]
    factors = [0.95 + 0.01 * swing] * 3
    rest = [sum(watts), 50.0 + 0.01 * swing]
    return struct.pack(">20f", *volts, *amps, *watts, *vars_, *apparent, *factors, *rest)


_BODIES = [struct.pack(">BB", 3, 4 * POINTS) + _body(step) for step in range(_TABLE)]


def serve(count: int, latency_s: float) -> None:
    """Answer until the parent closes our stdin."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=8) for _ in range(count)]
    print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)
    poll = select.epoll()
    poll.register(0, select.EPOLLIN)
    by_listener = {listener.fileno(): listener for listener in listeners}
    connections: dict[int, socket.socket] = {}
    for number in by_listener:
        poll.register(number, select.EPOLLIN)
    late: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        pause_s = max(0.0, late[0][0] - time.monotonic()) if late else 1.0
        for number, _ in poll.poll(pause_s):
            if number in connections:
                _answer(connections, poll, number, late, latency_s)
            elif number in by_listener:
                connection, _ = by_listener[number].accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                poll.register(connection.fileno(), select.EPOLLIN)
            else:
                return
        now = time.monotonic()
        while late and late[0][0] <= now:
            _, connection, reply = late.popleft()
            if connection.fileno() >= 0:
                connection.send(reply)


def _answer(
    connections: dict[int, socket.socket],
    poll: select.epoll,
    number: int,
    late: deque[tuple[float, socket.socket, bytes]],
    latency_s: float,
) -> None:
    connection = connections[number]
    try:
        request = connection.recv(260)
    except ConnectionError:
        request = b""
    if not request:
        poll.unregister(number)
        del connections[number]
        connection.close()
        return
    body = _BODIES[(int(time.monotonic() * 10) + number) % _TABLE]
    if request[8:12] != b"\0\0\0\x28":
        # The heartbeat or a scan asks for fewer registers.
        length = 2 * int.from_bytes(request[10:12])
        start = 2 + 2 * int.from_bytes(request[8:10])
        body = bytes((3, length)) + body[start : start + length]
    reply = request[:4] + struct.pack(">HB", len(body) + 1, request[6]) + body
    if latency_s:
        late.append((time.monotonic() + latency_s, connection, reply))
    else:
        connection.send(reply)


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]) / 1000.0 if len(sys.argv) > 2 else 0.0)
