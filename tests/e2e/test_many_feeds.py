"""A service with many waveform feeds samples them in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import Running, wait_for
from e2e.test_redundancy import certificate, service, source
from e2e.waveform_source import TRUE_W

POWER = "/redfish/v1/dcpi/power/realtime"
FEEDS = 17


def sampling_process(bmc: Running) -> int | None:
    """The child that samples, by its command line."""
    children = Path(f"/proc/{bmc.process.pid}/task").glob("*/children")
    for pid in " ".join(task.read_text(encoding="ascii") for task in children).split():
        with contextlib.suppress(OSError):
            if "bmc_ext.feeds.child" in Path(f"/proc/{pid}/cmdline").read_text(encoding="ascii"):
                return int(pid)
    return None


def power(bmc: Running) -> Any:
    """The newest window; None before the first."""
    answer = bmc.ask("GET", POWER)
    return answer.body if answer.status == 200 else None


def settled(bmc: Running) -> Any:
    """A window in which all feeds are known."""
    return wait_for(
        lambda: body if (body := power(bmc)) and body["Quality"] == "ok" else None, 20, "all feeds"
    )


def test_many_feeds_are_true_and_outlive_their_process(tmp_path: Path) -> None:
    """Each shows the source's power, one by its certificates; then none does, then each again."""
    for channel in ("IA", "IB", "IC"):
        within = "{from: 1, to: 400, gain: 1.1, uncertainty: {pct_reading: 0.1}}"
        certificate(tmp_path / "calibrations", f"f0/{channel}", "A", within)
    with source(0.0, 1.0) as port:
        feeds = "".join(
            f"  - {{id: f{number}, rated_power_w: 1.0e+5, nominal_hz: 50,"
            f" waveform: {{type: stream, port: {port}}}}}\n"
            for number in range(FEEDS)
        )
        with service(tmp_path, f"feeds:\n{feeds}") as bmc:
            body = settled(bmc)
            assert len(body["Feeds"]) == FEEDS
            powers = [feed["PowerWatts"] / TRUE_W for feed in body["Feeds"]]
            assert powers == pytest.approx([1.1, *[1.0] * (FEEDS - 1)], rel=1e-4)
            assert [len(feed["Calibrations"]) for feed in body["Feeds"]][:2] == [3, 0]
            pid = sampling_process(bmc)
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            lost = wait_for(
                lambda: body if (body := power(bmc))["Quality"] != "ok" else None, 10, "the loss"
            )
            assert {f["PowerWatts"] for f in lost["Feeds"] if f["Quality"] != "ok"} == {None}
            again = settled(bmc)
            assert again["Total"]["PowerWatts"] == pytest.approx((FEEDS + 0.1) * TRUE_W, rel=1e-4)
            counted = again["Feeds"][0]["EnergyRegisters"]
            assert counted["GapSeconds"] > 0.0
            child = sampling_process(bmc)
            assert child not in (None, pid)
            assert bmc.stop() == 0
        assert not Path(f"/proc/{child}").exists()
