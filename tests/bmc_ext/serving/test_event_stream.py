"""Server-sent events over the real front, read byte by byte as the standard's parser does."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from e2e.emulator_client import unverified
from served_front import PASSWORD, USER, Served, basic, served, wait_for

from bmc_ext.redfish.events.bus import KEPT_EVENTS
from bmc_ext.redfish.events.eventing import MAX_STREAMS
from bmc_ext.redfish.events.message import Happening

SSE = "/redfish/v1/EventService/SSE"
SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front for all tests of this module."""
    with served(tmp_path_factory.mktemp("state")) as it:
        yield it


class Reader:
    """One client of the stream."""

    def __init__(self, front: Served, query: str = "", *, user: str = USER, **headers: str) -> None:
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", front.port, timeout=15, context=unverified()
        )
        sent = {"Authorization": basic(user, PASSWORD), "Accept": "text/event-stream"}
        self.connection.request("GET", SSE + query, headers={**sent, **headers})
        self.response = self.connection.getresponse()
        self.deadline = time.monotonic() + 40

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self.connection.close()

    def next(self) -> tuple[str | None, Any]:
        """Id and JSON of the next event; (None, None) at the end of the stream."""
        item_id = data = None
        while line := self.response.readline():
            assert time.monotonic() < self.deadline, "nothing but heartbeats"
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                item_id = value
            elif name == "data":
                data = json.loads(value)
            elif not line.strip() and data is not None:
                return item_id, data
        return None, None

    def until(self, message: str) -> tuple[str | None, Any]:
        """The next record of that message."""
        while True:
            item_id, body = self.next()
            assert body is not None, "the stream has ended"
            if body["Events"][0]["MessageId"].endswith(message):
                return item_id, body["Events"][0]


def tell(front: Served, number: int, message: str = "Test.1.0.Number") -> None:
    """An event with a number."""
    front.service.eventing.publish(
        Happening(message, (str(number),), "Number.", "OK", "Other", time.time())
    )


def test_a_stream_is_a_subscription_while_it_is_open(front: Served) -> None:
    """Its resource has the type SSE and a text as Context, and goes with the connection."""
    with Reader(front) as reader:
        assert reader.response.status == 200
        assert reader.response.headers["Content-Type"].startswith("text/event-stream")
        _, record = reader.until("ResourceCreated")
        uri = record["OriginOfCondition"]["@odata.id"]
        shown = front.ask("GET", uri).body
        assert (shown["SubscriptionType"], shown["Context"]) == ("SSE", "")
        assert shown["Destination"].startswith("redfish-sse://127.0.0.1:")
        assert front.ask("PATCH", uri, {"Context": "mine"}).status == 405
    wait_for(lambda: front.ask("GET", uri).status == 404, 10, "the end of the subscription")


def test_deleting_the_subscription_ends_the_stream(front: Served) -> None:
    """The connection's answer is complete afterwards."""
    with Reader(front) as reader:
        _, record = reader.until("ResourceCreated")
        uri = record["OriginOfCondition"]["@odata.id"]
        assert front.ask("DELETE", uri).status == 204
        while reader.next() != (None, None):
            pass


def test_a_filter_leaves_what_was_asked_for(front: Served) -> None:
    """$filter of DSP0266 12.5.2 on message and format."""
    text = "RegistryPrefix eq 'Test' and not (MessageId eq 'Test.1.0.Other')"
    with Reader(front, f"?$filter={quote(text)}") as reader:
        tell(front, 1, "Test.1.0.Other")
        tell(front, 2, "Elsewhere.1.0.Number")
        tell(front, 3)
        _, body = reader.next()
    assert body["Events"][0]["MessageArgs"] == ["3"]


def test_a_value_of_a_filter_stands_with_or_without_quotes(front: Served) -> None:
    """As in the standard's examples; a property that no event has is refused, not never met."""
    text = "RegistryPrefix eq Test and EventFormatType eq Event"
    with Reader(front, f"?$filter={quote(text)}") as reader:
        tell(front, 1, "Elsewhere.1.0.Number")
        tell(front, 2)
        _, body = reader.next()
    assert body["Events"][0]["MessageArgs"] == ["2"]
    unknown = quote("SubordinateResources eq true")
    with Reader(front, f"?$filter={unknown}") as reader:
        assert reader.response.status == 400
        assert b"'SubordinateResources' is no property" in reader.response.read()


def test_a_client_resumes_after_the_last_event_that_it_saw(front: Served) -> None:
    """Last-Event-ID brings what came in between, once and in order."""
    with Reader(front) as reader:
        tell(front, 0)
        last, _ = reader.until("Number")
    assert last is not None
    for number in range(1, 4):
        tell(front, number)
    with Reader(front, **{"Last-Event-ID": last}) as reader:
        numbers = [reader.until("Number")[1]["MessageArgs"] for _ in range(3)]
    assert numbers == [["1"], ["2"], ["3"]]


