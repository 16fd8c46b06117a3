"""A campus to command: real books, audit log and schemas; clock and measurements are fakes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.clock import iso8601
from bmc_ext.control.commands import Commands
from bmc_ext.domain.power import FeedValues, total_of
from bmc_ext.domain.snapshot import LoopValues, Snapshot
from bmc_ext.domain.workload import PowerOrder
from bmc_ext.security.audit import AuditLog
from bmc_ext.security.identity import Identity, identity_of
from bmc_ext.settings import Config, FacilityConfig, FeedConfig, LoopConfig
from bmc_ext.state import StateDirectory
from drivers.engine import Engine
from drivers.reading import Quality, Reading

NOW_S = 1_800_000_000.0
FEEDS = 4
LOOPS = 24


class ManualClock:
    """A clock that only a test moves; a sleep moves it too."""

    def __init__(self) -> None:
        self.now_s = NOW_S

    def unix_ns(self) -> int:
        """UTC in nanoseconds."""
        return round(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        """Seconds."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.now_s += seconds


class Measured:
    """The newest snapshot, as a test sets it: import in W, dead feeds and dead loops."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.power_w = 88e6
        self.frequency_hz = 50.01
        self.dead_feeds: set[str] = set()
        self.dead_loops: set[str] = set()
        self.loop_ids = tuple(f"loop_{i}" for i in range(LOOPS))
        self.age_s = 0.0
        self.nothing = False

    def latest(self) -> Snapshot | None:
        """The snapshot of now."""
        if self.nothing:
            return None
        at_s = self.clock.now_s - self.age_s
        feeds = tuple(self._feed(f"feed_{i}", at_s) for i in range(FEEDS))
        loops = tuple(_loop(name, at_s, name in self.dead_loops) for name in self.loop_ids)
        return Snapshot(int(at_s * 10) - 1, None, total_of(feeds), feeds, loops, ())

    def _feed(self, feed_id: str, at_s: float) -> FeedValues:
        if feed_id in self.dead_feeds:
            return FeedValues(feed_id, "meter", Quality.COMM_ERROR)
        return FeedValues(
            feed_id,
            "waveform",
            Quality.OK,
            at_s,
            p_w=self.power_w / FEEDS,
            frequency_hz=self.frequency_hz,
        )


def _loop(loop_id: str, at_s: float, dead: bool) -> LoopValues:
    quality = Quality.COMM_ERROR if dead else Quality.OK
    reading = Reading(None if dead else 30.1, "Cel", quality, at_s, at_s)
    heat_w = None if dead else 80e6 / LOOPS
    return LoopValues(loop_id, "water", quality, *[reading] * 6, heat_w=heat_w)


class Sink:
    """Who runs the workloads: remembers what it was told, or fails while it is `broken`."""

    def __init__(self) -> None:
        self.orders: dict[str, PowerOrder] = {}
        self.removed: list[str] = []
        self.broken = False

    def on_workload(self, order: PowerOrder) -> None:
        """Remember the order."""
        if self.broken:
            raise ConnectionError("nobody there")
        self.orders[order.workload_id] = order

    def on_removed(self, workload_id: str) -> None:
        """Remember the end."""
        if self.broken:
            raise ConnectionError("nobody there")
        self.removed.append(workload_id)
        self.orders.pop(workload_id, None)


class Bench:
    """Commands over a campus of 250 MW in a state directory; `restart` is a new process over it."""

    def __init__(self, path: Path, clock: ManualClock) -> None:
        self.path = path
        self.clock = clock
        self.measured = Measured(clock)
        self.sink = Sink()
        self.user: Identity = identity_of("root", "Administrator")
        self.config = Config(
            FacilityConfig("campus", "Campus", 250e6, 250e6, 0.06),
            path,
            control="act",
            feeds=tuple(FeedConfig(f"feed_{i}", f"Feed {i}", 62.5e6) for i in range(FEEDS)),
            loops=tuple(LoopConfig(f"loop_{i}", max_return_c=65.0) for i in range(LOOPS)),
        )
        self.devices = Engine([])
        self.commands: Commands
        self._open: list[Callable[[], None]] = []

    def start(self, **changes: Any) -> Commands:
        """Start over the state directory, with the configuration changed so."""
        self.config = replace(self.config, **changes)
        state = StateDirectory(self.path)
        audit = AuditLog(self.path / "audit", clock=self.clock)
        self.commands = Commands(
            config=self.config,
            clock=self.clock,
            state=state,
            audit=audit,
            snapshots=self.measured,
            engine=self.devices,
            sink=self.sink,
        )
        self._open = [self.commands.close, audit.close, state.close]
        return self.commands

    def stop(self) -> None:
        """End in good order."""
        for close in self._open:
            close()
        self._open = []

    def start_again_after_failure(self) -> Commands:
        """Start over what is on disk when the commands are closed already."""
        self._open = self._open[1:]
        return self.restart()

    def restart(self) -> Commands:
        """Stop and start again over what is on disk."""
        self.stop()
        return self.start()

    def announce(self, workload_id: str, peak_mw: float = 40, **profile: Any) -> dict[str, Any]:
        """Announce and return the answer's body."""
        message = self.announcement(workload_id, peak_mw, **profile)
        return self.commands.announce(message, self.user, "c-1").body

    def train(self, workload_id: str = "t", peak_mw: float = 100, min_mw: float = 40) -> None:
        """Let a training run from now for ten hours that can throttle."""
        flexibility = {"can_throttle": True, "min_power_mw": min_mw}
        body = self.announce(
            workload_id, peak_mw, duration_estimate_sec=36000, flexibility=flexibility
        )
        assert body["approval_status"] == "approved"
        self.tick(1)
        self.measured.power_w += peak_mw * 1e6 * 1.06
        self.tick(1)

    def announcement(self, workload_id: str, peak_mw: float = 40, **profile: Any) -> dict[str, Any]:
        """An announcement of one hour from now."""
        return {
            "dcpi_version": "1.0",
            "message_type": "workload_announcement",
            "timestamp": iso8601(self.clock.now_s),
            "workload_id": workload_id,
            "power_profile": {
                "peak_power_mw": peak_mw,
                "baseline_power_mw": 0,
                "duration_estimate_sec": 3600,
                **profile,
            },
        }

    def demand_response(self, event_id: str, **changes: Any) -> dict[str, Any]:
        """A reduction of 10 MW for two hours, a minute from now."""
        return {
            "dcpi_version": "1.0",
            "message_type": "demand_response_request",
            "timestamp": iso8601(self.clock.now_s),
            "event_id": event_id,
            "event_type": "load_reduction",
            "start_time": iso8601(self.clock.now_s + 60),
            "duration_hours": 2,
            "target_reduction_mw": 10,
            **changes,
        }

    def signal(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send it to grid/signal and return the answer's body."""
        return self.commands.grid_signal(message, self.user, "c-2").body

    def grid_signal(self, signal_id: str, **members: Any) -> dict[str, Any]:
        """A grid_signal with these members."""
        return {
            "dcpi_version": "1.0",
            "message_type": "grid_signal",
            "timestamp": iso8601(self.clock.now_s),
            "signal_id": signal_id,
            **members,
        }

    def tick(self, seconds: float = 0.0) -> None:
        """Let the time pass and the control tick run."""
        self.clock.now_s += seconds
        self.commands.tick(self.clock.now_s)

    def audit_entries(self) -> list[dict[str, Any]]:
        """The audit log so far."""
        text = (self.path / "audit" / "audit.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A campus in act mode, started."""
    made = Bench(tmp_path / "state", ManualClock())
    made.start()
    yield made
    made.stop()
