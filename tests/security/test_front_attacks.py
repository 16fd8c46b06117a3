"""Hostile requests against the whole front: smuggling, forgery, escalation, nonsense, abuse."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from served_front import PASSWORD, SYSTEM, USER, Served, basic, received, served

from bmc_ext.redfish.resources import all_resources

ROOT = "/redfish/v1"
ACCOUNTS = f"{ROOT}/AccountService/Accounts"
SESSIONS = f"{ROOT}/SessionService/Sessions"
VIEWER, SECRET = "viewer", "only-looking"
HEAD = b"Host: x\r\nConnection: close\r\n"
SIGNED = HEAD + f"Authorization: {basic(USER, PASSWORD)}\r\n".encode()
LOGIN = f"POST {SESSIONS} HTTP/1.1\r\nHost: x\r\n".encode()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front with an administrator and a viewer."""
    with served(tmp_path_factory.mktemp("state")) as it:
        it.service.accounts.ensure(VIEWER, SECRET, "ReadOnly")
        yield it


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"X-A: b\r\n c\r\n",
        b"X-A: b\0\r\n",
    ],
)
def test_a_request_with_two_readings_is_refused(front: Served, head: bytes) -> None:
    """What two parsers could cut differently is 400, and nothing behind it is answered."""
    hidden = b"GET /redfish/v1/Systems HTTP/1.1\r\n" + SIGNED + b"\r\n"
    answer = front.raw(LOGIN + head + b"\r\n0\r\n\r\n" + hidden)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(front: Served, chunked: bool) -> None:
    """With or without Content-Length, a body is read no further than its limit."""
    if chunked:
        part = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        answer = front.raw(LOGIN + b"Transfer-Encoding: chunked\r\n\r\n" + part * 17)
    else:
        answer = front.raw(LOGIN + b"Content-Length: 9999999999\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_who_sends_a_large_body_to_its_end_still_reads_the_413(front: Served) -> None:
    """The connection is not reset under a client that reads only after it has sent all."""
    for _ in range(8):
        answer = front.ask("POST", SESSIONS, b"a" * 4_000_000, user=None)
        assert (answer.status, answer.headers["connection"]) == (413, "close")


@pytest.mark.parametrize(
    "path",
    [
        "/%00", "/dcpi%00", "/%ff", f"{ACCOUNTS}/%ff", f"{ROOT}/dcpi/workloads/%ff%00",
        f"{ROOT}/dcpi/%2e%2e/Systems", f"{ROOT}/dcpi/../Systems", "/redfish%2fv1", "/%zz%",
        f"{ROOT}/schema/..%2f..%2fconfig%2fexample.yaml", f"{SYSTEM}/%2e%2e/one", "/%0a%0d",
        f"{ROOT}/Systems/one%00", f"{ROOT}/dcpi?a=%ff%00", f"{ROOT}/dcpi?$%ff=1", "*", "?x", "x",
        "http://evil.example/redfish/v1/nothing", f"{ROOT}/dcpi/power/history?start=%ff",
        f"{ROOT}/dcpi/power/history?start=0001-01-01T00:00:00%2B14:00&resolution=1min",
        f"{ROOT}/dcpi/power/history?end=9999-12-31T23:59:59-14:00&limit=%D9%A3",
    ],
)  # fmt: skip
def test_odd_paths_fail_in_an_ordinary_way(front: Served, path: str) -> None:
    """Whatever is asked for, the answer is no 500, and nothing outside its place is served."""
    answer = front.raw(f"GET {path} HTTP/1.1\r\n".encode() + SIGNED + b"\r\n")
    assert answer[9:12] in (b"200", b"400", b"404", b"501"), answer[:40]
    if answer[9:12] == b"200":
        assert path.startswith((f"{ROOT}/dcpi?", f"{ROOT}/dcpi/power/history?"))


@pytest.mark.parametrize(
    "header",
    [
        b"Authorization: Basic",
        b"Authorization: Basic !!!",
        b"Authorization: Basic " + base64.b64encode(b"root"),
        b"Authorization: Basic " + base64.b64encode(b"\xff:\xff"),
        b"Authorization: Basic " + base64.b64encode(b":"),
        b"Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}\0".encode()),
        b"Authorization: Bearer " + PASSWORD.encode(),
        b"X-Auth-Token:",
        b"X-Auth-Token: guess",
        b"X-Auth-Token: \xff",
        b"X-Forwarded-User: root\r\nX-Remote-User: root\r\nRemote-User: root",
        b"X-SSL-Client-S-DN: CN=root\r\nX-SSL-Client-Verify: SUCCESS",
        b"Dcpi.Identity: root\r\nX-HTTP-Method-Override: GET\r\nX-Original-URL: /redfish",
    ],
)
def test_no_header_but_the_right_one_opens(front: Served, header: bytes) -> None:
    """Broken credentials, guessed tokens and forged proxy headers are 401."""
    answer = front.raw(b"GET /redfish/v1/Systems HTTP/1.1\r\n" + HEAD + header + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_a_wrong_token_beside_right_credentials_is_401(front: Served) -> None:
    """The token counts where there is one (DSP0266 13.3.1)."""
    assert front.ask("GET", SYSTEM, headers={"X-Auth-Token": "guess"}).status == 401


def test_a_viewer_stays_a_viewer(front: Served) -> None:
    """A read-only account changes neither its role nor others, and sees neither them nor theirs."""
    login = front.ask("POST", SESSIONS, {"UserName": USER, "Password": PASSWORD}, user=None)
    session = login.headers["location"]
    for method, path, body, status in [
        ("PATCH", f"{ACCOUNTS}/{VIEWER}", {"RoleId": "Administrator"}, 403),
        ("PATCH", f"{ACCOUNTS}/{VIEWER}", {"Enabled": True}, 403),
        ("PATCH", f"{ACCOUNTS}/{VIEWER}", {"Password": "x" * 8, "RoleId": "Operator"}, 403),
        ("PATCH", f"{ACCOUNTS}/{USER}", {"Password": "taken-over"}, 404),
        ("DELETE", f"{ACCOUNTS}/{USER}", None, 403),
        ("POST", ACCOUNTS, {"UserName": "x", "Password": "x" * 8, "RoleId": "ReadOnly"}, 403),
        ("GET", f"{ACCOUNTS}/{USER}", None, 404),
        ("GET", session, None, 404),
        ("DELETE", session, None, 404),
        ("PATCH", f"{ROOT}/SessionService", {"SessionTimeout": 30}, 403),
        ("PATCH", SYSTEM, {"Lamp": "On"}, 403),
        ("POST", "/dcpi/thermal/control", {}, 403),
        ("POST", f"{ROOT}/Oem/DCPI/workload/announce", {}, 403),
    ]:
        answer = front.ask(method, path, body, user=VIEWER, password=SECRET)
        assert answer.status == status, (method, path, answer)
    assert front.ask("GET", f"{ACCOUNTS}/{VIEWER}").body["RoleId"] == "ReadOnly"
    seen = front.ask("GET", ACCOUNTS, user=VIEWER, password=SECRET).body["Members"]
    assert seen == [{"@odata.id": f"{ACCOUNTS}/{VIEWER}"}]


JUNK: list[Any] = [
    None, True, False, 0, -1, 1, 1e308, 5e-324, 2**53, 2**64, 10**300, "", "x", "\0", "a\nb",
    "\u202e", "é" * 300, "../..", f"{ROOT}/dcpi", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "Infinity", [], {}, [[]], [None],
    {"": None}, {"@odata.id": "x"}, [1] * 50, "9" * 400,
]  # fmt: skip
BASES: list[dict[str, Any]] = [
    {"UserName": USER, "Password": "x", "RoleId": "ReadOnly", "Enabled": True},
    {"SessionTimeout": 1800},
    {"Lamp": "On"},
    {"dcpi_version": "1.0", "message_type": "thermal_control", "timestamp": "2026-01-01T00:00:00Z",
     "cooling_commands": [{"system_id": "a", "pump_speed_percent": 50}]},
    {"dcpi_version": "1.0", "message_type": "demand_response_request", "event_id": "e",
     "timestamp": "2026-01-01T00:00:00Z", "target_reduction_mw": 1, "duration_minutes": 5},
    {"dcpi_version": "1.0", "message_type": "grid_signal", "timestamp": "2026-01-01T00:00:00Z"},
    {"dcpi_version": "1.0", "message_type": "workload_announcement", "workload_id": "w",
     "timestamp": "2026-01-01T00:00:00Z", "power_profile": {"peak_power_mw": 1}},
]  # fmt: skip


def mutated(value: Any, dice: random.Random) -> Any:
    """The value with one thing wrong somewhere in it."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        changed = dict(value)
        name = dice.choice(list(changed))
        what = dice.random()
        if what < 0.15:
            del changed[name]
        elif what < 0.25:
            changed[dice.choice(["x", "@x", "\0", ""])] = dice.choice(JUNK)
        else:
            changed[name] = mutated(changed[name], dice)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.7:
        return [mutated(value[0], dice), *value[1:]]
    return dice.choice(JUNK)


def written() -> list[tuple[str, str]]:
    """Every method and path that takes a body."""
    ids = {"account": VIEWER, "host:path": "Systems/one"}
    found = []
    for resource in all_resources():
        path = resource.uri
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        found += [(method, path) for method in resource.handlers if method in ("POST", "PATCH")]
    return sorted(found)


@pytest.mark.parametrize(("method", "path"), written())
def test_no_body_makes_the_service_fail(front: Served, method: str, path: str) -> None:
    """Wrong types, missing members and odd values are refused with an error body, never 500."""
    dice = random.Random(f"{method} {path}")
    with front.open() as connection:
        for _ in range(20):
            body = mutated(dice.choice(BASES), dice)
            if isinstance(body, dict) and "Password" in body:
                body["Password"] = "short"  # argon2 is not what is tried here
            status, answer = exchange(connection, method, path, json.dumps(body).encode())
            assert status < 500, (body, answer)
            assert status < 400 or b"ExtendedInfo" in answer


@pytest.mark.parametrize(
    "body",
    [
        b'{"UserName":"a","UserName":"b"}', b'{"UserName":NaN}', b'{"UserName":1e400}',
        b'{"UserName":"\\ud800"}', b"[" * 50_000, b"\xff\xfe{}", b'{"UserName":"\xff"}',
        b'{"UserName":' + b"9" * 5000 + b"}", b"\0", b"{}{}",
    ],
)  # fmt: skip
def test_no_json_makes_the_login_fail(front: Served, body: bytes) -> None:
    """The one endpoint that takes a body from everyone answers 400 to all that is no JSON."""
    assert front.ask("POST", SESSIONS, body, user=None).status == 400


def exchange(connection: Any, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """One request on an open connection; status and all of the answer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(USER, PASSWORD)}\r\n"
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall((head + length).encode() + body)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    start, _, content = answer.partition(b"\r\n\r\n")
    for line in start.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(content) < int(line.partition(b":")[2]):
                content += connection.recv(65536)
    return int(start[9:12]), start + content


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, length: int | None = None) -> bytes:
    """A masked WebSocket frame (RFC 6455 5.2), also one whose length lies."""
    size = len(data) if length is None else length
    first = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        return first + bytes([0x80 | size]) + bytes(4) + data
    return first + b"\xff" + struct.pack("!Q", size) + bytes(4) + data


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(2, length=2**40), 1009), (frame(2, b"a" * 70_000), 1009), (frame(11), 1002),
        (frame(9, fin=False), 1002), (frame(0, b"x"), 1002), (frame(1, b"\xff"), 1007),
        (frame(8, b"\0\1"), 1002), (b"\x81\x02hi", 1002),
    ],
)  # fmt: skip
def test_a_broken_frame_closes_the_stream(front: Served, sent: bytes, code: int) -> None:
    """Frames that RFC 6455 forbids, or too large ones, end that stream with their code."""
    with upgraded(front) as connection:
        connection.sendall(sent)
        assert struct.pack("!H", code) in received(connection, 2)[-130:]


def test_a_client_that_talks_and_leaves_disturbs_nobody(front: Served) -> None:
    """Floods of messages, fragments and torn connections leave the stream to others."""
    flood = (
        frame(1, b"a" * 100) * 2000 + frame(1, b"a", fin=False) + frame(0, b"a", fin=False) * 2000
    )
    for data in (flood, b"", frame(8)):
        with upgraded(front) as connection, contextlib.suppress(OSError):
            connection.sendall(data)
    with upgraded(front) as connection:
        assert b"power_stream" in received(connection, 0.5)


@contextlib.contextmanager
def upgraded(front: Served) -> Iterator[Any]:
    """An open power stream, its answer to the upgrade read."""
    with front.open() as connection:
        connection.sendall(
            b"GET /dcpi/power/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n"
            b"Authorization: " + basic(USER, PASSWORD).encode() + b"\r\n\r\n"
        )  # fmt: skip
        assert b" 101 " in connection.recv(65536)[:16]
        yield connection
