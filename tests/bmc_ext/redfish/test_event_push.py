"""Events pushed to a real HTTPS listener, over the service's own HTTPS face."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from event_listener import EventListener, event_listener
from served_front import SYSTEM, Served, served, wait_for

from bmc_ext.clock import SystemClock
from bmc_ext.errors import ConfigurationError
from bmc_ext.redfish.events.eventing import Eventing
from bmc_ext.redfish.events.message import Happening
from bmc_ext.settings import EventsConfig
from bmc_ext.state import StateDirectory

SERVICE = "/redfish/v1/EventService"
SUBSCRIPTIONS = f"{SERVICE}/Subscriptions"
TEST = f"{SERVICE}/Actions/EventService.SubmitTestEvent"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front that tries a push again after a second."""
    with served(tmp_path_factory.mktemp("state")) as it:
        retries = {"DeliveryRetryAttempts": 1, "DeliveryRetryIntervalSeconds": 1}
        assert it.ask("PATCH", SERVICE, retries).status == 200
        yield it


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[EventListener]:
    """A listener of its own for each test."""
    with event_listener(tmp_path / "listener") as it:
        yield it


@pytest.fixture
def subscribe(front: Served, listener: EventListener) -> Iterator[Any]:
    """Subscribes the listener; its subscriptions are gone after the test."""
    made = []

    def one(**wanted: object) -> str:
        body = {"Destination": listener.url, "Protocol": "Redfish", "Context": "c", **wanted}
        answer = front.ask("POST", SUBSCRIPTIONS, body)
        assert answer.status == 201, answer.body
        made.append(answer.headers["location"])
        assert answer.body["@odata.id"] == made[-1]
        return made[-1]

    yield one
    for uri in made:
        front.ask("DELETE", uri)


def submit(front: Served, **members: object) -> None:
    """Send a test event."""
    answer = front.ask("POST", TEST, members)
    assert answer.status == 204, answer.body


def test_an_event_comes_with_what_was_agreed(
    front: Served, listener: EventListener, subscribe: Any
) -> None:
    """Context, the subscriber's own headers, path and query, and the record of the schema."""
    subscribe(Context="hall 7", HttpHeaders=[{"X-Secret": "s3cret"}])
    submit(front, MessageId="Dcpi.1.0.DeviceLost", MessageArgs=["meter-9"])
    record = listener.wait_for("DeviceLost")
    headers, body = next(post for post in listener.posts if post[1]["Events"][0] == record)
    assert headers["x-secret"] == "s3cret"
    assert body["@odata.type"].startswith("#Event.v1_")
    assert body["Context"] == "hall 7"
    assert body["Id"] == record["EventId"]
    assert record["Message"] == "The device meter-9 does not answer any more."
    assert (record["MessageSeverity"], record["EventType"]) == ("Critical", "Alert")
    shown = front.ask("GET", SUBSCRIPTIONS + "?$expand=.").body["Members"]
    assert [one["HttpHeaders"] for one in shown] == [[]]


