"""Accounts over HTTP: changes are whole or not at all, and nobody raises himself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from served_front import PASSWORD, USER, Served, served

ACCOUNTS = "/redfish/v1/AccountService/Accounts"
VIEWER, SECRET = "viewer", "only-looking"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front with a second account that may only read."""
    with served(tmp_path_factory.mktemp("state")) as it:
        it.service.accounts.ensure(VIEWER, SECRET, "ReadOnly")
        yield it


@pytest.mark.parametrize(
    ("username", "change", "status", "named"),
    [
        (VIEWER, {"Password": "another-one", "RoleId": "Emperor"}, 400, "#/RoleId"),
        (VIEWER, {"Password": "another-one", "Enabled": "no"}, 400, "#/Enabled"),
        (VIEWER, {"RoleId": "Operator", "Password": "short"}, 400, "#/Password"),
        (USER, {"Password": "another-one", "RoleId": "ReadOnly"}, 409, None),
        (USER, {"Password": "another-one", "Enabled": False}, 409, None),
    ],
)
def test_a_change_that_fails_changes_nothing(
    front: Served, username: str, change: dict[str, Any], status: int, named: str | None
) -> None:
    """Where one property is refused, none of the others is written."""
    uri = f"{ACCOUNTS}/{username}"
    before = front.ask("GET", uri).body
    answer = front.ask("PATCH", uri, change)
    assert answer.status == status
    if named:
        assert answer.body["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"] == [named]
    password = PASSWORD if username == USER else SECRET
    assert front.ask("GET", uri, user=username, password=password).body == before


@pytest.mark.parametrize("name", [".", ".."])
def test_no_account_has_a_name_that_a_path_swallows(front: Served, name: str) -> None:
    """Clients resolve `.` and `..` in a URI, so such an account could not be asked for."""
    body = {"UserName": name, "Password": "some-password", "RoleId": "ReadOnly"}
    assert front.ask("POST", ACCOUNTS, body).status == 400


@pytest.mark.parametrize("name", ["a/b", "%2e%2e", "q?x#y", "a b", "ünal"])
def test_any_other_name_has_a_uri_that_works(front: Served, name: str) -> None:
    """The Location of a new account leads to it, whatever its name."""
    body = {"UserName": name, "Password": "some-password", "RoleId": "ReadOnly"}
    uri = front.ask("POST", ACCOUNTS, body).headers["location"]
    assert front.ask("GET", uri).body["UserName"] == name
    assert front.ask("DELETE", uri).status == 204
