"""`dcpi-bmc serve` over sampled values on a network interface."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import COMMAND, Running, running, wait_for
from veth import Wire

PATH = "/redfish/v1/dcpi/power/realtime"
POWER_W = 3 * 57_735.0 * 100.0 * math.cos(math.radians(30))


def feed(bmc: Running, quality: str) -> dict[str, Any] | None:
    """The one feed once it has this quality."""
    answer = bmc.ask("GET", PATH)
    feeds = answer.body.get("Feeds") if answer.status == 200 else None
    found: dict[str, Any] | None = feeds[0] if feeds else None
    return found if found and found["Quality"] == quality else None


def test_sampled_values_are_shown_as_redfish_resources(tmp_path: Path, wire: Wire) -> None:
    """The true power of a merging unit in power/realtime; its silence is a lost feed."""
    config = tmp_path / "service.yaml"
    config.write_text(
        f"""
facility: {{id: bay, rated_power_w: 2.0e+7}}
state_dir: state
feeds:
  - id: feed-1
    rated_power_w: 1.9e+7
    nominal_hz: 50
    waveform:
      {{type: sampled_values, interface: {wire.near}, stream: BAY1, appid: 0x4007, rate_hz: 4800,
       channels: {{VA: 5, VB: 6, VC: 7, IA: 1, IB: 2, IC: 3}}, current_scale_a: 0.001}}
""",
        encoding="utf-8",
    )
    subprocess.run(
        [COMMAND, "serve", "--config", config, "--set-password", "admin"],
        input="bench-secret\nbench-secret\n", text=True, check=True, capture_output=True,
    )  # fmt: skip
    unit = {"sv_id": "BAY1", "appid": 0x4007, "rate": 4800, "asdus": 2, "vlan": 5}
    with running("serve", "--config", config, "--port", 0) as bmc:
        bmc.user, bmc.password = "admin", "bench-secret"
        with wire.publish(seconds=12.0, **unit) as publisher:
            found = wait_for(lambda: feed(bmc, "ok"), 15, "the feed is ok")
            publisher.kill()
        assert found["PowerWatts"] == pytest.approx(POWER_W, rel=1e-5)
        assert found["FrequencyHz"] == pytest.approx(50, abs=1e-3)
        assert [phase["VoltageVolts"] for phase in found["Phases"]] == pytest.approx(
            [57_735.0] * 3, rel=1e-5
        )
        assert [phase["CurrentAmps"] for phase in found["Phases"]] == pytest.approx(
            [100.0] * 3, rel=1e-4
        )
        lost = wait_for(lambda: feed(bmc, "comm-error"), 5, "the feed is lost")
        assert lost["PowerWatts"] is None