def test_a_change_by_a_client_is_told_with_its_resource(
    front: Served, listener: EventListener, subscribe: Any
) -> None:
    """A PATCH of a host's system is ResourceChanged; a filter on its URI lets only that through."""
    subscribe(
        OriginResources=[{"@odata.id": SYSTEM}],
        RegistryPrefixes=["ResourceEvent"],
        ResourceTypes=["ComputerSystem"],
    )
    submit(front)
    assert front.ask("PATCH", SYSTEM, {"Lamp": "On"}).status == 204
    record = listener.wait_for("ResourceChanged")
    assert record["OriginOfCondition"] == {"@odata.id": SYSTEM}
    assert [event["MessageId"] for event in listener.events] == [record["MessageId"]]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"DeviceLost", "TestMessage", "SensorFailure"}),
        ({"RegistryPrefixes": ["Dcpi"]}, {"DeviceLost"}),
        ({"ExcludeRegistryPrefixes": ["Dcpi"]}, {"TestMessage", "SensorFailure"}),
        ({"MessageIds": ["Dcpi.1.9.DeviceLost"]}, {"DeviceLost"}),
        (
            {"MessageIds": ["Dcpi.DeviceLost"], "RegistryPrefixes": ["SensorEvent"]},
            {"DeviceLost", "SensorFailure"},
        ),
        ({"ExcludeMessageIds": ["Dcpi.DeviceLost"]}, {"TestMessage", "SensorFailure"}),
        ({"Severities": ["OK"]}, {"TestMessage"}),
        ({"EventTypes": ["Other"]}, {"TestMessage"}),
        ({"ResourceTypes": ["Sensor"]}, set()),
        ({"EventFormatType": "MetricReport"}, set()),
    ],
)
def test_a_subscriber_gets_what_it_asked_for(
    front: Served,
    listener: EventListener,
    subscribe: Any,
    wanted: dict[str, Any],
    expected: set[str],
) -> None:
    """Each filter of EventDestination lets through what its definition says."""
    names = {"DeviceLost", "SensorFailure", "TestMessage"}
    subscribe(**wanted, Context="filtered")
    subscribe(Context="all")
    for message, args in (
        ("Dcpi.1.0.DeviceLost", ["m"]),
        ("SensorEvent.1.0.SensorFailure", ["s"]),
        ("ResourceEvent.1.4.TestMessage", []),
    ):
        submit(front, MessageId=message, MessageArgs=args)

    def came(context: str) -> set[str]:
        posts = [
            body["Events"][0] for _, body in list(listener.posts) if body["Context"] == context
        ]
        return {event["MessageId"].rpartition(".")[2] for event in posts} & names

    wait_for(lambda: came("all") == names, 10, "all events where none is filtered")
    wait_for(lambda: came("filtered") >= expected, 10, "the events that are wanted")
    time.sleep(0.2)
    assert came("filtered") == expected


def test_events_wait_for_a_listener_that_comes_back_and_keep_their_order(
    front: Served, listener: EventListener, subscribe: Any
) -> None:
    """What was refused is sent again, before what came later."""
    subscribe(DeliveryRetryPolicy="RetryForever", MessageIds=["Test.Number"])
    listener.status = 503
    for number in range(3):
        submit(front, MessageId="Test.1.0.Number", MessageArgs=[str(number)])
    wait_for(lambda: len(listener.events) >= 2, 10, "the first event twice")
    listener.status = 200
    wait_for(lambda: len(listener.events) >= 5, 10, "all events")
    came = [event["MessageArgs"][0] for event in listener.events]
    assert [n for i, n in enumerate(came) if i == 0 or n != came[i - 1]] == ["0", "1", "2"]


def test_what_waits_is_sent_as_a_changed_subscription_says(
    front: Served, listener: EventListener, subscribe: Any
) -> None:
    """A new header, for which the listener refused the old one, costs no event."""
    old, new = {"HttpHeaders": [{"X-Secret": "old"}]}, {"HttpHeaders": [{"X-Secret": "new"}]}
    uri = subscribe(DeliveryRetryPolicy="RetryForever", MessageIds=["Test.Number"], **old)
    listener.status = 401
    for number in range(3):
        submit(front, MessageId="Test.1.0.Number", MessageArgs=[str(number)])
    wait_for(lambda: listener.events, 10, "the first attempt")
    listener.status = 200
    assert front.ask("PATCH", uri, {**new, "Context": "changed"}).status == 200

    def accepted() -> list[str]:
        posts = [body for head, body in list(listener.posts) if head["x-secret"] == "new"]
        assert all(body["Context"] == "changed" for body in posts)
        return [body["Events"][0]["MessageArgs"][0] for body in posts]

    wait_for(lambda: "2" in accepted(), 10, "all events")
    assert accepted() == ["0", "1", "2"]


