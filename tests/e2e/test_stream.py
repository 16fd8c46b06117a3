"""The power stream: a frame a window, resumable, closed with its session."""

from __future__ import annotations

import base64
import json

import pytest
from e2e.emulator_client import Running, unverified
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import schemas

BASIC = "Basic " + base64.b64encode(b"root:dcpi-lab").decode()
PATHS = [
    "/redfish/v1/dcpi/power/stream",
    "/dcpi/power/stream",
    "/redfish/v1/Oem/DCPI/power/stream",
]


def listen(bmc: Running, path: str, **headers: str) -> ClientConnection:
    """An open stream."""
    return connect(
        f"wss://127.0.0.1:{bmc.port}{path}",
        ssl=unverified(),
        additional_headers=headers or {"Authorization": BASIC},
        open_timeout=20,
    )


@pytest.mark.parametrize("path", PATHS)
def test_ten_frames_a_second_without_a_gap(bmc: Running, path: str) -> None:
    """Consecutive frames have consecutive seq and WindowId and fit the schema."""
    with listen(bmc, path) as stream:
        frames = [json.loads(stream.recv(timeout=10)) for _ in range(8)]
    for frame in frames:
        schemas.validator("messages/power_stream").validate(frame)
    assert [f["seq"] - frames[0]["seq"] for f in frames] == list(range(8))
    assert [f["window_id"] - frames[0]["window_id"] for f in frames] == list(range(8))
    assert frames[-1]["total"]["power_mw"] > 10


def test_resume_from_a_seq(bmc: Running) -> None:
    """A client that was away for some frames gets them when it names its last seq."""
    with listen(bmc, PATHS[0]) as stream:
        last = json.loads(stream.recv(timeout=10))["seq"]
        for _ in range(5):
            stream.recv(timeout=10)
    with listen(bmc, f"{PATHS[0]}?since={last}") as stream:
        frames = [json.loads(stream.recv(timeout=10)) for _ in range(4)]
    assert [f["seq"] for f in frames] == [last + n for n in range(1, 5)]
    assert all(f["dropped"] == 0 for f in frames)


def test_stream_needs_credentials(bmc: Running) -> None:
    """Without credentials the upgrade is refused with 401, elsewhere with 404."""
    with pytest.raises(InvalidStatus) as refused:
        listen(bmc, PATHS[0], Authorization="Basic eDp5")
    assert refused.value.response.status_code == 401
    with pytest.raises(InvalidStatus) as missing:
        listen(bmc, "/dcpi/power/other", Authorization=BASIC)
    assert missing.value.response.status_code == 404


def test_stream_ends_with_its_session(bmc: Running) -> None:
    """Logging out closes the session's open stream."""
    body = {"UserName": "root", "Password": "dcpi-lab"}
    session = bmc.ask("POST", "/redfish/v1/SessionService/Sessions", body, auth=False)
    token = session.headers["x-auth-token"]
    with listen(bmc, PATHS[1], **{"X-Auth-Token": token}) as stream:
        stream.recv(timeout=10)
        assert bmc.ask("DELETE", session.headers["location"]).status == 204
        with pytest.raises(ConnectionClosed):
            _drain(stream)


def _drain(stream: ClientConnection) -> None:
    for _ in range(40):
        stream.recv(timeout=10)
