"""`dcpi-bmc serve` over a real recording and an independent Modbus meter."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import comtrade
import numpy as np
import pytest
from e2e.emulator_client import COMMAND, Running, running, wait_for
from free_port import free_port

from bmc_ext.config import load_config

HOME = "/redfish/v1/dcpi"
POWER_W = 7200.0


@contextlib.contextmanager
def meter(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The independent meter, answering on `port`."""
    script = Path(__file__).with_name("modbus_meter.py")
    process = subprocess.Popen([sys.executable, script, str(port), str(POWER_W)])
    try:
        wait_for(lambda: _listens(port), 10, "the meter listens")
        yield process
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def service(tmp_path: Path, shared: Path, port: int) -> Iterator[Running]:
    """The sidecar over generator_1 and the meter, with an account that was set by command."""
    recording = shared / "data" / "comtrade" / "generator_1.cfg"
    config = tmp_path / "service.yaml"
    config.write_text(
        f"""
facility: {{id: bench, rated_power_w: 2.0e+7}}
state_dir: state
devices:
  - {{id: meter-2, profile: eastron.sdm630, target: "tcp://127.0.0.1:{port}"}}
feeds:
  - {{id: feed-1, rated_power_w: 1.9e+7, waveform: {{type: comtrade, path: {recording}}}}}
  - {{id: feed-2, rated_power_w: 2.0e+4, meter: meter-2}}
""",
        encoding="utf-8",
    )
    refused = subprocess.run(
        [COMMAND, "serve", "--config", config, "--port", "0"], capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "--set-password" in refused.stderr
    subprocess.run(
        [COMMAND, "serve", "--config", config, "--set-password", "admin"],
        input="bench-secret\nbench-secret\n",
        text=True,
        check=True,
        capture_output=True,
    )
    with running("serve", "--config", config, "--port", 0) as it:
        it.user, it.password = "admin", "bench-secret"
        yield it


def recorded_power_w(path: Path) -> tuple[float, float]:
    """Lowest and highest three-phase power of any window of the recording, by numpy alone."""
    record = comtrade.load(str(path), str(path.with_suffix(".dat")))
    samples = np.array(record.analog)
    current, voltage = samples[:3], samples[3:6] * 1000.0
    power = (current * voltage).sum(axis=0)
    means = power[: 43 * 576].reshape(43, 576).mean(axis=1)
    return float(means.min()), float(means.max())


def test_recording_and_meter_are_shown_truly(tmp_path: Path, shared: Path) -> None:
    """Feed 1 shows the recording's power, feed 2 the meter's; the meter's death harms only it."""
    port = free_port()
    with service(tmp_path, shared, port) as bmc:
        with meter(port):
            body = wait_for(lambda: whole(bmc), 10, "both feeds are ok")
            feeds = {feed["FeedId"]: feed for feed in body["Feeds"]}
            low_w, high_w = recorded_power_w(shared / "data" / "comtrade" / "generator_1.cfg")
            slack_w = 0.02 * max(abs(low_w), abs(high_w))
            assert low_w - slack_w <= feeds["feed-1"]["PowerWatts"] <= high_w + slack_w
            assert feeds["feed-1"]["FrequencyHz"] == pytest.approx(50, abs=2)
            assert feeds["feed-2"]["PowerWatts"] == pytest.approx(POWER_W)
            assert feeds["feed-2"]["FrequencyHz"] == pytest.approx(50.02, abs=1e-4)
            assert feeds["feed-2"]["EnergyImportkWh"] == pytest.approx(1234.5)
            volts = [phase["VoltageVolts"] for phase in feeds["feed-2"]["Phases"]]
            assert volts == pytest.approx([230, 231, 232])
        wait_for(lambda: quality(bmc, "feed-2") == "comm-error", 1.5, "comm-error")
        assert quality(bmc, "feed-1") == "ok"
        with meter(port):
            wait_for(lambda: quality(bmc, "feed-2") == "ok", 5, "the meter is back")


def whole(bmc: Running) -> dict | None:
    """power/realtime once it is good."""
    answer = bmc.ask("GET", f"{HOME}/power/realtime")
    return answer.body if answer.status == 200 and answer.body["Quality"] == "ok" else None


def quality(bmc: Running, feed_id: str) -> str:
    """The quality of one feed."""
    feeds = bmc.get(f"{HOME}/power/realtime")["Feeds"]
    return next(feed["Quality"] for feed in feeds if feed["FeedId"] == feed_id)


def test_own_chassis_and_manager_are_never_missing(tmp_path: Path, shared: Path) -> None:
    """Without a host BMC the service shows its own Chassis and Manager, and no empty collection."""
    with service(tmp_path, shared, free_port()) as bmc:
        root = bmc.get("/redfish/v1/")
        assert "Systems" not in root
        for name in ("Chassis", "Managers"):
            (member,) = bmc.get(root[name]["@odata.id"])["Members"]
            assert bmc.get(member["@odata.id"])["Id"] == "DCPI"
        control = bmc.get(HOME)["ControlMode"]
        assert control == "observe"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("facility: {id: x}\nstate_dir: s", "facility"),
        ("facility: {id: x, rated_power_w: 1}\nstate_dir: s\ncolour: red", "colour"),
        ("facility: {id: x, rated_power_w: -1}\nstate_dir: s", "facility/rated_power_w"),
        (": :", "not YAML"),
        (
            "facility: {id: x, rated_power_w: 1}\nstate_dir: s\n"
            "feeds: [{id: f, rated_power_w: 1, meter: nowhere}]",
            "nowhere",
        ),
    ],
)
def test_wrong_configuration_is_one_clear_line(tmp_path: Path, text: str, named: str) -> None:
    """A wrong configuration ends with status 2 and one line that names the place."""
    config = tmp_path / "wrong.yaml"
    config.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [COMMAND, "serve", "--config", config], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_example_configuration_is_valid(tmp_path: Path) -> None:
    """What --example prints can be loaded as it is."""
    text = subprocess.run(
        [COMMAND, "serve", "--example"], capture_output=True, text=True, check=True
    ).stdout
    file = tmp_path / "example.yaml"
    file.write_text(text, encoding="utf-8")
    assert [feed.id for feed in load_config(file).feeds] == ["feed-1", "feed-2"]
