"""The front's own part of an answer: methods without a body, aliases, origins, paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from served_front import FACILITY_NAME, PASSWORD, SYSTEM, USER, Answer, Served, basic, served

ROOT = "/redfish/v1"
SESSIONS = f"{ROOT}/SessionService/Sessions"
STREAM = b"GET /dcpi/power/stream HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front for all tests of this module."""
    with served(tmp_path_factory.mktemp("state")) as it:
        yield it


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/dcpi", f"{ROOT}/Oem/DCPI", f"{ROOT}/$metadata"])
def test_head_says_how_long_the_body_would_be(front: Served, path: str) -> None:
    """HEAD has the headers of GET, its Content-Length included, and no body."""
    # Its state may change in between, as with the first window; then it is asked again.
    for _ in range(5):
        before, head, get = (front.ask(method, path) for method in ("GET", "HEAD", "GET"))
        if before.body == get.body:
            break
    assert head.body == b""
    for name in ("content-length", "content-type", "allow"):
        assert head.headers[name] == get.headers[name]


def test_no_content_has_no_content_type(front: Served) -> None:
    """An answer without a body says nothing about one."""
    answer = front.ask("OPTIONS", f"{ROOT}/dcpi")
    assert answer.status == 204
    assert not {"content-type", "content-length"} & set(answer.headers)


@pytest.mark.parametrize("alias", [f"{ROOT}/Oem/DCPI", f"{ROOT}/Chassis/DCPI/Oem/DCPI"])
def test_an_alias_moves_links_and_nothing_else(front: Served, alias: str) -> None:
    """Links lead into the tree that was asked; text that looks like one stays as it is."""
    body = front.ask("GET", alias).body
    assert body["FacilityName"] == FACILITY_NAME
    assert body["@odata.id"] == alias
    assert body["PowerRealtime"]["@odata.id"] == f"{alias}/power/realtime"
    assert body["PowerStreamUri"] == f"{alias}/power/stream"
    target = body["Actions"]["#DcpiService.AnnounceWorkload"]["target"]
    assert target == f"{alias}/Actions/DcpiService.AnnounceWorkload"


@pytest.mark.parametrize(
    "path",
    ["//redfish/v1", "///dcpi/power/realtime", "/redfish//v1", "/redfish/v1//",
     "/redfish/v1/Chassis/DCPI//", "/redfish/v1/Systems/one//", "/redfish/v1/Systems/one/%20//",
     "/dcpi/power/realtime///"],
)  # fmt: skip
def test_empty_segments_name_nothing(front: Served, path: str) -> None:
    """A path has one spelling: slashes are not merged, neither inside nor at the start."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(USER, PASSWORD)}\r\n"
    assert b" 404 " in front.raw(request.encode() + b"Connection: close\r\n\r\n")[:16]


def test_a_body_in_chunks_arrives_whole(front: Served) -> None:
    """Who does not know the length beforehand sends chunks (RFC 9112 7.1)."""
    head = (
        f"PATCH {ROOT}/AccountService HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: {basic(USER, PASSWORD)}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b'1;x=y\r\n{\r\n1f\r\n"AccountLockoutThreshold": 321}\r\n0\r\nX-End: z\r\n\r\n'
    assert b" 200 " in front.raw(head.encode() + chunks)[:16]
    assert front.ask("GET", f"{ROOT}/AccountService").body["AccountLockoutThreshold"] == 321


def test_a_hosts_answer_is_given_again_until_its_version_changes(front: Served) -> None:
    """A host that says nothing has changed is believed; one that cannot say is always asked."""
    host = front.host
    host.number, host.color = 1, "Lit"
    try:
        assert front.ask("GET", SYSTEM).body["Lamp"] == "Lit"
        host.color = "Blinking"
        assert front.ask("GET", SYSTEM).body["Lamp"] == "Lit"
        host.number = 2
        assert front.ask("GET", SYSTEM).body["Lamp"] == "Blinking"
        assert front.ask("GET", SYSTEM, user=None).status == 401
        host.number, host.color = None, "Off"
        assert front.ask("GET", SYSTEM).body["Lamp"] == "Off"
        assert [front.ask("GET", f"{SYSTEM}/no").status for _ in range(2)] == [404, 404]
    finally:
        host.number = None


def test_a_page_of_another_origin_may_not_command(front: Served) -> None:
    """A browser that adds a remembered login to a foreign page's request is turned away."""
    foreign = {"Origin": "https://evil.example"}
    body = {"SessionTimeout": 60}
    path = f"{ROOT}/SessionService"
    assert front.ask("PATCH", path, body, headers=foreign).status == 403
    assert front.ask("GET", path).body["SessionTimeout"] == 1800
    own = {"Origin": f"https://127.0.0.1:{front.port}"}
    assert front.ask("PATCH", path, {"SessionTimeout": 1800}, headers=own).status == 200
    for broken in ("null", "https://[", ""):
        assert front.ask("PATCH", path, body, headers={"Origin": broken}).status == 403


def test_a_page_of_another_origin_may_not_listen(front: Served) -> None:
    """The same holds for the stream, which a browser opens without asking first."""
    head = STREAM + f"Host: x\r\nAuthorization: {basic(USER, PASSWORD)}\r\n".encode()
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    assert b" 403 " in front.raw(head + key + b"Origin: https://evil.example\r\n\r\n")[:16]
    assert b" 101 " in front.raw(head + key + b"Origin: https://x\r\n\r\n", 0.3)[:16]


def by_session(front: Served, number: int) -> Answer:
    """A login with a wrong password."""
    wrong = {"UserName": USER, "Password": f"wrong-{number}"}
    return front.ask("POST", SESSIONS, wrong, user=None)


def by_basic(front: Served, number: int) -> Answer:
    """A request with a wrong password."""
    return front.ask("GET", f"{ROOT}/dcpi", password=f"wrong-{number}")


@pytest.mark.parametrize("attempt", [by_session, by_basic])
def test_a_flood_of_logins_keeps_nobody_else_waiting(
    tmp_path: Path, attempt: Callable[[Served, int], Answer]
) -> None:
    """More logins than can be checked are 503; requests of other kinds go on."""
    with served(tmp_path / "state", waiting_logins=1) as front, ThreadPoolExecutor(10) as clients:
        login = front.ask("POST", SESSIONS, {"UserName": USER, "Password": PASSWORD}, user=None)
        headers = {"X-Auth-Token": login.headers["x-auth-token"]}
        attempts = [clients.submit(attempt, front, number) for number in range(20)]
        others = [
            front.ask("GET", f"{ROOT}/Systems/one", user=None, headers=headers).status
            for _ in range(5)
        ]
        answers = [done.result() for done in attempts]
    assert others == [200] * 5
    assert {answer.status for answer in answers} == {401, 503}
    busy = next(answer for answer in answers if answer.status == 503)
    assert busy.headers["retry-after"] == "1"
    assert "ExtendedInfo" in str(busy.body)
