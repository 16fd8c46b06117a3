"""The front: TLS, authentication, sessions, methods and headers."""

from __future__ import annotations

import socket
import ssl

import pytest
from e2e.emulator_client import Running, unverified, wait_for

ROOT = "/redfish/v1"
SESSIONS = f"{ROOT}/SessionService/Sessions"
POWER = f"{ROOT}/dcpi/power/realtime"


def log_in(bmc: Running, user: str = "root", password: str = "dcpi-lab"):
    """The answer to a login."""
    body = {"UserName": user, "Password": password}
    return bmc.ask("POST", SESSIONS, body, auth=False)


@pytest.mark.parametrize(
    "path", ["/redfish", ROOT, f"{ROOT}/", f"{ROOT}/odata", f"{ROOT}/$metadata"]
)
def test_open_documents_need_no_credentials(bmc: Running, path: str) -> None:
    """What DSP0266 leaves open is answered to everyone."""
    assert bmc.ask("GET", path, auth=False).status == 200


@pytest.mark.parametrize(
    "path", [POWER, "/dcpi/grid/status", f"{ROOT}/Systems", SESSIONS, f"{ROOT}/nothing", "/other"]
)
def test_everything_else_is_401_without_credentials(bmc: Running, path: str) -> None:
    """Without credentials the answer is 401, whether or not something lives there."""
    answer = bmc.ask("GET", path, auth=False)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert "@Message.ExtendedInfo" in answer.body["error"]


def test_wrong_password_is_401(bmc: Running) -> None:
    """A wrong Basic password is refused."""
    assert bmc.ask("GET", POWER, headers={"Authorization": "Basic cm9vdDpub3Bl"}).status == 401


def test_session_login_use_logout(bmc: Running) -> None:
    """A session's token opens the service until its logout, and its body never shows it."""
    answer = log_in(bmc)
    assert answer.status == 201
    token, location = answer.headers["x-auth-token"], answer.headers["location"]
    assert answer.body["@odata.id"] == location
    assert token not in str(answer.body)
    headers = {"X-Auth-Token": token}
    assert bmc.ask("GET", POWER, headers=headers).status == 200
    assert bmc.ask("GET", location, headers=headers).body["UserName"] == "root"
    assert bmc.ask("DELETE", location, headers=headers).status == 204
    assert bmc.ask("GET", POWER, headers=headers).status == 401


def test_wrong_login_opens_no_session(bmc: Running) -> None:
    """A wrong password at the session collection is 401 and leaves no token."""
    answer = log_in(bmc, password="nope-nope")
    assert answer.status == 401
    assert "x-auth-token" not in answer.headers


def test_roles_bound_what_an_account_may_do(bmc: Running) -> None:
    """A read-only account reads, but neither announces, nor controls, nor manages users."""
    accounts = f"{ROOT}/AccountService/Accounts"
    body = {"UserName": "viewer", "Password": "only-looking", "RoleId": "ReadOnly"}
    created = bmc.ask("POST", accounts, body)
    assert created.status == 201
    token = log_in(bmc, "viewer", "only-looking").headers["x-auth-token"]
    headers = {"X-Auth-Token": token}
    assert bmc.ask("GET", POWER, headers=headers).status == 200
    for path in (
        f"{ROOT}/dcpi/workload/announce",
        "/dcpi/thermal/control",
        "/dcpi/grid/signal",
        accounts,
    ):
        assert bmc.ask("POST", path, {}, headers=headers).status == 403
    assert bmc.ask("DELETE", created.headers["location"]).status == 204
    assert bmc.ask("GET", POWER, headers=headers).status == 401


def test_tls_below_1_3_is_refused(bmc: Running) -> None:
    """A client that speaks at most TLS 1.2 cannot connect."""
    context = unverified()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", bmc.port), timeout=5) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain)


def test_head_options_and_405(bmc: Running) -> None:
    """HEAD has headers without a body, OPTIONS and 405 name the methods."""
    head = bmc.ask("HEAD", POWER)
    assert head.status == 200
    assert head.body == b""
    assert head.headers["odata-version"] == "4.0"
    options = bmc.ask("OPTIONS", POWER)
    assert options.status == 204
    assert options.headers["allow"] == "GET, HEAD, OPTIONS"
    wrong = bmc.ask("DELETE", POWER)
    assert wrong.status == 405
    assert wrong.headers["allow"] == "GET, HEAD, OPTIONS"
    assert bmc.ask("GET", f"{ROOT}/dcpi/workload/announce").headers["allow"] == "OPTIONS, POST"


def test_etag_covers_state_not_readings(bmc: Running) -> None:
    """The entity tag stays while readings change, and If-None-Match saves the body."""
    first = bmc.ask("GET", POWER)
    moved = wait_for(
        lambda: (a := bmc.ask("GET", POWER)).body["WindowId"] != first.body["WindowId"] and a,
        2,
        "the next window",
    )
    assert moved.headers["etag"] == first.headers["etag"]
    service = bmc.ask("GET", f"{ROOT}/dcpi")
    again = bmc.ask("GET", f"{ROOT}/dcpi", headers={"If-None-Match": service.headers["etag"]})
    assert again.status == 304


def test_host_system_is_under_our_root_and_obeys(bmc: Running) -> None:
    """A power action through us shows in the next GET of the host's system."""
    system = bmc.get(f"{ROOT}/Systems")["Members"][0]["@odata.id"]
    target = bmc.get(system)["Actions"]["#ComputerSystem.Reset"]["target"]
    assert bmc.ask("POST", target, {"ResetType": "ForceOff"}).status in (200, 204)
    assert bmc.get(system)["PowerState"] == "Off"
    assert bmc.ask("POST", target, {"ResetType": "On"}).status in (200, 204)
    assert bmc.get(system)["PowerState"] == "On"
    boot = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}
    assert bmc.ask("PATCH", system, boot).status in (200, 204)
    assert bmc.get(system)["Boot"]["BootSourceOverrideTarget"] == "Pxe"
    assert bmc.ask("POST", target, {"ResetType": "Sideways"}).status == 400
    assert bmc.ask("GET", f"{ROOT}/Chassis/nowhere").status == 404


def test_collections_are_never_empty(bmc: Running) -> None:
    """Systems, Chassis and Managers list members that answer."""
    for collection in ("Systems", "Chassis", "Managers"):
        members = bmc.get(f"{ROOT}/{collection}")["Members"]
        assert members
        for member in members:
            assert bmc.get(member["@odata.id"])["Id"]
