"""Events that a BMC without a stream posts to us: told, renewed, and taken from nobody else."""

from __future__ import annotations

import dataclasses
import http.client
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from acme_mockup import TREE, is_known, links, write_tree
from e2e.emulator_client import unverified
from event_listener import event_listener
from mockup_bmc import SSE, Handler, MockupBmc, mockup_bmc, write_mockup
from served_front import served, wait_for
from upstream_bmcs import sidecar_config

from bmc_ext.settings import Config

SERVICE = "/redfish/v1/EventService"
SUBSCRIPTIONS = f"{SERVICE}/Subscriptions"


class PushingBmc:
    """A BMC whose EventService takes subscriptions and has no stream; `status` answers a POST."""

    def __init__(self, server: MockupBmc) -> None:
        self.server = server
        self.status = 201
        self.needs_types = False
        self.made: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._change = threading.RLock()  # the test and the BMC's own threads change it
        server.instead = self._instead
        self._write()

    def _write(self) -> None:
        ids = [uri.rpartition("/")[2] for uri in self.made]
        service = {
            "Id": "EventService", "Name": "E", "ServiceEnabled": True,
            "Subscriptions": {"@odata.id": SUBSCRIPTIONS},
        }  # fmt: skip
        tree = {
            "EventService": service,
            "EventService/Subscriptions": links(*ids, of="EventService/Subscriptions"),
            **{uri.removeprefix("/redfish/v1/"): body for uri, body in self.made.items()},
        }
        write_mockup(self.server.folder, tree)

    def _instead(self, handler: Handler) -> bool:
        if not handler.path.startswith(SUBSCRIPTIONS) or handler.command not in ("POST", "DELETE"):
            return False
        if handler.command == "DELETE":
            self.drop(handler.path)
            handler.say(204)
        elif self.status != 201 or (self.needs_types and b"EventTypes" not in handler.sent):
            handler.say(400 if self.status == 201 else self.status, {"error": {"code": "x"}})
        else:
            uri = self.add(json.loads(handler.sent))
            handler.say(201, {"@odata.id": uri}, Location=f"{self.server.url}{uri}")
        return True

    def add(self, body: dict[str, Any]) -> str:
        """Keep a subscription."""
        with self._change:
            uri = f"{SUBSCRIPTIONS}/{next(self._numbers)}"
            self.made[uri] = {"Id": uri.rpartition("/")[2], "Name": "S", **body}
            self._write()
        return uri

    def drop(self, uri: str) -> None:
        """Forget a subscription."""
        with self._change:
            if self.made.pop(uri, None) is not None:
                (self.server.folder / uri.lstrip("/") / "index.json").unlink()
            self._write()

    @property
    def destination(self) -> str:
        """Where its one subscriber wants events."""
        (one,) = self.made.values()
        return str(one["Destination"])

    def push(self, key: str, origin: str = "/redfish/v1/Chassis/DCPI") -> int:
        """Post an event as BMCs do; the status that the subscriber answers."""
        record = {
            "MessageId": f"Acme.1.0.{key}", "Message": "The fan 7 broke.", "EventType": "Alert",
            "MessageSeverity": "Critical", "OriginOfCondition": {"@odata.id": origin},
        }  # fmt: skip
        return post(self.destination, {"Id": "1", "Name": "E", "Events": [record]})


def post(url: str, body: object) -> int:
    """One POST without any credentials."""
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(
        str(parts.hostname), parts.port or 443, timeout=10, context=unverified()
    )
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", parts.path, data, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[PushingBmc]:
    """A BMC for one test."""
    write_tree(tmp_path / "bmc")
    with mockup_bmc(tmp_path / "bmc") as server:
        yield PushingBmc(server)


def _config(bmc: PushingBmc, folder: Path, *, push_events: bool = True) -> Config:
    server = bmc.server
    found = sidecar_config(folder, server.url, ca=server.ca, push_events=push_events)
    return dataclasses.replace(found, listen=dataclasses.replace(found.listen, host="127.0.0.1"))


def test_what_a_bmc_pushes_reaches_our_listener(bmc: PushingBmc, tmp_path: Path) -> None:
    """It is subscribed at, its events are told with origins here, and the end unsubscribes."""
    with served(tmp_path / "s", config=_config(bmc, tmp_path / "s")) as front:
        wait_for(lambda: len(bmc.made) == 1, 20, "a subscription")
        assert str(front.port) in bmc.destination
        with event_listener(tmp_path / "listener") as listener:
            body = {"Destination": listener.url, "Protocol": "Redfish"}
            assert front.ask("POST", SUBSCRIPTIONS, body).status == 201
            assert bmc.push("FanBroke") == 204
            told = listener.wait_for("Acme.1.0.FanBroke", 20)
            assert told["OriginOfCondition"] == {"@odata.id": "/redfish/v1/Chassis/Upstream_DCPI"}
            assert (told["MessageSeverity"], told["Message"]) == ("Critical", "The fan 7 broke.")
            assert bmc.push("Hidden", f"{SUBSCRIPTIONS}/1") == 204
            assert post(bmc.destination, b"{") == 204
            assert bmc.push("After") == 204
            listener.wait_for("After", 20)
            assert not [one for one in listener.events if one["MessageId"].endswith("Hidden")]
    assert bmc.made == {}


