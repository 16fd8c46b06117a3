"""Lockout, the change of an initial password, and the privilege map, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_front import Answer, Served, basic, served

SERVICE = "/redfish/v1/AccountService"
ACCOUNTS = f"{SERVICE}/Accounts"
SESSIONS = "/redfish/v1/SessionService/Sessions"
ANNA, SECRET = "anna", "a-first-password"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Served]:
    """A front with an account that may only read."""
    with served(tmp_path) as it:
        it.service.accounts.create(ANNA, SECRET, "ReadOnly")
        yield it


def _key(answer: Answer) -> str:
    found: str = answer.body["error"]["@Message.ExtendedInfo"][0]["MessageId"]
    return found.rpartition(".")[2]


def _as_anna(front: Served, method: str, path: str, body: Any = None) -> Answer:
    return front.ask(method, path, body, user=ANNA, password=SECRET)


def _lock_after(front: Served, threshold: int) -> None:
    change = {
        "AccountLockoutThreshold": threshold,
        "AccountLockoutDuration": 600,
        "AccountLockoutCounterResetAfter": 600,
    }
    answer = front.ask("PATCH", SERVICE, change)
    assert answer.status == 200
    assert {name: answer.body[name] for name in change} == change


def test_wrong_passwords_lock_an_account_until_it_is_unlocked(front: Served) -> None:
    """At the threshold the right password fails too, remembered or not; Locked false ends it."""
    _lock_after(front, 3)
    account = f"{ACCOUNTS}/{ANNA}"
    assert _as_anna(front, "GET", account).status == 200
    for _ in range(3):
        assert front.ask("GET", account, user=ANNA, password="a-wrong-one").status == 401
    assert _as_anna(front, "GET", account).status == 401
    login = {"UserName": ANNA, "Password": SECRET}
    assert front.ask("POST", SESSIONS, login, user=None).status == 401
    assert front.ask("GET", account).body["Locked"] is True
    assert _key(front.ask("PATCH", account, {"Locked": True})) == "PropertyValueNotInList"
    assert front.ask("PATCH", account, {"Locked": False}).body["Locked"] is False
    assert _as_anna(front, "GET", account).status == 200


def test_below_the_threshold_the_right_password_clears_the_count(front: Served) -> None:
    """Failures are counted in a row, and only of the account that they name."""
    _lock_after(front, 3)
    for _ in range(2):
        for _ in range(2):
            front.ask("GET", ACCOUNTS, user=ANNA, password="a-wrong-one")
        login = {"UserName": ANNA, "Password": SECRET}
        assert front.ask("POST", SESSIONS, login, user=None).status == 201
        front.service.accounts.set_enabled(ANNA, True)  # forgets the remembered credential
    for _ in range(5):
        front.ask("GET", ACCOUNTS, user="nobody", password="a-wrong-one")
    assert front.ask("GET", f"{ACCOUNTS}/{ANNA}").body["Locked"] is False


@pytest.mark.parametrize(
    ("change", "key", "named"),
    [
        ({"AccountLockoutThreshold": "3"}, "PropertyValueTypeError", "AccountLockoutThreshold"),
        ({"AccountLockoutThreshold": -1}, "PropertyValueOutOfRange", "AccountLockoutThreshold"),
        (
            {"AccountLockoutDuration": 5, "AccountLockoutCounterResetAfter": 6},
            "PropertyValueOutOfRange",
            "AccountLockoutCounterResetAfter",
        ),
        ({"MinPasswordLength": 4}, "PropertyNotWritable", "MinPasswordLength"),
        ({"Nonsense": 4}, "PropertyUnknown", "Nonsense"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(
    front: Served, change: dict[str, Any], key: str, named: str
) -> None:
    """The message names the property, shows the value where it has one, and nothing changes."""
    before = front.ask("GET", SERVICE).body
    answer = front.ask("PATCH", SERVICE, change)
    (info,) = answer.body["error"]["@Message.ExtendedInfo"]
    assert (answer.status, _key(answer)) == (400, key)
    assert info["RelatedProperties"] == [f"#/{named}"]
    assert info["MessageArgs"][-1] == named
    assert front.ask("GET", SERVICE).body == before


def test_the_rule_survives_a_restart(tmp_path: Path) -> None:
    """What was set holds in the next service on the same state."""
    with served(tmp_path) as front:
        _lock_after(front, 7)
    with served(tmp_path) as front:
        assert front.ask("GET", SERVICE).body["AccountLockoutThreshold"] == 7


def test_the_time_out_of_sessions_survives_a_restart(tmp_path: Path) -> None:
    """What was set holds in the next service on the same state, not the configuration's."""
    service = "/redfish/v1/SessionService"
    with served(tmp_path) as front:
        assert front.ask("PATCH", service, {"SessionTimeout": 45}).status == 200
    with served(tmp_path) as front:
        assert front.ask("GET", service).body["SessionTimeout"] == 45
        assert front.service.sessions.timeout_s == 45


