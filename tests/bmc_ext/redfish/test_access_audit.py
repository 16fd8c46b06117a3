"""Access in the audit log: every grant, refusals at a bounded rate (DCPI 5.2.6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_front import PASSWORD, SYSTEM, USER, Served, served, wait_for

from bmc_ext.redfish.access_audit import BURST, AccessAudit
from bmc_ext.security.audit import AuditLog, verify

ROOT = "/redfish/v1"
SESSIONS = f"{ROOT}/SessionService/Sessions"


class HandClock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.running_s = 0.0

    def unix_ns(self) -> int:
        """A fixed moment."""
        return 1_800_000_000_000_000_000

    def monotonic_s(self) -> float:
        """Seconds of the test."""
        return self.running_s

    def sleep(self, seconds: float) -> None:
        """Turn it forward."""
        self.running_s += seconds


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Served]:
    """A front with a fresh log."""
    with served(tmp_path / "state") as it:
        yield it


def test_a_flood_of_refusals_is_counted_not_written(tmp_path: Path) -> None:
    """After a burst one entry a second is written, and says how many were left out before it."""
    clock = HandClock()
    log = AuditLog(tmp_path)
    access = AccessAudit(log, clock)
    for _ in range(BURST + 40):
        access.refused("authentication.refused", user="x" * 1000)
    clock.sleep(1)
    access.refused("authentication.refused", user="\ud800")
    access.refused("authentication.refused", user="last")
    access.close()
    log.close()
    fields = [json.loads(line)["fields"] for line in log.path.read_bytes().splitlines()]
    assert [entry["left_out_before"] for entry in fields] == [0] * BURST + [40, 1]
    assert fields[0]["user"] == "x" * 64
    assert fields[BURST]["user"] == "?"


def test_a_log_that_cannot_be_written_locks_nobody_out(tmp_path: Path) -> None:
    """Whoever comes to make room on a full disk must get in: the failure is only logged."""
    log = AuditLog(tmp_path)
    log.close()
    access = AccessAudit(log, HandClock())
    access.granted("authentication.granted", user="admin")
    access.refused("authentication.refused", user="other")
    access.close()


def test_logins_of_both_kinds_leave_entries(front: Served) -> None:
    """A session, a first Basic request and a logout are each one entry; a remembered Basic none."""
    login = front.ask("POST", SESSIONS, {"UserName": USER, "Password": PASSWORD}, user=None)
    for _ in range(3):
        assert front.ask("GET", f"{ROOT}/dcpi").status == 200
    front.ask("DELETE", login.headers["location"])
    granted = front.audit("authentication.granted")
    assert [entry["method"] for entry in granted] == ["session"]  # it confirmed Basic's, too
    assert granted[0] == {
        "method": "session", "user": USER, "client": "127.0.0.1",
        "session": login.body["Id"],
    }  # fmt: skip
    assert front.audit("session.closed") == [{"user": USER, "session": login.body["Id"]}]
    text = front.service.audit.path.read_text()
    assert login.headers["x-auth-token"] not in text
    assert PASSWORD not in text


def test_refused_attempts_leave_entries(front: Served) -> None:
    """A wrong password of either kind, a wrong token and a missing privilege are entries."""
    front.ask("GET", f"{ROOT}/dcpi", password="wrong-one")
    front.ask("POST", SESSIONS, {"UserName": "nobody", "Password": "wrong-two"}, user=None)
    front.ask("GET", f"{ROOT}/dcpi", user=None, headers={"X-Auth-Token": "guess"})
    front.service.accounts.ensure("viewer", "only-looking", "ReadOnly")
    viewer = {"user": "viewer", "password": "only-looking"}
    assert front.ask("POST", "/dcpi/grid/signal", {}, **viewer).status == 403
    refused = wait_for(
        lambda: len(found := front.audit("authentication.refused")) == 3 and found, 10, "3 entries"
    )
    assert [entry["method"] for entry in refused] == ["basic", "session", "token"]
    assert [entry.get("user") for entry in refused] == [USER, "nobody", None]
    (denied,) = wait_for(lambda: front.audit("authorization.refused"), 10, "the refused privilege")
    assert denied["user"] == "viewer"
    assert denied["request"] == "POST /dcpi/grid/signal"
    assert "wrong" not in front.service.audit.path.read_text()


@pytest.mark.parametrize(
    ("event", "method", "path", "body"),
    [
        ("account.create", "POST", f"{ROOT}/AccountService/Accounts",
         {"UserName": "new", "Password": "some-password", "RoleId": "ReadOnly"}),
        ("account.change", "PATCH", f"{ROOT}/AccountService/Accounts/{USER}",
         {"Password": "some-password"}),
        ("session_service.change", "PATCH", f"{ROOT}/SessionService", {"SessionTimeout": 90}),
        ("host.command", "PATCH", SYSTEM, {"Lamp": "some-password"}),
    ],
)  # fmt: skip
def test_changes_leave_an_entry_before_and_after(
    front: Served, event: str, method: str, path: str, body: dict[str, Any]
) -> None:
    """Accounts, the session service and the host change between two entries; no value is kept."""
    assert front.ask(method, path, body).status < 300
    (planned,) = front.audit(f"{event}.planned")
    (done,) = front.audit(f"{event}.done")
    assert planned["user"] == done["user"] == USER
    assert "some-password" not in front.service.audit.path.read_text()
    assert verify(front.service.audit.path).ok
