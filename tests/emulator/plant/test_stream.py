"""The waveform server over real sockets."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from emulator.plant.stream import WaveformServer

RATE_HZ = 12_800.0
BLOCK = np.arange(6 * 640, dtype=np.float32).reshape(6, 640)


@pytest.fixture
def server() -> Iterator[WaveformServer]:
    """A listening server."""
    server = WaveformServer(RATE_HZ, 1_790_000_000_000_000_000)
    server.start()
    yield server
    server.stop()


def test_client_gets_greeting_and_frames(server: WaveformServer) -> None:
    """One JSON line, then header and samples channel by channel, little-endian."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        server.publish(1280, BLOCK)
        stream = client.makefile("rb")
        assert json.loads(stream.readline()) == {
            "protocol": "dcpi-waveform/1",
            "phases": 3,
            "sample_rate_hz": 12_800.0,
            "epoch_ns": 1_790_000_000_000_000_000,
            "dtype": "<f4",
        }
        assert struct.unpack("<4sIQ", stream.read(16)) == (b"DCPW", 640, 1280)
        assert stream.read(4 * BLOCK.size) == BLOCK.tobytes()
        stream.close()


def test_slow_client_is_dropped_and_the_others_stay(server: WaveformServer) -> None:
    """A client that never reads is dropped when two seconds wait for it; a reader loses nothing."""
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as reader,
        socket.create_connection(("127.0.0.1", server.port), timeout=5),
    ):
        stream = reader.makefile("rb")
        published = 0
        while server.clients != 1 or published == 0:
            server.publish(published * 640, BLOCK)
            if published == 0:
                stream.readline()
            assert struct.unpack("<4sIQ", stream.read(16))[2] == published * 640
            stream.read(4 * BLOCK.size)
            published += 1
            assert published < 5000, "the silent client was never dropped"
        stream.close()


def test_client_that_hangs_up_is_forgotten(
    server: WaveformServer, until: Callable[..., None]
) -> None:
    """After a client has gone, publishing goes on and forgets it."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    server.publish(0, BLOCK)
    assert server.clients == 1
    client.close()

    def forgotten() -> bool:
        server.publish(0, BLOCK)
        return server.clients == 0

    until(forgotten, "the client is forgotten")


def test_stopped_server_refuses_and_comes_back_on_its_port(server: WaveformServer) -> None:
    """Stop ends clients and refuses new ones; start serves the same port again."""
    port = server.port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        server.publish(0, BLOCK)
        server.stop()
        while client.recv(65_536):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    server.publish(640, BLOCK)
    server.start()
    server.start()
    assert server.port == port
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
