"""The logs over HTTP: what happened is there, newest first, in pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_front import Served, served, wait_for

from bmc_ext.sampling.events import Event, EventKind

LOGS = "/redfish/v1/Managers/DCPI/LogServices"
AUDIT = f"{LOGS}/Audit/Entries"
EVENTS = f"{LOGS}/EventLog/Entries"


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Served]:
    """A front whose first login is in the audit log already."""
    with served(tmp_path) as it:
        it.ask("GET", LOGS)
        yield it


def _walk(front: Served, uri: str) -> list[dict[str, Any]]:
    """All members, by following the links to the next page."""
    found: list[dict[str, Any]] = []
    while uri:
        body = front.ask("GET", uri).body
        found += body["Members"]
        uri = body.get("Members@odata.nextLink", "")
    return found


def _change() -> Event:
    """A change of power of 60 MW."""
    return Event(
        number=1, kind=EventKind.POWER_CHANGE, onset_ns=10**18, detected_ns=10**18 + 10**8,
        end_ns=None, before_w=1e6, after_w=61e6, extreme_v=None, phases=(), is_over=False,
        is_cut=False,
    )  # fmt: skip


def test_pages_hold_every_entry_once(front: Served) -> None:
    """Following nextLink from the first page brings each audit entry once, newest first."""
    for number in range(250):
        front.service.audit.append("test.entry", number=number)
    entries = _walk(front, AUDIT)
    numbers = [int(entry["Id"]) for entry in entries]
    assert numbers == list(range(numbers[0], 0, -1))
    assert len(numbers) == front.ask("GET", AUDIT).body["Members@odata.count"] > 250
    one = front.ask("GET", entries[120]["@odata.id"]).body
    del one["@odata.etag"]
    assert one == entries[120]


def test_the_next_page_is_asked_as_the_first(front: Served) -> None:
    """$select keeps the link to the next page, which selects and expands likewise."""
    for number in range(150):
        front.service.audit.append("test.entry", number=number)
    entries = _walk(front, f"{AUDIT}?$expand=.($levels=1)&$select=Id,Created")
    assert len(entries) > 150
    shown = {name for entry in entries for name in entry if not name.startswith("@")}
    assert shown == {"Id", "Created"}


def test_top_and_skip_choose_among_all_entries(front: Served) -> None:
    """$skip beyond the first page works, and the count is of all."""
    for number in range(150):
        front.service.audit.append("test.entry", number=number)
    seq = front.service.audit.head[0]
    body = front.ask("GET", f"{AUDIT}?$skip=120&$top=3").body
    assert [int(entry["Id"]) for entry in body["Members"]] == [seq - 120, seq - 121, seq - 122]
    assert body["Members@odata.count"] == seq
    assert len(front.ask("GET", f"{AUDIT}?$skip=0").body["Members"]) == 100
    wanted = f"{AUDIT}?$filter=Id%20eq%20'7'"
    assert [entry["Id"] for entry in front.ask("GET", wanted).body["Members"]] == ["7"]


def test_long_entries_are_read_across_blocks(front: Served) -> None:
    """Lines that straddle the blocks in which the file is read come out whole."""
    for number in range(60):
        front.service.audit.append("test.long", text=f"{number}:" + "ä" * 1500)
    assert f"59:{'ä' * 1500}" in front.ask("GET", AUDIT).body["Members"][0]["Message"]
    assert len(_walk(front, AUDIT)) == front.service.audit.head[0]


def test_a_refused_login_is_in_the_audit_log(front: Served) -> None:
    """Who was refused is named, as a warning."""
    front.ask("GET", LOGS, user="mallory", password="wrong-password")

    def named() -> list[dict[str, Any]]:
        return [entry for entry in _walk(front, AUDIT) if "mallory" in entry["Message"]]

    # The answer does not wait for the disk.
    found = wait_for(named, 10, "an entry")
    assert found[0]["Severity"] == "Warning"
    assert found[0]["Username"] == "mallory"
    assert found[0]["MessageId"] == "Dcpi.1.0.Audited"


def test_only_who_configures_the_manager_reads_the_audit_log(front: Served) -> None:
    """Others see that there is a log, not what is in it."""
    front.service.accounts.create("viewer", "only-looking", "ReadOnly")
    for path, status in ((f"{LOGS}/Audit", 200), (AUDIT, 403), (f"{AUDIT}/1", 403), (EVENTS, 200)):
        answer = front.ask("GET", path, user="viewer", password="only-looking")
        assert answer.status == status


def test_a_power_event_becomes_an_entry(front: Served) -> None:
    """A change of power is shown with its feed and its size, in the words of the registry."""
    front.service.measuring.events.log.record("feed-1", _change())
    (entry,) = _walk(front, EVENTS)
    assert entry["MessageId"] == "Dcpi.1.0.PowerChanged"
    assert entry["MessageArgs"] == ["feed-1", "60000000.0"]
    assert entry["Created"] == "2001-09-09T01:46:40.100Z"
    assert front.ask("GET", entry["@odata.id"]).body["Message"] == entry["Message"]


def test_an_event_that_goes_on_is_cut_with_the_service(tmp_path: Path) -> None:
    """The next service on this state does not show it as one that still goes on."""
    states = []
    for number in (1, 2):
        with served(tmp_path) as front:
            front.service.measuring.events.log.record("feed-1", _change()._replace(number=number))
            body = front.ask("GET", "/redfish/v1/dcpi/power/events").body
            states.append([event["EventState"] for event in body["Events"]])
    assert states == [["Ongoing"], ["Ongoing", "Cut"]]


def test_the_event_log_is_cleared_and_the_audit_log_says_by_whom(front: Served) -> None:
    """Only who configures the manager clears it; both faces are empty; audit has no such action."""
    front.service.measuring.events.log.record("feed-1", _change())
    clear = front.ask("GET", f"{LOGS}/EventLog").body["Actions"]["#LogService.ClearLog"]["target"]
    front.service.accounts.create("viewer", "only-looking", "ReadOnly")
    assert front.ask("POST", clear, {}, user="viewer", password="only-looking").status == 403
    assert front.ask("POST", clear, {"Colour": 1}).status == 400
    assert len(_walk(front, EVENTS)) == 1
    assert front.ask("POST", clear, {}).status == 204
    assert _walk(front, EVENTS) == []
    assert front.ask("GET", "/redfish/v1/dcpi/power/events").body["Events"] == []
    assert any("event_log.clear.done" in entry["Message"] for entry in _walk(front, AUDIT))
    assert "Actions" not in front.ask("GET", f"{LOGS}/Audit").body


@pytest.mark.parametrize("entry", ["0", "-1", "x", "99999", "1e3"])
def test_no_entry_is_invented(front: Served, entry: str) -> None:
    """A number that no entry has is 404, in both logs."""
    assert front.ask("GET", f"{AUDIT}/{entry}").status == 404
    assert front.ask("GET", f"{EVENTS}/{entry}").status == 404
