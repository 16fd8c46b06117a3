"""What happens at the BMC reaches our listeners, with origins that answer here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acme_mockup import is_known, write_tree
from event_listener import EventListener, event_listener
from mockup_bmc import SSE, MockupBmc, mockup_bmc
from served_front import Served, served, wait_for
from upstream_bmcs import sidecar_config

from bmc_ext.upstream.links import Links
from bmc_ext.upstream.paths import Paths
from bmc_ext.upstream.relay import happenings

SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[MockupBmc]:
    """A BMC that sends events."""
    write_tree(tmp_path / "bmc")
    with mockup_bmc(tmp_path / "bmc") as server:
        yield server


@pytest.fixture
def front(bmc: MockupBmc, tmp_path: Path) -> Iterator[Served]:
    """The sidecar in front of it, once it listens to them."""
    config = sidecar_config(tmp_path / "s", bmc.url, ca=bmc.ca)
    with served(tmp_path / "s", config=config) as it:
        wait_for(lambda: is_known(it) and bmc.asked("GET", SSE), 20, "it listens")
        yield it


@pytest.fixture
def listener(front: Served, tmp_path: Path) -> Iterator[EventListener]:
    """Somebody who subscribed at the sidecar."""
    with event_listener(tmp_path / "listener") as it:
        body = {"Destination": it.url, "Protocol": "Redfish"}
        assert front.ask("POST", SUBSCRIPTIONS, body).status == 201
        yield it


def record(origin: str, key: str = "Acme.1.0.FanBroke") -> dict[str, Any]:
    """One record of an Event of the BMC's."""
    return {
        "MessageId": key, "Message": "The fan 7 broke.", "MessageArgs": ["7"], "EventId": "x",
        "EventType": "Alert", "MessageSeverity": "Critical",
        "EventTimestamp": "2026-01-02T03:04:05Z", "OriginOfCondition": {"@odata.id": origin},
    }  # fmt: skip


def event(*records: Any, event_id: str = "1") -> str:
    """An Event as a server-sent event."""
    body = json.dumps({"@odata.type": "#Event.v1_4_0.Event", "Id": "1", "Events": records})
    return f"id: {event_id}\ndata: {body}\n\n"


def test_an_event_of_the_bmc_reaches_our_listener(
    bmc: MockupBmc, front: Served, listener: EventListener
) -> None:
    """Its message, severity and time stay, and its origin is found through us."""
    bmc.events.put(": still here\r\n" + event(record("/redfish/v1/Chassis/DCPI")))
    told = listener.wait_for("Acme.1.0.FanBroke", 30)
    assert told["Message"] == "The fan 7 broke."
    assert (told["MessageSeverity"], told["MessageArgs"]) == ("Critical", ["7"])
    assert told["EventTimestamp"].startswith("2026-01-02T03:04:05")
    assert told["OriginOfCondition"] == {"@odata.id": "/redfish/v1/Chassis/Upstream_DCPI"}
    origin = front.ask("GET", told["OriginOfCondition"]["@odata.id"])
    assert origin.body["Name"] == "A rack of that name"


def test_what_is_no_event_harms_nothing_and_a_lost_stream_is_resumed(
    bmc: MockupBmc, front: Served, listener: EventListener
) -> None:
    """After garbage and an end the stream is asked for again, from the last event on."""
    bmc.events.put("data: {\n\ndata: [1]\n\nnonsense\n\n" + event("x", {}, {"MessageId": 1}))
    bmc.events.put(event(record("/redfish/v1/Systems/1", "Acme.1.0.First"), event_id="77"))
    listener.wait_for("First", 30)
    bmc.events.put(None)
    wait_for(lambda: len(bmc.asked("GET", SSE)) == 2, 30, "it listens again")
    assert [s.headers.get("last-event-id") for s in bmc.seen if s.path == SSE] == [None, "77"]
    bmc.events.put(event(record("/redfish/v1/Systems/1", "Acme.1.0.Second")))
    listener.wait_for("Second", 30)
    assert front.ask("GET", "/redfish/v1/Systems/1").status == 200


def test_events_of_what_cannot_be_reached_are_not_told() -> None:
    """The BMC's own sessions and subscriptions are nobody's business here."""
    links = Links(Paths(), "https://bmc")
    records = [
        record("/redfish/v1/SessionService/Sessions/1"),
        record("https://bmc/redfish/v1/Managers/DCPI"),
        record("https://elsewhere/redfish/v1/Managers/DCPI"),
        {"MessageId": "A.1.0.B", "MessageSeverity": "Fatal", "EventType": "New", "MessageArgs": 1},
    ]
    told = list(happenings(json.dumps({"Events": records}).encode(), links))
    assert [one.origin for one in told] == ["/redfish/v1/Managers/Upstream_DCPI", None, None]
    assert (told[2].severity, told[2].event_type, told[2].args) == ("OK", "Other", ())