def test_what_waits_is_sent_once_the_certificate_does_not_matter(
    front: Served, listener: EventListener, subscribe: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """VerifyCertificate counts from the PATCH on, for what could not be sent before, too."""
    wanted = {"DeliveryRetryPolicy": "RetryForever", "MessageIds": ["Test.Number"]}
    uri = subscribe(VerifyCertificate=True, **wanted)
    submit(front, MessageId="Test.1.0.Number", MessageArgs=["waits"])
    wait_for(lambda: "do not reach" in caplog.text, 10, "the first attempt")
    assert listener.events == []
    assert front.ask("PATCH", uri, {"VerifyCertificate": False}).status == 200
    assert listener.wait_for("Number")["MessageArgs"] == ["waits"]


def test_the_attempts_end_in_a_suspended_subscription_that_can_be_resumed(
    front: Served, listener: EventListener, subscribe: Any
) -> None:
    """SuspendRetries: 1 try and 1 retry, then State Disabled, nothing more sent until resumed."""
    uri = subscribe(DeliveryRetryPolicy="SuspendRetries", MessageIds=["Test.Number"])
    listener.status = 500
    submit(front, MessageId="Test.1.0.Number")
    wait_for(lambda: front.ask("GET", uri).body["Status"]["State"] == "Disabled", 10, "suspension")
    assert len(listener.events) == 2
    listener.status = 200
    submit(front, MessageId="Test.1.0.Number")
    assert front.ask("POST", f"{uri}/Actions/EventDestination.ResumeSubscription").status == 204
    assert front.ask("GET", uri).body["Status"] == {"State": "Enabled", "Health": "OK"}
    submit(front, MessageId="Test.1.0.Number", MessageArgs=["resumed"])
    wait_for(lambda: len(listener.events) == 3, 10, "the event after resumption")
    assert listener.events[-1]["MessageArgs"] == ["resumed"]


def test_the_attempts_end_a_subscription_that_says_so(
    front: Served, listener: EventListener, subscribe: Any
) -> None:
    """TerminateAfterRetries: the resource is gone."""
    uri = subscribe(DeliveryRetryPolicy="TerminateAfterRetries")
    listener.status = 500
    submit(front)
    wait_for(lambda: front.ask("GET", uri).status == 404, 10, "the end of the subscription")


def test_a_redirect_is_no_delivery(front: Served, listener: EventListener, subscribe: Any) -> None:
    """The service goes nowhere that the listener sends it."""
    uri = subscribe()
    listener.status = 307
    submit(front)
    wait_for(lambda: front.ask("GET", uri).body["Status"]["State"] == "Disabled", 10, "suspension")


def test_a_listener_that_hangs_delays_nobody_and_is_told_what_it_lost(
    front: Served, listener: EventListener, subscribe: Any, tmp_path: Path
) -> None:
    """300 events for a listener that takes none: others get theirs, it the last 256 and a count."""
    subscribe(MessageIds=["Test.Number"])
    listener.hold.clear()
    submit(front, MessageId="Test.1.0.Number", MessageArgs=["first"])
    wait_for(lambda: listener.posts, 10, "the first event")
    with event_listener(tmp_path / "other") as other:
        subscribe(Destination=other.url, MessageIds=["Test.Number"])
        for number in range(300):
            front.service.eventing.publish(
                Happening("Test.1.0.Number", (str(number),), "Number.", "OK", "Other", 0.0)
            )
            time.sleep(0.005)
        wait_for(lambda: len(other.events) == 300, 20, "300 events at the other listener")
        assert len(listener.posts) == 1
        listener.hold.set()
        wait_for(lambda: listener.events[-1]["MessageArgs"] == ["299"], 20, "the last event")
    assert [e["MessageArgs"][0] for e in other.events] == [str(n) for n in range(300)]
    lost, *rest = listener.events[1:]
    assert (lost["MessageId"], lost["MessageArgs"]) == ("Dcpi.1.0.EventsLost", ["44"])
    assert [e["MessageArgs"][0] for e in rest] == [str(n) for n in range(44, 300)]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("Protocol", "FTP"),
        ("Destination", "ftp://127.0.0.1/"),
        ("Destination", "http://127.0.0.1:9/"),
        ("Destination", "https://"),
        ("Destination", "https://169.254.169.254/latest"),
        ("Destination", "https://[::ffff:169.254.169.254]/"),
        ("Destination", "https://0.0.0.0/"),
        ("Destination", "https://user:secret@192.0.2.1/"),
        ("Destination", "https://192.0.2.1:99999/"),
        ("Destination", "https://192.0.2.1/\r\nX: y"),
        ("Destination", 5),
        ("HttpHeaders", [{"Host": "elsewhere"}]),
        ("HttpHeaders", [{"X-A": "b\r\nX-C: d"}]),
        ("Severities", ["Dreadful"]),
        ("EventFormatType", "Poem"),
        ("DeliveryRetryPolicy", "Never"),
        ("VerifyCertificate", "yes"),
        ("OriginResources", ["https://elsewhere/"]),
        ("IncludeOriginOfCondition", "yes"),
        ("SendHeartbeat", 1),
        ("HeartbeatIntervalMinutes", 5),
        ("Colour", "blue"),
    ],
)
def test_what_cannot_be_subscribed_is_refused_and_named(
    front: Served, member: str, value: object
) -> None:
    """400 with the property at fault, and no subscription is left."""
    body = {"Destination": "https://192.0.2.1/", "Protocol": "Redfish", member: value}
    answer = front.ask("POST", SUBSCRIPTIONS, body)
    assert answer.status == 400
    related = answer.body["error"]["@Message.ExtendedInfo"][0]["RelatedProperties"]
    assert related[0].startswith(f"#/{member}")
    assert front.ask("GET", SUBSCRIPTIONS).body["Members@odata.count"] == 0


