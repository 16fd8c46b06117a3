"""Requests that go on to the BMC: every method, conditions, pages, documents, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from mockup_bmc import Handler, MockupBmc
from served_front import Served

ROOT = "/redfish/v1"
ENTRIES = f"{ROOT}/Systems/1/LogServices/SEL/Entries"
CHASSIS = f"{ROOT}/Chassis/2"


@pytest.fixture
def instead(bmc: MockupBmc) -> Iterator[MockupBmc]:
    """The BMC, which behaves again afterwards."""
    yield bmc
    bmc.instead = lambda _: False


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_every_method_goes_on_with_its_body(front: Served, instead: MockupBmc, method: str) -> None:
    """Status, body, Location, Allow and ETag come back; each is in the audit log."""

    def answer(handler: Handler) -> bool:
        if handler.command != method or not handler.path.startswith(f"{ROOT}/Acme"):
            return False
        body = {"@odata.id": f"{ROOT}/Chassis/DCPI", "Id": "9"}
        handler.say(201, body, Location=f"{ROOT}/Chassis/DCPI", ETag='"e"', Allow="GET")
        return True

    instead.instead = answer
    given = None if method == "DELETE" else {"Name": "é"}
    got = front.ask(method, f"{ROOT}/Acme/Things", given)
    assert got.status == 201
    assert got.body["@odata.id"] == f"{ROOT}/Chassis/Upstream_DCPI"
    assert got.headers["location"] == f"{ROOT}/Chassis/Upstream_DCPI"
    assert (got.headers["etag"], got.headers["allow"]) == ('"e"', "GET")
    assert got.headers["odata-version"] == "4.0"
    asked = [s for s in instead.seen if s.path == f"{ROOT}/Acme/Things"]
    (seen,) = (s for s in asked if s.method == method)
    assert (json.loads(seen.body) if seen.body else None) == given
    assert front.audit("host.command.done")[-1]["status"] == 201
    assert front.audit("host.command.planned")[-1]["request"] == f"{method} {ROOT}/Acme/Things"


def test_what_is_not_json_goes_on_as_it_came(front: Served, instead: MockupBmc) -> None:
    """An image for the BMC's UpdateService reaches it byte by byte."""
    image = b"--b\r\nContent-Disposition: form-data; name=UpdateFile\r\n\r\n\x00\xff\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    assert front.ask("POST", f"{ROOT}/UpdateService/push", image, headers=kind).status == 204
    seen = next(s for s in reversed(instead.seen) if s.path.endswith("/push"))
    assert seen.body == image
    assert seen.headers["content-type"] == kind["Content-Type"]


def test_an_entity_tag_of_the_bmc_is_ours_too(front: Served, bmc: MockupBmc) -> None:
    """If-Match with an old tag is refused, with the new one it changes the BMC."""
    tag = front.ask("GET", CHASSIS).headers["etag"]
    assert tag.startswith('"')
    assert front.ask("GET", CHASSIS).body["@odata.etag"] == tag  # as many clients take it
    members = front.ask("GET", f"{ROOT}/Chassis?$expand=.").body["Members"]
    assert [one["@odata.etag"] for one in members if one["@odata.id"] == CHASSIS] == [tag]
    assert front.ask("GET", CHASSIS, headers={"If-None-Match": tag}).status == 200
    ok = front.ask("PATCH", CHASSIS, {"AssetTag": "a"}, headers={"If-Match": tag})
    assert ok.status == 200
    sent = [seen.headers.get("if-match") for seen in bmc.seen if seen.method == "PATCH"]
    assert sent[-1] == tag  # the BMC compares it too: another client may come between
    before = bmc.body(CHASSIS)
    stale = front.ask("PATCH", CHASSIS, {"AssetTag": "b"}, headers={"If-Match": tag})
    assert stale.status == 412
    assert bmc.body(CHASSIS) == before