def test_who_must_change_the_password_may_log_out(front: Served) -> None:
    """A session of such a user can be closed, and nobody else's."""
    front.service.accounts.create("guest", SECRET, "Operator", must_change_password=True)
    others = front.ask("POST", SESSIONS, {"UserName": ANNA, "Password": SECRET}, user=None)
    login = front.ask("POST", SESSIONS, {"UserName": "guest", "Password": SECRET}, user=None)
    token = {"X-Auth-Token": login.headers["x-auth-token"]}
    for uri, status in ((others.headers["location"], 404), (login.headers["location"], 204)):
        assert front.ask("DELETE", uri, user=None, headers=token).status == status
    assert front.ask("GET", ACCOUNTS, user=None, headers=token).status == 401


def test_an_account_is_redfishs_alone(front: Served) -> None:
    """A client may name the type that each account has, as the schema wants, and no other."""
    body = {"UserName": "carl", "Password": SECRET, "RoleId": "Operator"}
    for types in (["SNMP"], ["Redfish", "IPMI"], [], "Redfish"):
        refused = front.ask("POST", ACCOUNTS, {**body, "AccountTypes": types})
        assert (refused.status, _key(refused)) == (400, "PropertyValueNotInList")
    created = front.ask("POST", ACCOUNTS, {**body, "AccountTypes": ["Redfish"]})
    assert (created.status, created.body["AccountTypes"]) == (201, ["Redfish"])


def test_who_must_change_the_password_may_do_nothing_else(front: Served) -> None:
    """Login says so, all else is 403, and a new password opens the door (DSP0266 13.3.8)."""
    account = f"{ACCOUNTS}/{ANNA}"
    changed = front.ask("PATCH", account, {"PasswordChangeRequired": True})
    assert changed.body["PasswordChangeRequired"] is True
    login = front.ask("POST", SESSIONS, {"UserName": ANNA, "Password": SECRET}, user=None)
    assert login.status == 201
    assert "PasswordChangeRequired" in str(login.body["@Message.ExtendedInfo"])
    token = {"X-Auth-Token": login.headers["x-auth-token"]}
    for path in (SESSIONS, "/redfish/v1/dcpi", "/redfish/v1/dcpi/power/realtime", ACCOUNTS):
        answer = front.ask("GET", path, user=None, headers=token)
        assert (answer.status, _key(answer)) == (403, "PasswordChangeRequired")
    assert front.ask("GET", account, user=None, headers=token).status == 200
    refused = _as_anna(front, "PATCH", account, {"PasswordChangeRequired": False})
    assert refused.status == 403
    answer = _as_anna(front, "PATCH", account, {"Password": "a-second-password"})
    assert (answer.status, answer.body["PasswordChangeRequired"]) == (200, False)
    assert front.ask("GET", SESSIONS, user=ANNA, password="a-second-password").status == 200
    assert front.ask("GET", account, user=None, headers=token).status == 401


