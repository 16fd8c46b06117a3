"""kill -9 at random moments, again and again: what was answered is there, and nothing else is."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

from e2e.emulator_client import Running, emulator, wait_for
from e2e.test_endpoints import announcement

ROUNDS = int(os.environ.get("DCPI_SOAK_ROUNDS", "20"))
HOME = "/redfish/v1/dcpi"


def test_random_kills_lose_no_answer(tmp_path: Path) -> None:
    """Every decision that reached the client survives; energy never falls; the audit log holds."""
    seed = int(time.time())
    print(f"seed {seed}")
    chance = random.Random(seed)
    answered: dict[str, str] = {}
    energy_kwh = 0.0
    for turn in range(ROUNDS):
        with emulator(tmp_path) as bmc:
            wait_for(lambda: hall_energy_kwh(bmc) is not None, 15, "hall_1 is measured")
            assert (hall_energy_kwh(bmc) or 0.0) >= energy_kwh
            for workload_id, status in answered.items():
                record = bmc.get(f"{HOME}/workloads/{workload_id}")
                assert record["ApprovalStatus"] == status
            end = time.monotonic() + chance.uniform(0.2, 3.0)
            while time.monotonic() < end:
                workload_id = f"kill-{turn}-{len(answered)}"
                message = announcement(workload_id, 0.01, in_s=3600)
                answer = bmc.ask("POST", f"{HOME}/workload/announce", message)
                answered[workload_id] = answer.body["approval_status"]
            energy_kwh = max(energy_kwh, hall_energy_kwh(bmc) or 0.0)
            bmc.kill()


def hall_energy_kwh(bmc: Running) -> float | None:
    """The running total of hall 1's feed."""
    answer = bmc.ask("GET", f"{HOME}/power/realtime")
    if answer.status != 200:
        return None
    feed = next(feed for feed in answer.body["Feeds"] if feed["FeedId"] == "hall_1")
    energy: float | None = feed["EnergyImportkWh"]
    return energy
