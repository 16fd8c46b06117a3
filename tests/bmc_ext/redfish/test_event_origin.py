"""Heartbeats and the resources that events are about, at a real listener and on the stream."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import unverified
from event_listener import EventListener, event_listener
from served_front import PASSWORD, SYSTEM, USER, Served, basic, served, wait_for

from bmc_ext.redfish.events.subscription import Subscription, Wanted

SERVICE = "/redfish/v1/EventService"
SUBSCRIPTIONS = f"{SERVICE}/Subscriptions"
TEST = f"{SERVICE}/Actions/EventService.SubmitTestEvent"
AUDIT = "/redfish/v1/Managers/DCPI/LogServices/Audit/Entries"
BEAT = "HeartbeatEvent.1.0.RedfishServiceFunctional"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front with an operator."""
    with served(tmp_path_factory.mktemp("state")) as it:
        it.service.accounts.ensure("olga", PASSWORD, "Operator")
        yield it


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[EventListener]:
    """A listener of its own for each test."""
    with event_listener(tmp_path / "listener") as it:
        yield it


def _subscribe(front: Served, listener: EventListener, user: str = USER, **wanted: object) -> str:
    body = {"Destination": listener.url, "Protocol": "Redfish", **wanted}
    answer = front.ask("POST", SUBSCRIPTIONS, body, user=user)
    assert answer.status == 201, answer
    return answer.headers["location"]


def _lamp(front: Served, listener: EventListener, color: str) -> Any:
    """OriginOfCondition of the event that tells of the lamp's change."""
    listener.posts.clear()
    assert front.ask("PATCH", SYSTEM, {"Lamp": color}).status == 204
    return listener.wait_for("ResourceChanged")["OriginOfCondition"]


def test_an_event_holds_the_resource_where_that_is_asked_for(
    front: Served, listener: EventListener
) -> None:
    """The whole resource as the subscriber may read it; without the property a link."""
    assert front.ask("GET", SERVICE).body["IncludeOriginOfConditionSupported"] is True
    only = {"OriginResources": [{"@odata.id": SYSTEM}]}
    uri = _subscribe(front, listener, IncludeOriginOfCondition=True, **only)
    assert front.ask("GET", uri).body["IncludeOriginOfCondition"] is True
    origin = _lamp(front, listener, "Blue")
    assert origin == front.ask("GET", SYSTEM).body
    assert origin["Lamp"] == "Blue"
    front.ask("DELETE", uri)
    uri = _subscribe(front, listener, **only)
    assert front.ask("GET", uri).body["IncludeOriginOfCondition"] is False
    assert _lamp(front, listener, "Red") == {"@odata.id": SYSTEM}
    front.ask("DELETE", uri)


def test_a_subscriber_is_shown_no_more_than_it_may_read(
    front: Served, listener: EventListener
) -> None:
    """What its owner's role may not read, or nobody can any more, stays a link."""
    uri = _subscribe(front, listener, "olga", IncludeOriginOfCondition=True)
    for origin in (AUDIT, f"{SUBSCRIPTIONS}/gone", f"{SYSTEM}#/Lamp"):
        listener.posts.clear()
        test = {
            "MessageId": "Dcpi.1.0.DeviceLost",
            "MessageArgs": ["m"],
            "OriginOfCondition": origin,
        }
        assert front.ask("POST", TEST, test).status == 204
        assert listener.wait_for("DeviceLost")["OriginOfCondition"] == {"@odata.id": origin}
    assert front.ask("GET", AUDIT, user="olga").status == 403
    assert front.ask("GET", AUDIT).status == 200
    front.ask("DELETE", uri)


def test_the_stream_holds_the_resource_where_that_is_asked_for(front: Served) -> None:
    """The query parameter of the stream is announced, needs no value and takes no other."""
    service = front.ask("GET", SERVICE).body
    assert service["SSEIncludeOriginOfConditionSupported"] is True
    stream = service["ServerSentEventUri"]
    assert front.ask("GET", f"{stream}?includeoriginofcondition=perhaps").status == 400
    for query, whole in (("?includeoriginofcondition", True), ("", False)):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", front.port, timeout=15, context=unverified()
        )
        connection.request("GET", stream + query, headers={"Authorization": basic(USER, PASSWORD)})
        response = connection.getresponse()
        assert response.readline().startswith(b": events follow")
        color = f"color {whole}"
        assert front.ask("PATCH", SYSTEM, {"Lamp": color}).status == 204
        origin = next(_origins(response))
        assert origin == (front.ask("GET", SYSTEM).body if whole else {"@odata.id": SYSTEM})
        response.close()
        connection.close()