def test_what_is_kept_no_more_is_told_as_lost(front: Served) -> None:
    """The first event after a resumption too far back counts what is missing."""
    with Reader(front) as reader:
        tell(front, 0)
        last, _ = reader.until("Number")
    assert last is not None
    for number in range(KEPT_EVENTS + 10):
        tell(front, number)
        if number % 100 == 0:
            time.sleep(0.01)
    time.sleep(0.2)
    with Reader(front, **{"Last-Event-ID": last}) as reader:
        _, record = reader.until("EventsLost")
        first = reader.until("Number")[1]["MessageArgs"][0]
    # Also lost: the removal of the first stream's subscription.
    lost = int(record["MessageArgs"][0])
    assert 11 <= lost < 20
    assert int(first) in (lost, lost - 1)


def test_all_that_is_kept_comes_when_a_stream_is_resumed(front: Served) -> None:
    """Hundreds of events missed at once are none lost."""
    with Reader(front) as reader:
        tell(front, 0)
        last, _ = reader.until("Number")
    assert last is not None
    for number in range(1, 401):
        tell(front, number)
    with Reader(front, **{"Last-Event-ID": last}) as reader:
        came = [reader.next()[1]["Events"][0] for _ in range(400)]
    came = [one for one in came if not one["MessageId"].startswith("ResourceEvent")]
    assert [one["MessageArgs"][0] for one in came] == [str(n + 1) for n in range(len(came))]
    assert len(came) > 390


@pytest.mark.parametrize("header", ["1", "99999999999999999"])
def test_an_id_of_an_earlier_run_is_told_as_an_unknown_loss(front: Served, header: str) -> None:
    """An id of before the start is told, and one of the time before the clock was set back."""
    tell(front, 5)
    with Reader(front, **{"Last-Event-ID": header}) as reader:
        _, record = reader.until("EventsLost")
        assert record["MessageArgs"] == ["an unknown number of"]
        assert reader.until("Number")[1]["MessageArgs"]  # what this run has is not lost


@pytest.mark.parametrize("header", ["x", "-1", "9" * 40, "1e3"])
def test_an_id_that_never_was_begins_with_the_present(front: Served, header: str) -> None:
    """Nothing odd in Last-Event-ID breaks the stream."""
    with Reader(front, **{"Last-Event-ID": header}) as reader:
        came = [reader.next()[1]["Events"][0]["MessageId"]]
        while not came[-1].endswith("ResourceCreated"):
            came.append(reader.next()[1]["Events"][0]["MessageId"])
    assert not [message for message in came if "Number" in message]


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {"Accept": "application/json"}, 406),
        ("?$filter=nonsense", {}, 400),
        ("?$expand=.", {}, 501),
        ("", {"Authorization": "Basic eA=="}, 401),
    ],
)
def test_what_is_no_stream_is_a_redfish_error(
    front: Served, query: str, headers: dict[str, str], status: int
) -> None:
    """Refusals are JSON bodies."""
    with Reader(front, query, **headers) as reader:
        assert reader.response.status == status
        body = json.loads(reader.response.read())
    assert body["error"]["code"].startswith("Base.")


def test_a_locked_account_loses_its_stream(front: Served) -> None:
    """Within a second or two, as with the power stream."""
    front.service.accounts.ensure("guest", PASSWORD, "ReadOnly")
    with Reader(front, user="guest") as reader:
        reader.until("ResourceCreated")
        front.service.accounts.set_enabled("guest", False)
        while reader.next() != (None, None):
            pass


def test_there_is_an_end_to_the_number_of_streams(front: Served) -> None:
    """One more than 16 is 503, and when one goes another may come."""
    wait_for(lambda: not front.service.eventing.streams(), 10, "the end of older streams")
    readers = [Reader(front) for _ in range(MAX_STREAMS)]
    assert {reader.response.status for reader in readers} == {200}
    with Reader(front) as reader:
        assert reader.response.status == 503
    for reader in readers:
        reader.__exit__()
    wait_for(lambda: not front.service.eventing.streams(), 10, "the end of all streams")


def test_a_client_that_reads_nothing_slows_nobody(front: Served) -> None:
    """Its queue is bounded; a GET meanwhile is answered and another stream gets all."""
    with Reader(front) as slow, Reader(front, "?$filter=RegistryPrefix%20eq%20'Big'") as quick:
        slow.until("ResourceCreated")
        got: list[str] = []

        def read() -> None:
            while len(got) < 2000:
                got.append(quick.next()[1]["Events"][0]["MessageArgs"][0])

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        text = "x" * 8000
        for number in range(2000):
            front.service.eventing.publish(
                Happening("Big.1.0.Text", (str(number), text), text, "OK", "Other", 0.0)
            )
            wait_for(lambda n=number: len(got) > n - 100, 10, "the reader that keeps up")
        assert front.ask("GET", "/redfish/v1/EventService").status == 200
        reading.join(30)
        assert got == [str(number) for number in range(2000)]
        _, record = slow.until("EventsLost")
        assert int(record["MessageArgs"][0]) > 0


def test_a_stream_ends_whole_with_the_service(tmp_path: Path) -> None:
    """Who listens sees the end of the answer, not a connection that breaks off after a while."""
    with served(tmp_path) as front:
        reader = Reader(front)
        reader.until("ResourceCreated")
    with reader:
        reader.response.read()  # http.client.IncompleteRead where the last chunk is missing
        assert reader.response.isclosed()
