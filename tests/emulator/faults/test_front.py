"""Whom a fault of the front hits; what becomes of them is tested on a running emulator."""

from __future__ import annotations

from typing import Any

from emulator.faults.front import FrontFaults
from emulator.faults.vocabulary import fault_of


def hits(
    front: FrontFaults, path: str = "/redfish/v1", method: str = "GET", kind: str = "http"
) -> list[str]:
    """The kinds of faults that hit a request."""
    scope: dict[str, Any] = {"type": kind, "path": path, "method": method}
    return [fault.kind for fault in front.hits(scope)]


def front_with(seed: int = 1, **fault: Any) -> FrontFaults:
    """A front with one fault."""
    front = FrontFaults(seed)
    front.inject("1", fault_of(fault))
    return front


def test_path_and_method_choose() -> None:
    """A pattern matches slashes too; another path or method is left alone."""
    front = front_with(fault="drop", path="/redfish/v1/Chassis*", method="PATCH")
    assert hits(front, "/redfish/v1/Chassis/DCPI/Sensors", "PATCH") == ["drop"]
    assert hits(front, "/redfish/v1/Chassis", "GET") == []
    assert hits(front, "/redfish/v1/Systems", "PATCH") == []


def test_a_socket_is_dropped_but_has_no_json() -> None:
    """A WebSocket is opened by a GET; only what a connection can suffer hits it."""
    scope = {"type": "websocket", "path": "/dcpi/power/stream"}
    assert front_with(fault="drop", method="GET").hits(scope) != []
    assert front_with(fault="malformed-json").hits(scope) == []


def test_chance_is_the_seeds() -> None:
    """Half of the requests, the same for a seed and other ones for another."""
    runs = []
    for seed in (1, 1, 2):
        front = front_with(seed, fault="drop", probability=0.5)
        runs.append([bool(hits(front)) for _ in range(200)])
    assert runs[0] == runs[1] != runs[2]
    assert 70 < sum(runs[0]) < 130


def test_another_fault_leaves_the_chance_of_one_alone() -> None:
    """Each fault draws from its own stream."""
    alone = front_with(fault="drop", probability=0.5)
    both = front_with(fault="drop", probability=0.5)
    both.inject("2", fault_of({"fault": "delay", "delay_s": 1, "probability": 0.5}))
    assert [("drop" in hits(both)) for _ in range(100)] == [
        ("drop" in hits(alone)) for _ in range(100)
    ]


def test_a_count_runs_out_and_a_cleared_fault_is_gone() -> None:
    """Only requests that it hits are counted."""
    front = front_with(fault="drop", path="/a", count=2)
    assert hits(front, "/b") == []
    assert [hits(front, "/a") for _ in range(3)] == [["drop"], ["drop"], []]
    assert front.left("1") == 0
    front.clear("1")
    assert hits(front, "/a") == []
