"""One connection: every wait ends, every buffer is bounded, every refusal is a Redfish error."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_front import PASSWORD, USER, Served, basic, closed_within, received, served, wait_for

from bmc_ext.serving.protocol import Limits

SHORT = Limits(
    connections=12, handshake_s=0.3, head_s=0.3, write_s=0.3, head_bytes=4096, pipelined=8
)
OPEN = b"GET /redfish/v1 HTTP/1.1\r\nHost: x\r\n"
SIGNED = f"Host: x\r\nAuthorization: {basic(USER, PASSWORD)}\r\n".encode()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front whose limits are short."""
    with served(tmp_path_factory.mktemp("state"), SHORT) as it:
        yield it


def status(data: bytes) -> int:
    """The status of the first answer; 0 where there is none."""
    return int(data[9:12]) if data.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize("first", [b"", b"\r\n", b"GET /red", OPEN, OPEN + b"X-A: "])
def test_a_head_that_does_not_come_ends_the_connection(front: Served, first: bytes) -> None:
    """Whoever connects and sends no request, or part of one, is dropped at the deadline."""
    with front.open() as connection:
        connection.sendall(first)
        assert closed_within(connection, 2)


def test_a_trickled_head_does_not_move_the_deadline(front: Served) -> None:
    """A header that grows by a byte now and then keeps the connection no longer."""
    begin_s = time.monotonic()
    with front.open() as connection:
        connection.sendall(OPEN + b"X-A: ")
        while time.monotonic() - begin_s < 3:
            try:
                connection.sendall(b"a")
            except OSError:
                break
            time.sleep(0.05)
    assert time.monotonic() - begin_s < 2


def test_a_line_end_after_an_answer_does_not_keep_the_connection(front: Served) -> None:
    """Bytes that begin no request do not stop the clock of an idle connection."""
    with front.open() as connection:
        connection.sendall(OPEN + b"\r\n")
        assert status(received(connection, 0.1)) == 200
        connection.sendall(b"\r\n")
        assert closed_within(connection, 2)


def test_a_handshake_that_does_not_come_ends_the_connection(front: Served) -> None:
    """A TCP connection without TLS is dropped at the deadline."""
    with socket.create_connection(("127.0.0.1", front.port)) as connection:
        assert closed_within(connection, 2)


def test_an_idle_connection_outlives_the_deadline_of_a_head(front: Served) -> None:
    """Between two requests a connection may rest longer than a head may take."""
    with front.open() as connection:
        for _ in range(2):
            connection.sendall(OPEN + b"\r\n")
            assert status(received(connection, 0.1)) == 200
            time.sleep(1.5 * SHORT.head_s)


def test_a_slow_body_outlives_the_deadline_of_a_head(front: Served) -> None:
    """The body has a time-out of its own, which is longer."""
    with front.open() as connection:
        connection.sendall(
            b"POST /redfish/v1/SessionService/Sessions HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: 2\r\n\r\n{"
        )
        time.sleep(2 * SHORT.head_s)
        connection.sendall(b"}")
        assert status(received(connection, 0.5)) == 400


def test_a_stream_outlives_the_deadline_of_a_head(front: Served) -> None:
    """A WebSocket stays open though no further head comes."""
    with front.open() as connection:
        connection.sendall(upgrade())
        assert b"101" in connection.recv(65536)
        assert not closed_within(connection, 2 * SHORT.head_s)


@pytest.mark.parametrize(
    "extra",
    [b"Transfer-Encoding: chunked\r\n", b"".join(b"X-%d: 1\r\n" % n for n in range(150))],
)
def test_a_head_that_websockets_refuses_is_answered(front: Served, extra: bytes) -> None:
    """An upgrade that the WebSocket parser does not take is 400, not silence for ever."""
    assert status(front.raw(upgrade(extra))) == 400


def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    """Answers that nobody fetches are kept in bounded memory, and only for a while."""
    ask = b"GET /redfish/v1/$metadata HTTP/1.1\r\n" + SIGNED + b"\r\n"
    limits = dataclasses.replace(SHORT, head_s=60, pipelined=10**6)
    with served(tmp_path / "state", limits) as front, front.open() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setblocking(False)
        wait_for(lambda: is_gone(connection, ask * 20), 40, "the server to drop it")


def is_gone(connection: ssl.SSLSocket, data: bytes) -> bool:
    """Whether the peer has reset the connection; else it gets the data, as far as it takes them."""
    try:
        connection.send(data)
    except ssl.SSLWantWriteError:
        return False
    except OSError:
        return True
    return False


