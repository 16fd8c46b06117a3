"""A small load generator: closed loop on keep-alive connections, or paced; latencies in seconds.

It runs as its own process (`python -m tests.benchmarks.load`), so that the server under test does
not share an interpreter with it, and prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import selectors
import socket
import ssl
import statistics
import time
from collections import deque
from typing import Any
from urllib.parse import urlsplit

# One for all, without the system's authorities: to read those takes longer than a handshake.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TLS.check_hostname = False
_TLS.verify_mode = ssl.CERT_NONE


class Connection:
    """One keep-alive connection that has at most one request under way."""

    def __init__(self, url: str, headers: list[str], body: bytes) -> None:
        parts = urlsplit(url)
        method = "POST" if body else "GET"
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", *headers]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self._request = "\r\n".join([*lines, "", ""]).encode() + body
        self._address = (parts.hostname or "127.0.0.1", parts.port or 443)
        self._tls = parts.scheme == "https"
        self.socket = self._open()
        self._left = 0
        self._head = b""
        self.sent_s = 0.0

    def _open(self) -> socket.socket:
        plain = socket.create_connection(self._address, timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._tls:
            return plain
        return _TLS.wrap_socket(plain)

    def send(self) -> None:
        """Send the request, on a new connection where the server has closed the old one."""
        self.sent_s = time.perf_counter()
        if b"connection: close" in self._head.lower():
            self.socket.close()
            self.socket = self._open()
        self._head, self._left = b"", -1
        try:
            self.socket.sendall(self._request)
        except ConnectionError:
            self._end_of_stream()

    def receive(self) -> int | None:
        """Take what is there; the status once the answer is complete."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._end_of_stream()
            return None
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._left = _length(self._head[:end]) - (len(self._head) - end - 4)
        else:
            self._left -= len(data)
        return int(self._head[9:12]) if self._left <= 0 else None

    def _end_of_stream(self) -> None:
        """The server hung up: open again and repeat."""
        self.socket.close()
        self.socket = self._open()
        self.send()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError(f"no Content-Length in {head!r}")


def closed_loop(connections: list[Connection], seconds: float) -> list[float]:
    """As fast as the server answers, for so long; the latencies."""
    selector = selectors.DefaultSelector()
    for connection in connections:
        connection.send()
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(1):
            connection = key.data
            before = connection.socket
            status = connection.receive()
            if status is not None:
                _expect(status)
                latencies.append(time.perf_counter() - connection.sent_s)
                connection.send()
            if connection.socket is not before:
                selector.unregister(before)
                selector.register(connection.socket, selectors.EVENT_READ, connection)
    return latencies


def paced(connection: Connection, seconds: float, rate_hz: float) -> list[float]:
    """So many requests a second; latency counts from the moment that a request was due."""
    latencies: list[float] = []
    start = time.perf_counter()
    for count in range(int(seconds * rate_hz)):
        due = start + count / rate_hz
        delay = due - time.perf_counter()
        if delay > 0:
            time.sleep(delay)
        connection.send()
        status = None
        while status is None:
            status = connection.receive()
        _expect(status)
        latencies.append(time.perf_counter() - due)
    return latencies


def pollers(connections: list[Connection], seconds: float, rate_hz: float) -> list[float]:
    """So many requests a second on each connection, evenly spread; latency from when one is due."""
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    begin = time.perf_counter()
    count = int(seconds * rate_hz)
    due = [
        (begin + (turn + number / len(connections)) / rate_hz, connection)
        for turn in range(count)
        for number, connection in enumerate(connections)
    ]
    waiting: dict[Connection, deque[float]] = {connection: deque() for connection in connections}
    latencies: list[float] = []
    at = 0
    while len(latencies) < len(due):
        now = time.perf_counter()
        while at < len(due) and due[at][0] <= now:
            moment, connection = due[at]
            waiting[connection].append(moment)
            if len(waiting[connection]) == 1:
                connection.send()
            at += 1
        pause_s = max(0.0, due[at][0] - time.perf_counter()) if at < len(due) else 10.0
        for key, _ in selector.select(pause_s):
            connection = key.data
            before = connection.socket
            status = connection.receive()
            if status is not None:
                _expect(status)
                latencies.append(time.perf_counter() - waiting[connection].popleft())
                if waiting[connection]:
                    connection.send()
            if connection.socket is not before:
                selector.unregister(before)
                selector.register(connection.socket, selectors.EVENT_READ, connection)
    return latencies


def _expect(status: int) -> None:
    if status != 200:
        raise SystemExit(f"load: the server answered {status}")


def summary(latencies: list[float], seconds: float) -> dict[str, Any]:
    """Requests a second and percentiles in ms."""
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "requests_per_s": len(latencies) / seconds,
        "p50_ms": cuts[49] * 1e3,
        "p99_ms": cuts[98] * 1e3,
        "count": len(latencies),
    }


def main() -> None:
    """Parse the command line, load, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="+", help="several are spread over the connections")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, help="requests a second, on each connection")
    parser.add_argument("--header", action="append", default=[])
    arguments = parser.parse_args()
    urls = itertools.cycle(arguments.url)
    connections = [
        Connection(next(urls), arguments.header, b"") for _ in range(arguments.connections)
    ]
    if arguments.rate and arguments.connections > 1:
        latencies = pollers(connections, arguments.seconds, arguments.rate)
    elif arguments.rate:
        latencies = paced(connections[0], arguments.seconds, arguments.rate)
    else:
        latencies = closed_loop(connections, arguments.seconds)
    print(json.dumps(summary(latencies, arguments.seconds)))


if __name__ == "__main__":
    main()
