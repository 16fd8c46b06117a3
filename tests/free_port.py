"""Ports for servers that are told theirs."""

from __future__ import annotations

import contextlib
import random
import socket

_LOW, _HIGH = 20_000, 32_000  # below the ports that Linux gives to who asks for any


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody has, and that nobody is given by chance."""
    while True:
        port = random.randrange(_LOW, _HIGH)
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", port))
            return port
