"""dcpi-waveform/1 over real TCP sockets; the server is written from the protocol text alone."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from drivers.errors import TransportError
from drivers.waveforms.block import Block
from drivers.waveforms.stream import StreamSource

GREETING = {
    "protocol": "dcpi-waveform/1",
    "phases": 3,
    "sample_rate_hz": 12800,
    "epoch_ns": 1_772_619_330_100_000_000,
    "dtype": "<f4",
}


def frame(first: int, count: int) -> bytes:
    """Three phases whose sample i of channel c is 1000·c + i, packed with struct alone."""
    values = [1000.0 * channel + first + i for channel in range(6) for i in range(count)]
    return struct.pack("<4sIQ", b"DCPW", count, first) + struct.pack(f"<{len(values)}f", *values)


@contextmanager
def serving(script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that runs `script` on each connection, one at a time; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def accept() -> None:
        while not closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    script(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        closing.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def greet(connection: socket.socket, **changes: object) -> None:
    """Send the greeting, with changes."""
    connection.sendall(json.dumps({**GREETING, **changes}).encode() + b"\n")


def until_closed(connection: socket.socket) -> None:
    """Wait until the client is gone."""
    connection.settimeout(5)
    while connection.recv(64):
        pass


def next_block(source: StreamSource, deadline_s: float = 3.0) -> Block:
    """The next block, within a deadline."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        block = source.read(0.1)
        if block is not None:
            return block
    raise AssertionError("no block came")


def drain(source: StreamSource, seconds: float) -> None:
    """Read and drop blocks for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        source.read(0.1)


def drain_at_once(source: StreamSource, blocks: list[Block]) -> None:
    """Poll, as a shared reader does, and keep copies of the blocks."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        block = source.read(0.0)
        if block is not None:
            blocks.append(replace(block, samples=block.samples.copy()))


def opened(port: int) -> StreamSource:
    """A source connected to that port."""
    source = StreamSource("127.0.0.1", port)
    source.open()
    return source


def test_the_greeting_sets_rate_phases_and_epoch() -> None:
    """After open the source tells what the server announced."""

    def script(connection: socket.socket) -> None:
        greet(connection, sample_rate_hz=4799.5, phases=1)
        until_closed(connection)

    with serving(script) as port:
        source = opened(port)
        assert source.phases == 1
        assert source.sample_rate_hz == 4799.5
        assert source.epoch_ns == GREETING["epoch_ns"]
        source.close()
        source.close()


def test_blocks_arrive_as_they_were_sent() -> None:
    """Index, channel order and values survive, and a jump of the index is a gap, not an error."""

    def script(connection: socket.socket) -> None:
        greet(connection)
        connection.sendall(frame(7, 640) + frame(647, 3) + frame(900, 128))
        until_closed(connection)

    with serving(script) as port:
        source = opened(port)
        for first, count in ((7, 640), (647, 3), (900, 128)):
            block = next_block(source)
            assert block.first_index == first
            assert block.samples.shape == (6, count)
            assert block.samples.dtype == np.float32
            assert block.samples.flags.c_contiguous
            expected = 1000.0 * np.arange(6)[:, None] + np.arange(first, first + count)
            assert np.array_equal(block.samples, expected)
        assert source.read(0.01) is None
        source.close()


def test_frames_that_have_waited_are_one_block() -> None:
    """Who polls catches up with whole runs of frames; a gap and a broken frame end a run."""
    sizes = (640, 3, 640, 128, 1)
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    run = b"".join(frame(start, size) for start, size in zip(starts, sizes, strict=True))
    sent = threading.Event()

    def script(connection: socket.socket) -> None:
        greet(connection)
        broken = struct.pack("<4sIQ", b"DCPX", 1, 2050) + bytes(24)
        connection.sendall(run + frame(2000, 50) + broken)
        sent.set()
        until_closed(connection)

    with serving(script) as port:
        source = opened(port)
        assert sent.wait(5)
        blocks: list[Block] = []
        with pytest.raises(TransportError, match="begins with b'DCPX'"):
            drain_at_once(source, blocks)
        source.close()
    assert len(blocks) < 6, "as many blocks as frames"
    indices = np.concatenate(
        [block.first_index + np.arange(block.samples.shape[1]) for block in blocks]
    )
    assert indices.tolist() == [*range(1412), *range(2000, 2050)]
    samples = np.concatenate([block.samples for block in blocks], axis=1)
    assert np.array_equal(samples, 1000.0 * np.arange(6)[:, None] + indices)


