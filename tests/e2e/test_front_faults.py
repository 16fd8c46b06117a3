"""Faults between a running emulator's sockets and its service, and in its sessions."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from typing import Any

import pytest
from e2e.emulator_client import PASSWORD, USER, Answer, Running, unverified
from e2e.fault_control import Faults

ROOT = "/redfish/v1"
SESSIONS = f"{ROOT}/SessionService/Sessions"
LATE_S = 60  # on a slow machine


def raw(bmc: Running, path: str, token: str) -> tuple[int | str, bytes]:
    """Status and body of a GET as they came, or how the connection failed."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", bmc.port, timeout=LATE_S, context=unverified()
    )
    with contextlib.closing(connection):
        try:
            connection.request("GET", path, headers={"X-Auth-Token": token})
            response = connection.getresponse()
            return response.status, response.read()
        except http.client.IncompleteRead as error:
            return "cut off", error.partial
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__, b""


def login(bmc: Running) -> Answer:
    """A new session of the operator."""
    body = {"UserName": USER, "Password": PASSWORD}
    answer = bmc.ask("POST", SESSIONS, body, auth=False)
    assert answer.status == 201
    return answer


@pytest.fixture
def token(bmc: Running) -> str:
    """Of a session of the test's own."""
    return login(bmc).headers["x-auth-token"]


def is_json(text: bytes) -> bool:
    """Whether it is whole."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("drop", {}),
        ("wrong-status", {"status": 503}),
        ("malformed-json", {}),
        ("truncated", {}),
    ],
)
def test_a_front_fault_hits_the_paths_that_match(
    bmc: Running, faults: Faults, token: str, kind: str, parameters: dict[str, Any]
) -> None:
    """The matched paths fail in the fault's way, so often as it says; all others are well."""
    hit, well = f"{ROOT}/Systems", f"{ROOT}/Managers"
    whole = raw(bmc, hit, token)
    assert whole[0] == 200
    faults.inject(kind, path=f"{ROOT}/Sys*", count=2, **parameters)
    for left in (1, 0):
        status, body = raw(bmc, hit, token)
        if kind == "wrong-status":
            assert status == 503
            assert is_json(body)
        elif kind == "malformed-json":
            assert status == 200
            assert not is_json(body)
            assert whole[1].startswith(body)
        elif kind == "truncated":
            assert status == "cut off"
            assert whole[1].startswith(body)
        else:
            assert status in ("RemoteDisconnected", "ConnectionResetError", "SSLEOFError")
        assert raw(bmc, well, token)[0] == 200
        assert faults.control.active()[0]["requests_left"] == left
    assert raw(bmc, hit, token) == whole


def test_a_late_answer_keeps_nobody_else_waiting(bmc: Running, faults: Faults, token: str) -> None:
    """A delayed path takes its time while another one is answered."""
    fault_id = faults.inject("delay", delay_s=2, path=f"{ROOT}/Systems")
    done: list[tuple[float, int | str]] = []

    def ask() -> None:
        began_s = time.monotonic()
        status, _ = raw(bmc, f"{ROOT}/Systems", token)
        done.append((time.monotonic() - began_s, status))

    thread = threading.Thread(target=ask)
    thread.start()
    assert raw(bmc, f"{ROOT}/Managers", token)[0] == 200
    thread.join(LATE_S)
    assert done[0][0] >= 2
    assert done[0][1] == 200
    faults.control.clear(fault_id)


def test_expired_sessions_are_refused(bmc: Running, faults: Faults, token: str) -> None:
    """The token opens nothing any more; a new login does, and another user's is left alone."""
    faults.inject("expired-sessions", user="nobody")
    assert raw(bmc, f"{ROOT}/Systems", token)[0] == 200
    faults.inject("expired-sessions", user=USER)
    assert raw(bmc, f"{ROOT}/Systems", token)[0] == 401
    assert raw(bmc, f"{ROOT}/Systems", login(bmc).headers["x-auth-token"])[0] == 200
    assert faults.control.active() == []
