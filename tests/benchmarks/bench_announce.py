"""Time of Commands.announce with 1000 workloads known, audit and book on disk included.

    python tests/benchmarks/bench_announce.py [--known N] [--measured N] [--directory DIR]

Prints one JSON object; times are in ms. Goal: p99 at or below 50 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from bmc_ext.clock import SystemClock, iso8601
from bmc_ext.control.commands import Commands
from bmc_ext.domain.power import FeedValues, total_of
from bmc_ext.domain.snapshot import LoopValues, Snapshot
from bmc_ext.security.audit import AuditLog
from bmc_ext.security.identity import identity_of
from bmc_ext.settings import Config, FacilityConfig, FeedConfig, LoopConfig
from bmc_ext.state import StateDirectory
from drivers.engine import Engine
from drivers.reading import Quality, Reading

GOAL_P99_MS = 50.0
LOOPS = 24


class Steady:
    """A campus at 88 MW with all its loops measured."""

    def latest(self) -> Snapshot:
        """The snapshot of now."""
        now_s = SystemClock().unix_ns() / 1e9
        reading = Reading(30.0, "Cel", Quality.OK, now_s, now_s)
        feeds = tuple(
            FeedValues(f"feed_{i}", "waveform", Quality.OK, now_s, p_w=22e6, frequency_hz=50.0)
            for i in range(4)
        )
        loops = tuple(
            LoopValues(f"loop_{i}", "water", Quality.OK, *[reading] * 6, heat_w=3.3e6)
            for i in range(LOOPS)
        )
        return Snapshot(int(now_s * 10) - 1, None, total_of(feeds), feeds, loops, ())


def announcement(number: int) -> dict[str, object]:
    """Small workloads that overlap each other over two days, so that the ledger has many steps."""
    now_s = time.time()
    return {
        "dcpi_version": "1.0",
        "message_type": "workload_announcement",
        "timestamp": iso8601(now_s),
        "workload_id": f"bench-{number}",
        "power_profile": {
            "peak_power_mw": 1.5,
            "baseline_power_mw": 0.2,
            "duration_estimate_sec": 600 + number % 7200,
            "start_time_estimate": iso8601(now_s + 60 + number * 37 % 172_800),
            "flexibility": {
                "can_delay": True,
                "max_delay_sec": 7200,
                "can_throttle": True,
                "min_power_mw": 0.5,
            },
        },
        "thermal_profile": {"heat_generation_mw": 1.4},
    }


def run(directory: Path, known: int, measured: int) -> dict[str, object]:
    """Announce `known` workloads, then time `measured` more."""
    state = StateDirectory(directory)
    audit = AuditLog(directory / "audit")
    commands = Commands(
        config=Config(
            FacilityConfig("campus", "Campus", 250e6, 250e6),
            directory,
            feeds=tuple(FeedConfig(f"feed_{i}", f"Feed {i}", 62.5e6) for i in range(4)),
            loops=tuple(LoopConfig(f"loop_{i}", max_return_c=65.0) for i in range(LOOPS)),
        ),
        clock=SystemClock(),
        state=state,
        audit=audit,
        snapshots=Steady(),
        engine=Engine([]),
    )
    user = identity_of("root", "Administrator")
    times_ms, statuses = [], []
    for number in range(known + measured):
        message = announcement(number)
        begun_s = time.perf_counter()
        body = commands.announce(message, user, f"bench-{number}").body
        if number >= known:
            times_ms.append((time.perf_counter() - begun_s) * 1e3)
            statuses.append(body["approval_status"])
    commands.close()
    audit.close()
    state.close()
    cuts = statistics.quantiles(times_ms, n=100, method="inclusive")
    return {
        "benchmark": "announce",
        "known": known,
        "measured": measured,
        "p50_ms": round(cuts[49], 3),
        "p99_ms": round(cuts[98], 3),
        "max_ms": round(max(times_ms), 3),
        "goal_p99_ms": GOAL_P99_MS,
        "met": cuts[98] <= GOAL_P99_MS,
        "approved": statuses.count("approved"),
    }


def main() -> None:
    """Parse the arguments and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--known", type=int, default=1000)
    parser.add_argument("--measured", type=int, default=500)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; default: temporary")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        print(json.dumps(run(Path(directory), arguments.known, arguments.measured)))


if __name__ == "__main__":
    main()