def test_no_privilege_is_left_to_who_must_change_the_password(front: Served) -> None:
    """Not even an administrator lifts it without a new password, and no stream opens."""
    front.service.accounts.create("chief", SECRET, "Administrator", must_change_password=True)
    who = {"user": "chief", "password": SECRET}
    for change in ({"PasswordChangeRequired": False}, {"Password": "another-one", "Locked": False}):
        assert front.ask("PATCH", f"{ACCOUNTS}/chief", change, **who).status == 403
    stream = (
        "GET /redfish/v1/dcpi/power/stream HTTP/1.1\r\nHost: bmc\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: {basic('chief', SECRET)}\r\n\r\n"
    )
    assert b" 401 " in front.raw(stream.encode()).split(b"\r\n")[0]
    assert front.ask("GET", f"{ACCOUNTS}/chief").body["PasswordChangeRequired"] is True


def test_an_account_can_be_created_with_a_password_to_be_changed(front: Served) -> None:
    """The flag of a new account is kept over a restart of the accounts."""
    body = {
        "UserName": "bert", "Password": SECRET, "RoleId": "Operator",
        "PasswordChangeRequired": True,
    }  # fmt: skip
    assert front.ask("POST", ACCOUNTS, body).body["PasswordChangeRequired"] is True
    assert front.ask("GET", "/redfish/v1/dcpi", user="bert", password=SECRET).status == 403


def test_an_old_database_of_accounts_is_read(tmp_path: Path) -> None:
    """Accounts of a version that knew no change of passwords come in as they did."""
    with served(tmp_path) as front:
        front.service.accounts.create(ANNA, SECRET, "ReadOnly")
        database = front.service.state.database("state", durable=True)
        database.execute("ALTER TABLE accounts DROP COLUMN must_change_password")
        database.close()
    with served(tmp_path) as front:
        assert _as_anna(front, "GET", f"{ACCOUNTS}/{ANNA}").status == 200


def test_account_tags_guard_changes(front: Served) -> None:
    """A change with the tag of an older state is refused with 412."""
    account = f"{ACCOUNTS}/{ANNA}"
    tag = front.ask("GET", account).headers["etag"]
    first = front.ask("PATCH", account, {"RoleId": "Operator"}, headers={"If-Match": tag})
    second = front.ask("PATCH", account, {"RoleId": "ReadOnly"}, headers={"If-Match": tag})
    assert (first.status, second.status) == (200, 412)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_roles_cannot_be_changed(front: Served, method: str) -> None:
    """Whatever role: 405 with what it takes."""
    answer = front.ask(method, f"{SERVICE}/Roles/GridOperator", {"AssignedPrivileges": ["Login"]})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_the_privilege_map_says_what_the_routes_check(front: Served) -> None:
    """Each operation is allowed exactly where the map names a privilege of the role."""
    mappings = front.ask("GET", f"{SERVICE}/PrivilegeMap").body["Mappings"]
    maps = {mapping["Entity"]: mapping for mapping in mappings}
    assert len(maps) == len(mappings)
    assert maps["ServiceRoot"]["OperationMap"]["GET"] == [{"Privilege": ["NoAuth"]}]
    reset = _needed(maps["Manager"], "/redfish/v1/Managers/{manager}/Actions/Manager.Reset")
    assert reset["POST"] == [{"Privilege": ["ConfigureManager"]}]
    for resource in front.service.registry:
        if resource.schema is None:
            continue
        mapping = maps[resource.schema.partition(".")[0]]
        for method, (privilege, _) in resource.handlers.items():
            needed = _needed(mapping, resource.uri)
            assert needed[method] == [{"Privilege": [privilege or "NoAuth"]}]


def _needed(mapping: dict[str, Any], uri: str) -> Any:
    """The operation map of a URI: its own where it has one."""
    for other in mapping.get("ResourceURIOverrides", []):
        if uri in other["Targets"]:
            return other["OperationMap"]
    return mapping["OperationMap"]
