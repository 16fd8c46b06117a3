"""The DCPI tree behind an aggregator such as bmcweb's, which knows members of top collections only.

It takes requests for `/redfish/v1/<Collection>/<prefix>_<id>...`, hands them on without the prefix,
the client's identity and entity tags, and puts the prefix before each URI of an answer that
is a member of such a collection. All other URIs are its own: a link to one is lost.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.emulator_client import PASSWORD, USER, Running, wait_for
from redfish_proxy import Exchange, proxy

PREFIX = "5B247A"
TREE = f"/redfish/v1/Chassis/{PREFIX}_DCPI/Oem/DCPI"
_MEMBER = re.compile(r"^(/redfish/v1/(?:Chassis|Systems|Managers|Fabrics|Cables)/)([^/?#]+.*)$")
_URIS = ("@odata.id", "@Redfish.ActionInfo", "target", "Location")
_DROPPED = {"authorization", "x-auth-token", "etag", "if-match", "if-none-match", "cookie", "link"}


def _is_uri(name: str) -> bool:
    return name in _URIS or name.lower().endswith("uri")


def _prefixed(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _prefixed(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_prefixed(inner, name) for inner in value]
    if isinstance(value, str) and _is_uri(name):
        return _MEMBER.sub(rf"\g<1>{PREFIX}_\g<2>", value)
    return value


def _without(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _DROPPED}


def hand_on(exchange: Exchange) -> None:
    """Strip prefix and identity; what is the aggregator's own is lost."""
    found = _MEMBER.match(exchange.path)
    mine = found is not None and found[2].startswith(f"{PREFIX}_")
    if found is None or not mine:
        exchange.path = "/redfish/v1/of-the-aggregator-itself"
    else:
        exchange.path = found[1] + found[2].removeprefix(f"{PREFIX}_")
    exchange.headers = _without(exchange.headers)


def _hand_on_with_login(exchange: Exchange) -> None:
    """Log in as the aggregator itself."""
    hand_on(exchange)
    who = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    exchange.headers["Authorization"] = f"Basic {who}"


def hand_back(exchange: Exchange) -> None:
    """Drop the headers that the aggregator drops, and prefix the URIs of its members."""
    headers = _without(exchange.answer_headers)
    exchange.answer_headers = {name: _prefixed(value, name) for name, value in headers.items()}
    if exchange.body and "json" in exchange.answer_headers.get("content-type", ""):
        exchange.body = json.dumps(_prefixed(json.loads(exchange.body))).encode()


@pytest.fixture
def behind(bmc: Running) -> Iterator[Running]:
    """The service as the aggregator's clients see it."""
    with proxy(bmc, asking=_hand_on_with_login, answering=hand_back) as port:
        seen = object.__new__(Running)
        vars(seen).update({**vars(bmc), "port": port})
        yield seen


def _uris(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of each URI of a body."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _uris(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _uris(inner, name)
    elif isinstance(value, str) and _is_uri(name):
        yield name, value


def crawl(behind: Running, start: str) -> dict[str, dict[str, Any]]:
    """All resources of the tree that links lead to; AssertionError for a link that is dead."""
    seen: dict[str, dict[str, Any]] = {}
    waiting = [start]
    while waiting:
        uri = waiting.pop()
        answer = behind.ask("GET", uri, auth=False)
        assert answer.status == 200, f"{uri}: {answer.status}"
        assert "etag" not in answer.headers
        seen[uri] = answer.body
        links = {value.partition("#")[0] for name, value in _uris(answer.body)
                 if name in ("@odata.id", "@Redfish.ActionInfo")}  # fmt: skip
        waiting += [link for link in links if link not in seen and link not in waiting]
    return seen


def test_every_link_of_the_tree_is_answered_behind_an_aggregator(behind: Running) -> None:
    """From the tree's root every link, also of actions, stays in the tree and has an answer."""
    seen = crawl(behind, TREE)
    for tail in ("power/realtime", "power/history", "thermal/status", "grid/status", "workloads"):
        assert f"{TREE}/{tail}" in seen
    for uri, body in seen.items():
        assert body["@odata.id"] == uri
        for _, other in _uris(body):
            assert other.startswith(f"{TREE}/") or other == TREE, f"{uri} leads to {other}"
    wait_for(lambda: _is_known(behind), 60, "the power of every feed")


def _is_known(behind: Running) -> bool:
    """Whether every feed has a power; on a busy machine one may be late."""
    body = behind.ask("GET", f"{TREE}/power/realtime", auth=False).body
    return all(feed["PowerWatts"] is not None for feed in body["Feeds"])


def test_the_one_home_is_lost_behind_an_aggregator(behind: Running) -> None:
    """What the test would miss without the alias: the aggregator does not know the home."""
    assert behind.ask("GET", "/redfish/v1/dcpi", auth=False).status == 404


def test_an_action_of_the_tree_works_behind_an_aggregator(behind: Running) -> None:
    """The target that a body names takes a command."""
    body = behind.ask("GET", f"{TREE}/grid/status", auth=False).body
    target = body["Actions"]["#DcpiGridStatus.Signal"]["target"]
    assert target.startswith(TREE)
    assert behind.ask("POST", target, {}, auth=False).status == 400
