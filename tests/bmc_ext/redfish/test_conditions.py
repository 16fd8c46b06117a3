"""Preconditions, entity tags and Allow: what DSP0266 asks of every resource."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from served_front import SYSTEM, Served, served

ROOT = "/redfish/v1"
ACCOUNTS = f"{ROOT}/AccountService/Accounts"
OTHER = {"If-Match": 'W/"0000000000000000"'}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front for all tests of this module."""
    with served(tmp_path_factory.mktemp("state")) as it:
        yield it


def test_a_delete_with_an_old_tag_deletes_nothing(front: Served) -> None:
    """If-Match guards DELETE as it guards PATCH."""
    body = {"UserName": "guarded", "Password": "some-password", "RoleId": "ReadOnly"}
    uri = front.ask("POST", ACCOUNTS, body).headers["location"]
    assert front.ask("DELETE", uri, headers=OTHER).status == 412
    tag = front.ask("GET", uri).headers["etag"]
    assert front.ask("DELETE", uri, headers={"If-Match": tag}).status == 204
    assert front.ask("GET", uri).status == 404


def test_a_refused_precondition_does_not_reach_the_host(front: Served) -> None:
    """The host's resources have tags, and a write whose tag is old is never handed on."""
    front.host.writes = 0
    assert front.ask("PATCH", SYSTEM, {"Lamp": "On"}, headers=OTHER).status == 412
    assert front.host.writes == 0
    tag = front.ask("GET", SYSTEM).headers["etag"]
    assert front.ask("PATCH", SYSTEM, {"Lamp": "On"}, headers={"If-Match": tag}).status == 204
    assert front.host.writes == 1
    assert front.ask("GET", SYSTEM).headers["etag"] != tag


def test_of_writers_that_saw_the_same_only_one_gets_through(front: Served) -> None:
    """Nobody writes between the look at the tag and the change: no update is lost unseen."""
    body = {"UserName": "contested", "Password": "some-password", "RoleId": "ReadOnly"}
    uri = front.ask("POST", ACCOUNTS, body).headers["location"]
    roles = ["Operator", "GridOperator", "WorkloadOperator", "MunicipalPartner"]
    with ThreadPoolExecutor(len(roles)) as writers:
        for _ in range(10):
            tag = {"If-Match": front.ask("GET", uri).headers["etag"]}
            old_role = front.ask("GET", uri).body["RoleId"]
            changes = [{"RoleId": role} for role in roles if role != old_role]
            answers = writers.map(lambda c, t=tag: front.ask("PATCH", uri, c, headers=t), changes)
            assert sorted(answer.status for answer in answers)[:2] == [200, 412]


def test_what_does_not_exist_allows_nothing(front: Served) -> None:
    """A 404 has no Allow header: there is no resource that takes a method."""
    assert "allow" not in front.ask("GET", f"{ROOT}/nothing").headers
    assert "allow" not in front.ask("OPTIONS", f"{ROOT}/nothing").headers
    for method in ("DELETE", "PUT"):
        refused = front.ask(method, SYSTEM)
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS, PATCH")
        assert front.ask(method, f"{ROOT}/nothing").status == 404


def test_a_limit_of_thousands_of_digits_is_400(front: Served) -> None:
    """A number that Python refuses to read is a bad request like any other."""
    path = f"{ROOT}/dcpi/power/history?limit="
    assert front.ask("GET", path + "9" * 5000).status == 400
    assert front.ask("GET", path + "3600").status == 200


def test_a_disk_that_refuses_is_logged(
    tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """A 500 says that the log knows why; then the log does know."""
    with served(tmp_path_factory.mktemp("full")) as front:
        fill_disk_under(front.service.audit.path)
        answer = front.ask("PATCH", f"{ROOT}/SessionService", {"SessionTimeout": 60})
        timeout_s = front.ask("GET", f"{ROOT}/SessionService").body["SessionTimeout"]
    assert answer.status == 500
    assert timeout_s == 1800
    assert "PATCH /redfish/v1/SessionService failed" in caplog.text


def fill_disk_under(path: Path) -> None:
    """Let every further write of this process to an open file fail with ENOSPC."""
    full = os.open("/dev/full", os.O_WRONLY)
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if entry.readlink() == path:
                os.dup2(full, int(entry.name))
    os.close(full)