def test_methods_are_those_of_the_bmc(front: Served, instead: MockupBmc) -> None:
    """Allow is what the BMC says, in its answers or when asked for it."""
    assert front.ask("GET", CHASSIS).headers["allow"] == "GET, PATCH, POST, DELETE"
    assert front.ask("OPTIONS", CHASSIS).headers["allow"] == "GET, PATCH"
    assert front.ask("HEAD", CHASSIS).headers["allow"] == "GET, PATCH, POST, DELETE"

    def silent(handler: Handler) -> bool:
        if handler.command != "GET" or handler.path != f"{ROOT}/Acme":
            return False
        handler.say(200, {"Id": "Acme"})
        return True

    instead.instead = silent
    assert front.ask("GET", f"{ROOT}/Acme").headers["allow"] == "GET, PATCH"


def test_a_refusal_of_the_bmc_is_handed_on(front: Served, instead: MockupBmc) -> None:
    """Its status and its own messages; without any, ours with its status."""

    def refuse(handler: Handler) -> bool:
        if handler.path == f"{ROOT}/Acme/Bare":
            handler.say(418, data=b"<html>", Content_Type="text/html")
            return True
        if handler.command != "PATCH":
            return False
        info = [{"MessageId": "Base.1.0.PropertyReadOnly", "RelatedProperties": ["#/Id"]}]
        handler.say(400, {"error": {"code": "x", "@Message.ExtendedInfo": info}})
        return True

    instead.instead = refuse
    got = front.ask("PATCH", CHASSIS, {"Id": "3"})
    assert got.status == 400
    assert got.body["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"] == ["#/Id"]
    bare = front.ask("GET", f"{ROOT}/Acme/Bare")
    assert bare.status == 418
    assert "418" in bare.body["error"]["message"]
    assert front.ask("GET", f"{ROOT}/Acme/Nothing").status == 404


def _pages(handler: Handler, by: str) -> bool:
    """Five entries, two a page, the next one by `$skip` or `$skiptoken`."""
    parts = urlsplit(handler.path)
    if parts.path != ENTRIES:
        return False
    asked = parse_qs(parts.query)
    first = int(asked.get(by, ["0"])[0])
    count = int(asked.get("$top", ["2"])[0])
    members = [{"@odata.id": f"{ENTRIES}/{name}", "Id": name} for name in "01234"]
    body = {
        "@odata.id": ENTRIES, "Name": "Entries", "Members@odata.count": 5,
        "Members": members[first : first + count],
    }  # fmt: skip
    if first + count < 5:
        body["Members@odata.nextLink"] = f"{ENTRIES}?{by}={first + count}"
    handler.say(200, body)
    return True


@pytest.mark.parametrize("by", ["$skip", "$skiptoken"])
def test_pages_are_turned_by_their_links(front: Served, instead: MockupBmc, by: str) -> None:
    """A client that follows nextLink gets each member once."""
    instead.instead = lambda handler: _pages(handler, by)
    found: list[str] = []
    following: str | None = ENTRIES
    while following is not None and len(found) < 9:
        body = front.ask("GET", following).body
        found += [member["Id"] for member in body["Members"]]
        following = body.get("Members@odata.nextLink")
    assert found == ["0", "1", "2", "3", "4"]


def test_queries_are_about_all_pages(front: Served, instead: MockupBmc) -> None:
    """What we answer ourselves of a collection in pages is of the whole."""
    instead.instead = lambda handler: _pages(handler, "$skip")
    body = front.ask("GET", f"{ENTRIES}?$skip=3&$top=1").body
    assert [member["Id"] for member in body["Members"]] == ["3"]
    assert "Members@odata.nextLink" not in body


def test_a_collection_without_end_is_refused(front: Served, instead: MockupBmc) -> None:
    """A next page that is always the same one ends in 503."""

    def endless(handler: Handler) -> bool:
        if urlsplit(handler.path).path != ENTRIES:
            return False
        handler.say(200, {"Members": [], "Members@odata.nextLink": ENTRIES})
        return True

    instead.instead = endless
    assert front.ask("GET", f"{ENTRIES}?$top=1").status == 503