def test_nobody_else_can_tell_us_events(bmc: PushingBmc, tmp_path: Path) -> None:
    """The path is no link, is another after each start, and any other is not there."""
    seen = []
    for number in (1, 2):
        with served(tmp_path / "s", config=_config(bmc, tmp_path / "s")) as front:
            wait_for(lambda: len(bmc.made) == 1, 20, f"subscription {number}")
            seen.append(bmc.destination)
            guess = bmc.destination[:-1] + ("A" if bmc.destination[-1] != "A" else "B")
            for wrong in (guess, bmc.destination.rpartition("/")[0], f"{bmc.destination}/x"):
                assert post(wrong, {"Events": []}) in (401, 404), wrong
            path = urlsplit(bmc.destination).path
            assert front.ask("GET", path, user=None).status == 401
            assert path not in json.dumps(front.ask("GET", "/redfish/v1/dcpi?$expand=*").body)
    assert len({urlsplit(url).path for url in seen}) == 2
    config = _config(bmc, tmp_path / "t", push_events=False)
    with served(tmp_path / "t", config=config) as front:
        wait_for(lambda: is_known(front), 20, "known")
        there = f"https://127.0.0.1:{front.port}{urlsplit(seen[0]).path}"
        assert post(there, {"Events": []}) == 401
        assert bmc.made == {}


def test_a_subscription_that_is_lost_is_made_anew(bmc: PushingBmc, tmp_path: Path) -> None:
    """Also where an earlier run of ours has left one, which goes; others' stay."""
    theirs = bmc.add({"Destination": "https://192.0.2.1/", "Context": "other"})
    with served(tmp_path / "s", config=_config(bmc, tmp_path / "s")) as front:
        wait_for(lambda: len(bmc.made) == 2, 20, "a subscription")
        (first,) = set(bmc.made) - {theirs}
        mark = bmc.made[first]["Context"]
        assert front.service.context.uuid in mark
        left = bmc.add({"Destination": "https://127.0.0.1:9/old", "Context": mark})
        bmc.drop(first)
        wait_for(lambda: left not in bmc.made and len(bmc.made) == 2, 20, "a new one alone")
    assert set(bmc.made) == {theirs}


def test_an_older_service_is_told_the_types_of_events(bmc: PushingBmc, tmp_path: Path) -> None:
    """One that refuses a subscription without EventTypes gets those that it knows."""
    bmc.needs_types = True
    with served(tmp_path / "s", config=_config(bmc, tmp_path / "s")):
        wait_for(lambda: len(bmc.made) == 1, 20, "a subscription")
        (one,) = bmc.made.values()
        assert set(one["EventTypes"]) == {
            "Alert", "ResourceAdded", "ResourceRemoved", "ResourceUpdated", "StatusChange",
        }  # fmt: skip


def test_a_bmc_that_refuses_is_looked_at_instead(bmc: PushingBmc, tmp_path: Path) -> None:
    """It is not asked again with each look, and its power is still followed."""
    bmc.status = 403
    with served(tmp_path / "s", config=_config(bmc, tmp_path / "s")) as front:
        wait_for(lambda: is_known(front), 20, "known")
        looks = len(bmc.server.asked("GET", SERVICE))
        wait_for(lambda: len(bmc.server.asked("GET", SERVICE)) >= looks + 6, 30, "some looks")
        assert len(bmc.server.asked("POST", SUBSCRIPTIONS)) == 1
        assert front.service.upstream is not None
        assert front.service.upstream.power_states() == {"1": "On"}


def test_power_is_told_once(bmc: PushingBmc, tmp_path: Path) -> None:
    """By the looks until the first event has come, and by the BMC alone from then on."""
    with served(tmp_path / "s", config=_config(bmc, tmp_path / "s")) as front:
        wait_for(lambda: is_known(front) and len(bmc.made) == 1, 20, "a subscription")
        upstream = front.service.upstream
        assert upstream is not None
        wait_for(lambda: upstream.power_states() == {"1": "On"}, 20, "followed by looks")
        assert bmc.push("FanBroke") == 204
        looks = len(bmc.server.asked("GET", SERVICE))
        wait_for(lambda: len(bmc.server.asked("GET", SERVICE)) >= looks + 4, 30, "some looks")
        assert upstream.power_states() == {}
        bmc.status = 403
        bmc.drop(next(iter(bmc.made)))
        wait_for(lambda: upstream.power_states() == {"1": "On"}, 20, "followed by looks again")


def test_a_stream_is_listened_to_instead(tmp_path: Path) -> None:
    """Where the BMC has one, nothing is subscribed."""
    write_tree(tmp_path / "bmc")
    service = {**TREE["EventService"], "Subscriptions": {"@odata.id": SUBSCRIPTIONS}}
    assert service["ServerSentEventUri"] == SSE
    write_mockup(tmp_path / "bmc", {"EventService": service})
    with mockup_bmc(tmp_path / "bmc") as server:
        config = sidecar_config(tmp_path / "s", server.url, ca=server.ca, push_events=True)
        with served(tmp_path / "s", config=config):
            wait_for(lambda: server.asked("GET", SSE), 20, "it listens")
            looks = len(server.asked("GET", SERVICE))
            wait_for(lambda: len(server.asked("GET", SERVICE)) >= looks + 4, 30, "some looks")
            assert server.asked("POST", SUBSCRIPTIONS) == []