def test_a_certificate_that_is_not_trusted_gets_nothing_where_it_is_to_be_verified(
    front: Served, listener: EventListener, subscribe: Any
) -> None:
    """The lab's self-made certificate passes without VerifyCertificate and fails with it."""
    uri = subscribe(VerifyCertificate=True)
    submit(front)
    wait_for(lambda: front.ask("GET", uri).body["Status"]["State"] == "Disabled", 10, "suspension")
    assert listener.posts == []
    assert front.ask("PATCH", uri, {"VerifyCertificate": False}).status == 200
    front.ask("POST", f"{uri}/Actions/EventDestination.ResumeSubscription")
    submit(front)
    listener.wait_for("TestMessage")


def test_a_subscription_to_nowhere_is_deleted_at_once(front: Served) -> None:
    """A connection that is being made keeps no request waiting."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        body = {
            "Destination": f"https://127.0.0.1:{silent.getsockname()[1]}/",
            "Protocol": "Redfish",
        }
        uri = front.ask("POST", SUBSCRIPTIONS, body).headers["location"]
        submit(front)
        silent.settimeout(10)
        peer, _ = silent.accept()  # it never answers the handshake
        with peer:
            began_s = time.monotonic()
            assert front.ask("DELETE", uri).status == 204
            assert time.monotonic() - began_s < 4  # the handshake's time-out is 5 s


def test_readers_may_look_and_not_subscribe(front: Served) -> None:
    """Subscribing needs ConfigureComponents."""
    front.service.accounts.ensure("reader", "only-looking", "ReadOnly")
    body = {"Destination": "https://192.0.2.1/", "Protocol": "Redfish"}
    rights = {"user": "reader", "password": "only-looking"}
    assert front.ask("POST", SUBSCRIPTIONS, body, **rights).status == 403
    assert front.ask("GET", SUBSCRIPTIONS, **rights).status == 200


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_authorities_that_cannot_be_read_stop_the_start(tmp_path: Path, text: str | None) -> None:
    """Without them no listener could ever be verified."""
    if text is not None:
        (tmp_path / "ca.pem").write_text(text, encoding="ascii")
    config = EventsConfig(ca_file=tmp_path / "ca.pem")
    with (
        contextlib.closing(StateDirectory(tmp_path / "state")) as state,
        pytest.raises(ConfigurationError, match=r"events/ca_file: .*ca\.pem"),
    ):
        Eventing(config, state, SystemClock(), lambda _: frozenset())