def _origins(response: http.client.HTTPResponse) -> Iterator[Any]:
    """What the events of a system are about."""
    while line := response.readline():
        if line.startswith(b"data: "):
            (record,) = json.loads(line[6:])["Events"]
            if record["OriginOfCondition"]["@odata.id"] == SYSTEM:
                yield record["OriginOfCondition"]


def _beating(front: Served, listener: EventListener, heartbeat_s: float | None) -> str:
    """A subscription to nothing, with an interval that no client can wait for."""
    found = Subscription(
        str(uuid.uuid4()),
        listener.url,
        "c",
        wanted=Wanted(registry_prefixes=("None",)),
        owner=USER,
        heartbeat_s=heartbeat_s,
    )
    front.service.eventing.subscribe(found)
    return f"{SUBSCRIPTIONS}/{found.id}"


def test_heartbeats_come_at_their_interval_whatever_is_filtered(
    front: Served, listener: EventListener, tmp_path: Path
) -> None:
    """One an interval, not before the first is over; none while the service is off."""
    began_s = time.monotonic()
    with event_listener(tmp_path / "other") as silent:
        uris = [_beating(front, listener, 0.5), _beating(front, silent, None)]
        wait_for(lambda: len(listener.posts) >= 4, 20, "four heartbeats")
        assert time.monotonic() - began_s >= 2.0
        front.ask("POST", TEST, {})
        assert {record["MessageId"] for record in listener.events} == {BEAT}
        assert len({record["EventId"] for record in listener.events}) == len(listener.events)
        assert listener.posts[0][1]["Context"] == "c"
        assert front.ask("PATCH", SERVICE, {"ServiceEnabled": False}).status == 200
        time.sleep(0.3)  # one may be under way
        listener.posts.clear()
        time.sleep(1.2)
        assert listener.posts == []
        assert front.ask("PATCH", SERVICE, {"ServiceEnabled": True}).status == 200
        listener.wait_for(BEAT)
        assert silent.posts == []
    for uri in uris:
        front.ask("DELETE", uri)


def test_an_interval_of_heartbeats_is_kept_and_bound(tmp_path: Path) -> None:
    """In minutes, ten where none is named, kept over a restart and never changed."""
    # The listener is the last to go: a connection that is reset while it opens costs a warning.
    with event_listener(tmp_path / "listener") as listener, served(tmp_path / "state") as front:
        for given, shown in (({"HeartbeatIntervalMinutes": 3}, 3), ({}, 10)):
            uri = _subscribe(front, listener, SendHeartbeat=True, **given)
            assert _heartbeat(front, uri) == (True, shown)
        without = _subscribe(front, listener)
        assert _heartbeat(front, without) == (False, None)
        kept = {one.id: one.heartbeat_s for one in front.service.eventing.store.list()}
        assert list(kept.values()) == [180.0, 600.0, None]
        for wrong in (0, 65536, 1.5, "1", None):
            body = {"Destination": listener.url, "Protocol": "Redfish", "SendHeartbeat": True,
                    "HeartbeatIntervalMinutes": wrong}  # fmt: skip
            assert front.ask("POST", SUBSCRIPTIONS, body).status == 400
        change = front.ask("PATCH", uri, {"HeartbeatIntervalMinutes": 1})
        assert change.status == 400
        (info,) = change.body["error"]["@Message.ExtendedInfo"]
        assert info["MessageId"].endswith("PropertyNotWritable")
    with served(tmp_path / "state") as front:
        again = front.service.eventing.store.list()
        assert {one.id: one.heartbeat_s for one in again} == kept
        assert _heartbeat(front, uri) == (True, 10)


def _heartbeat(front: Served, uri: str) -> tuple[bool, int | None]:
    body = front.ask("GET", uri).body
    return body["SendHeartbeat"], body.get("HeartbeatIntervalMinutes")


def test_the_heartbeats_message_is_in_a_registry_that_is_listed(front: Served) -> None:
    """Who gets one finds where its message is described."""
    listed = front.ask("GET", "/redfish/v1/Registries/HeartbeatEvent").body
    assert listed["Registry"] == BEAT.rpartition(".")[0]
    assert "HeartbeatEvent" in front.ask("GET", SERVICE).body["RegistryPrefixes"]
