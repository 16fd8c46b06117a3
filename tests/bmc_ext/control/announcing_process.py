"""A process that announces workloads until it is killed; prints each answer once it was given."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bmc_ext.clock import SystemClock, iso8601
from bmc_ext.control.commands import Commands
from bmc_ext.domain.power import FeedValues, total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.security.audit import AuditLog
from bmc_ext.security.identity import identity_of
from bmc_ext.settings import Config, FacilityConfig, FeedConfig
from bmc_ext.state import StateDirectory
from drivers.engine import Engine
from drivers.reading import Quality


class Steady:
    """An import of 10 MW, always."""

    def latest(self) -> Snapshot:
        """The snapshot of now."""
        now_s = SystemClock().unix_ns() / 1e9
        feeds = (FeedValues("feed", "meter", Quality.OK, now_s, p_w=10e6),)
        return Snapshot(int(now_s * 10) - 1, None, total_of(feeds), feeds, (), ())


def commands(path: Path) -> Commands:
    """Commands over that state directory."""
    return Commands(
        config=Config(
            FacilityConfig("campus", "Campus", 250e6, 250e6),
            path,
            feeds=(FeedConfig("feed", "Feed", 250e6),),
        ),
        clock=SystemClock(),
        state=StateDirectory(path),
        audit=AuditLog(path / "audit"),
        snapshots=Steady(),
        engine=Engine([]),
    )


def main() -> None:
    """Announce for ever."""
    announced = commands(Path(sys.argv[1]))
    user = identity_of("root", "Administrator")
    for number in range(1_000_000):
        message = {
            "dcpi_version": "1.0",
            "message_type": "workload_announcement",
            "timestamp": iso8601(SystemClock().unix_ns() / 1e9),
            "workload_id": f"w-{number}",
            "power_profile": {"peak_power_mw": 1, "baseline_power_mw": 0.5},
        }
        body = announced.announce(message, user, f"c-{number}").body
        print(json.dumps(body), flush=True)


if __name__ == "__main__":
    main()
