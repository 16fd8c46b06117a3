"""A search stays quick however many profiles there are, and bounded on a silent unit."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

from drivers.modbus_tcp import TcpTransport
from drivers.probe import scan
from drivers.profile import list_profiles, load_profile
from drivers.read_plan import ReadBlock
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice
from drivers.target import TcpTarget

ServeTcp = Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]


class _Counting(TcpTransport):
    """A transport that counts what is asked."""

    def __init__(self, port: int) -> None:
        super().__init__(TcpTarget("127.0.0.1", port))
        self.asked: Counter[Any] = Counter()

    def read(self, unit: int, request: ReadBlock, timeout_s: float) -> bytes:
        self.asked[unit, request] += 1
        return super().read(unit, request, timeout_s)


def moving(name: str) -> SimulatedDevice:
    """A simulated device with its usual values."""
    device = SimulatedDevice(load_profile(name))
    SimulatedBehaviour(device)
    return device


def test_no_read_is_made_twice_for_many_profiles(serve_tcp: ServeTcp) -> None:
    """Ten times the profiles cost no read more, and all that fit are found."""
    shipped = [profile for profile in list_profiles() if profile.protocol == "modbus"]
    many = [replace(p, id=f"{p.id}.v{k}") for p in shipped for k in range(10)]
    port = serve_tcp({1: moving("keller.33x"), 2: moving("eastron.sdm630")}).port
    counts = []
    for profiles in (shipped, many):
        with closing(_Counting(port)) as transport:
            found = dict(scan(transport, [1, 2], profiles, 1.0))
            counts.append(sum(transport.asked.values()))
            assert max(transport.asked.values()) <= 2  # the first question, and perhaps a profile's
        for unit, name in ((1, "keller.33x"), (2, "eastron.sdm630")):
            unit_found = found[unit]
            assert unit_found is not None
            assert unit_found.profiles[0].id.startswith(name)
            assert unit_found.untried == 0
    assert counts[0] == counts[1]


class _Shy(SimulatedDevice):
    """Answers the first request only."""

    heard = 0

    def hears(self) -> bool:
        self.heard += 1
        return self.heard == 1


def test_a_unit_that_falls_silent_costs_little(serve_tcp: ServeTcp) -> None:
    """After a few unanswered reads the rest of the profiles is left out, and that is said."""
    shipped = [profile for profile in list_profiles() if profile.protocol == "modbus"]
    many = [
        replace(p, id=f"{p.id}.v{k}", points={
            name: replace(point, address=point.address + 8 * k) for name, point in p.points.items()
        })
        for p in shipped for k in range(8)
    ]  # fmt: skip
    port = serve_tcp({1: _Shy(load_profile("keller.33x"))}).port
    told: list[tuple[int, float]] = []
    began = time.monotonic()
    with closing(_Counting(port)) as transport:
        found = dict(scan(transport, [1], many, 0.1, lambda *done: told.append(done)))
    assert time.monotonic() - began < 5.0
    assert found[1] is not None
    assert found[1].profiles == ()
    assert found[1].untried > 0
    assert sum(transport.asked.values()) <= 8
    assert told == sorted(told)