@pytest.mark.parametrize(
    "head",
    [
        OPEN + b"X-A: " + b"a" * 5000 + b"\r\n\r\n",
        OPEN + b"".join(b"X-%d: 1\r\n" % n for n in range(600)) + b"\r\n",
        b"GET /redfish/v1/" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["one header", "many headers", "path"],
)
def test_a_long_head_is_431(front: Served, head: bytes) -> None:
    """A head over the limit is refused with a Redfish error body."""
    answer = front.raw(head)
    assert status(answer) == 431
    assert b"ExtendedInfo" in answer
    assert b"odata-version: 4.0" in answer


def test_an_endless_head_is_refused_before_its_end(front: Served) -> None:
    """A head that never ends is not collected until it does."""
    with front.open() as connection:
        connection.sendall(OPEN + b"X-A: ")
        time.sleep(0.05)
        connection.sendall(b"a" * 2000)
        time.sleep(0.05)
        connection.sendall(b"a" * 3000)
        assert status(connection.recv(65536)) == 431


def test_requests_behind_one_another_are_bounded(front: Served) -> None:
    """Some pipelined requests are answered in order; hundreds at once are refused."""
    ask = b"GET /redfish/v1/Systems HTTP/1.1\r\n" + SIGNED + b"\r\n"
    assert front.raw(ask * 5, 0.5).count(b"HTTP/1.1 200") == 5
    assert status(front.raw(ask * 300)) == 400


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Host: x\r\nHost: y\r\n",
        SIGNED + b"Authorization: Basic eDp5\r\n",
        b"Host: x\r\nX-Auth-Token: a\r\nX-Auth-Token: b\r\n",
    ],
    ids=["no Host", "two Host", "two Authorization", "two tokens"],
)
def test_headers_that_must_be_there_once(front: Served, headers: bytes) -> None:
    """A request without Host, or with two readings of who asks whom, is refused."""
    assert status(front.raw(b"GET /redfish/v1 HTTP/1.1\r\n" + headers + b"\r\n")) == 400


def test_what_is_no_http_is_a_redfish_error(front: Served) -> None:
    """A request that the parser refuses gets an error body with the common headers."""
    answer = front.raw(b"GET /redfish/v1 SMTP\r\nHost: x\r\n\r\n")
    assert status(answer) == 400
    assert b"odata-version: 4.0" in answer
    assert b"ExtendedInfo" in answer


def test_an_unknown_method_is_not_implemented(front: Served) -> None:
    """A method that HTTP does not have is 501, as DSP0266 asks, not a bad request."""
    answer = front.raw(b"FOO /redfish/v1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status(answer) == 501
    assert b"ExtendedInfo" in answer


@pytest.mark.parametrize(("version", "expected"), [(b"4.0", 200), (b"4.1", 412), (b"x", 412)])
def test_another_version_of_odata_is_refused(front: Served, version: bytes, expected: int) -> None:
    """DSP0266 7.1: a version that is not served fails the precondition."""
    ask = b"GET /redfish/v1 HTTP/1.1\r\nHost: x\r\nOData-Version: " + version + b"\r\n\r\n"
    assert status(front.raw(ask)) == expected


def test_connections_are_bounded(front: Served) -> None:
    """Over the limit a new connection is dropped; when others have gone, it is served."""
    with contextlib.ExitStack() as held:
        answered = 0
        with contextlib.suppress(OSError):  # dropped, in its handshake or later
            while answered <= SHORT.connections:
                connection = held.enter_context(front.open())
                connection.sendall(OPEN + b"\r\n")
                if not received(connection, 0.05):
                    break
                answered += 1
        assert 0 < answered <= SHORT.connections
    wait_for(lambda: is_served(front), 20, "room again")


def is_served(front: Served) -> bool:
    """Whether a new connection gets its answer."""
    try:
        return status(front.raw(OPEN + b"\r\n", 0.05)) == 200
    except OSError:
        return False


def upgrade(extra: bytes = b"") -> bytes:
    """A request to become the power stream."""
    key = base64.b64encode(bytes(16))
    return (
        b"GET /dcpi/power/stream HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n" + SIGNED + extra
        + b"\r\n"
    )  # fmt: skip


def test_an_answer_is_one_record(front: Served) -> None:
    """Head and body of a small answer arrive together: the client wakes once."""
    with front.open() as connection:
        for _ in range(3):
            connection.sendall(OPEN + b"\r\n")
            connection.settimeout(5)
            answer = connection.recv(65536)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert status(head) == 200
            assert b"content-length: %d" % len(body) in head