def test_a_frame_in_pieces_is_put_together() -> None:
    """Frames that TCP tears, header and payload alike, come whole across time-outs."""

    def script(connection: socket.socket) -> None:
        line = json.dumps(GREETING).encode() + b"\n"
        data = line + frame(0, 40) + frame(40, 41)
        for start in range(0, len(data), 97):
            connection.sendall(data[start : start + 97])
            time.sleep(0.002)
        until_closed(connection)

    with serving(script) as port:
        source = opened(port)
        blocks: list[np.ndarray] = []
        end = time.monotonic() + 5
        while len(blocks) < 2 and time.monotonic() < end:
            block = source.read(0.001)
            if block is not None:
                blocks.append(block.samples.copy())
        source.close()
    assert [block.shape for block in blocks] == [(6, 40), (6, 41)]
    assert blocks[1][5, 40] == 5080.0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"hello\n", "not JSON"),
        (b"[" * 4000 + b"\n", "not JSON"),
        (b"[]\n", "does not name"),
        (b"{" + b" " * 5000, "exceeds 4096 bytes"),
        (b"", "closed the connection"),
        ({"protocol": "dcpi-waveform/2"}, "does not name dcpi-waveform/1"),
        ({"dtype": ">f8"}, "dtype"),
        ({"phases": 4}, "phases 4"),
        ({"phases": True}, "phases True"),
        ({"clock": "atomic"}, "clock 'atomic' is neither 'utc' nor 'free'"),
        ({"sample_rate_hz": 0}, "sample_rate_hz 0"),
        ({"sample_rate_hz": "12800"}, "sample_rate_hz '12800'"),
        ({"sample_rate_hz": float("nan")}, "sample_rate_hz nan"),
        ({"epoch_ns": 1.5}, "epoch_ns 1.5"),
        ({"epoch_ns": -1}, "epoch_ns -1"),
    ],
)
def test_a_wrong_greeting_is_named(line: bytes | dict[str, object], reason: str) -> None:
    """Each greeting that breaks the protocol is refused with the server and the reason."""

    def script(connection: socket.socket) -> None:
        data = line if isinstance(line, bytes) else json.dumps({**GREETING, **line}).encode()
        connection.sendall(data + (b"" if data.endswith(b"\n") or not data else b"\n"))

    with serving(script) as port, pytest.raises(TransportError) as caught:
        opened(port)
    assert reason in str(caught.value)
    assert f"127.0.0.1:{port}" in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (struct.pack("<4sIQ", b"DCPX", 1, 0) + bytes(24), "begins with b'DCPX'"),
        (struct.pack("<4sIQ", b"DCPW", 0, 0), "frame of 0 samples"),
        (struct.pack("<4sIQ", b"DCPW", 4_000_000_000, 0), "frame of 4000000000 samples"),
        (frame(100, 50) + frame(149, 50), "went back from 150 to 149"),
        (frame(0, 50)[:-10], "closed the connection"),
    ],
)
def test_a_broken_frame_loses_the_peer(frames: bytes, reason: str) -> None:
    """A frame that cannot be right ends the connection with a reason, whatever it claims."""

    def script(connection: socket.socket) -> None:
        greet(connection)
        connection.sendall(frames)
        connection.shutdown(socket.SHUT_WR)
        until_closed(connection)

    with serving(script) as port:
        source = opened(port)
        with pytest.raises(TransportError, match=reason):
            drain(source, 3.0)
        source.close()


@pytest.mark.parametrize(
    ("changes", "claims"), [({}, True), ({"clock": "utc"}, True), ({"clock": "free"}, False)]
)
def test_arrivals_are_stamped(changes: dict[str, object], claims: bool) -> None:
    """Frames carry the time they came, and whether the server claims to keep UTC."""

    def script(connection: socket.socket) -> None:
        greet(connection, **changes)
        connection.sendall(frame(0, 50))
        until_closed(connection)

    with serving(script) as port:
        source = opened(port)
        before_ns = time.time_ns()
        block = source.read(3.0)
        assert block is not None
        assert block.received_ns is not None
        assert before_ns <= block.received_ns <= time.time_ns()
        assert block.claims_utc is claims
        source.close()


def test_nobody_there_is_a_transport_error() -> None:
    """A refused connection, and reading without one, name the server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = StreamSource("127.0.0.1", port)
    with pytest.raises(TransportError, match=f"127.0.0.1:{port}"):
        source.open()
    with pytest.raises(TransportError, match="not open"):
        source.read(0.1)


def test_silence_of_a_second_is_a_lost_peer() -> None:
    """A server that keeps the connection but sends nothing is given up after a second."""

    def script(connection: socket.socket) -> None:
        greet(connection)
        until_closed(connection)

    with serving(script) as port:
        source = opened(port)
        begun = time.monotonic()
        with pytest.raises(TransportError, match="silent for 1 s"):
            drain(source, 3.0)
        assert 1.0 <= time.monotonic() - begun < 3
        source.close()
