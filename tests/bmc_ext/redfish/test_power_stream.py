"""The URI of the WebSocket stream for who does not upgrade, and what If-None-Match saves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from e2e.emulator_client import unverified
from served_front import PASSWORD, SYSTEM, USER, Served, basic, served, wait_for
from websockets.sync.client import connect

ROOT = "/redfish/v1"
REALTIME = f"{ROOT}/dcpi/power/realtime"
ALIAS = f"{ROOT}/Oem/DCPI"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front that no test changes."""
    with served(tmp_path_factory.mktemp("front")) as it:
        yield it


def test_the_announced_uri_says_that_it_is_a_websocket(front: Served) -> None:
    """On both faces, and in the tree that was asked, a plain GET is 426 with what is missing."""
    announced = front.ask("GET", f"{ROOT}/dcpi").body["PowerStreamUri"]
    elsewhere = front.ask("GET", ALIAS).body["PowerStreamUri"]
    assert elsewhere.startswith(ALIAS)
    for uri in (announced, elsewhere, "/dcpi/power/stream"):
        for method in ("GET", "HEAD"):
            answer = front.ask(method, uri)
            assert answer.status == 426
            assert answer.headers["upgrade"] == "websocket"
            assert "upgrade" in answer.headers["connection"].lower()
        (info,) = front.ask("GET", uri).body["error"]["@Message.ExtendedInfo"]
        assert (info["MessageId"], info["MessageArgs"]) == ("Base.1.19.HeaderMissing", ["Upgrade"])
        assert "WebSocket" in info["Message"]
        assert info["MessageSeverity"] == "Critical"


def test_its_methods_are_those_of_any_resource(front: Served) -> None:
    """Who is unknown learns nothing, and OPTIONS names what a wrong method is answered with."""
    uri = f"{ROOT}/dcpi/power/stream"
    assert front.ask("GET", uri, user=None).status == 401
    options, wrong = front.ask("OPTIONS", uri), front.ask("POST", uri, {})
    assert (options.status, wrong.status) == (204, 405)
    assert options.headers["allow"] == wrong.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_connection_that_was_told_to_upgrade_can(front: Served) -> None:
    """The same URI with the header is the stream."""
    with connect(
        f"wss://127.0.0.1:{front.port}{ROOT}/dcpi/power/stream",
        ssl=unverified(),
        additional_headers={"Authorization": basic(USER, PASSWORD)},
    ) as stream:
        assert '"power_stream"' in stream.recv(timeout=15)


def test_readings_are_never_called_unchanged(front: Served) -> None:
    """A tag that leaves readings out saves no body; one that covers the whole resource does."""
    first = wait_for(
        lambda: (a := front.ask("GET", REALTIME)).status == 200 and a, 15, "the first window"
    )
    again = front.ask("GET", REALTIME, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.headers["etag"]) == (200, first.headers["etag"])
    for uri in (f"{ROOT}/dcpi", SYSTEM):
        tag = front.ask("GET", uri).headers["etag"]
        known = front.ask("GET", uri, headers={"If-None-Match": tag})
        assert (known.status, known.body) == (304, b"")
        assert front.ask("GET", uri, headers={"If-None-Match": '"other"'}).status == 200
    front.ask("PATCH", SYSTEM, {"Lamp": "On"})
    assert front.ask("GET", SYSTEM, headers={"If-None-Match": tag}).status == 200
