"""`dcpi-bmc serve` over an IIO tree and a FIFO of packed frames, fed by processes at true speed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.emulator_client import COMMAND, Running, running, wait_for

from tests.drivers.waveforms import feed_frames
from tests.drivers.waveforms.iio_tree import Element, make_tree

RATE = 8000
ELEMENTS = (
    *(
        Element(f"{kind}{phase}", 2 * phase + (kind == "voltage"), "be:s24/32>>4", scale=scale)
        for kind, scale in (("current", 0.01), ("voltage", 0.1))
        for phase in range(3)
    ),
    Element("timestamp", 6, "le:s64/64"),
)
KEYS = [f"{quantity}{phase}" for quantity in "VI" for phase in "ABC"]


@contextlib.contextmanager
def feeding(fifo: Path) -> Iterator[None]:
    """The circuit of feed_frames, written to a FIFO by its own process."""
    command = [sys.executable, feed_frames.__file__, str(fifo), str(RATE), "60"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def feeds(bmc: Running) -> dict[str, dict]:
    """The feeds of power/realtime by their id."""
    answer = bmc.ask("GET", "/redfish/v1/dcpi/power/realtime")
    # 503 before the first window is complete.
    assert answer.status in (200, 503), answer
    return {} if answer.status == 503 else {feed["FeedId"]: feed for feed in answer.body["Feeds"]}


def test_frames_are_measured_truly_and_their_end_is_shown(tmp_path: Path) -> None:
    """Both feeds show the circuit's power; a feeder's end is comm-error, its return is good."""
    tree = make_tree(tmp_path, ELEMENTS, rate=str(RATE))
    os.mkfifo(tmp_path / "frames")
    channels = ", ".join(
        f"{key}: {'voltage' if key[0] == 'V' else 'current'}{'ABC'.index(key[1])}" for key in KEYS
    )
    gains = ", ".join(
        f"{key}: {feed_frames.V_PER_COUNT if key[0] == 'V' else feed_frames.A_PER_COUNT:.6f}"
        for key in KEYS
    )
    config = tmp_path / "service.yaml"
    config.write_text(
        f"""
facility: {{id: bench, rated_power_w: 2.0e+4}}
state_dir: state
feeds:
  - id: iio
    rated_power_w: 1.0e+4
    nominal_hz: 50
    waveform: {{type: iio, path: "{tree}", data: data, channels: {{{channels}}}}}
  - id: frames
    rated_power_w: 1.0e+4
    waveform:
      type: frames
      path: frames
      format: be:s24/32>>4
      order: [IA, VA, IB, VB, IC, VC, "-", "-"]
      rate_hz: {RATE}
      gains: {{{gains}}}
""",
        encoding="utf-8",
    )
    subprocess.run(
        [COMMAND, "serve", "--config", config, "--set-password", "admin"],
        input="bench-secret\nbench-secret\n", text=True, check=True, capture_output=True,
    )  # fmt: skip
    with feeding(tmp_path / "frames"), running("serve", "--config", config, "--port", 0) as bmc:
        bmc.user, bmc.password = "admin", "bench-secret"
        with feeding(tmp_path / "data"):
            seen = wait_for(lambda: both_ok(bmc), 15, "both feeds are ok")
        for feed in seen.values():
            assert feed["PowerWatts"] == pytest.approx(feed_frames.POWER_W, rel=1e-4)
            assert feed["FrequencyHz"] == pytest.approx(feed_frames.FREQUENCY_HZ, abs=1e-3)
            volts = [phase["VoltageVolts"] for phase in feed["Phases"]]
            assert volts == pytest.approx([feed_frames.V_RMS] * 3, rel=1e-4)
        gone = wait_for(lambda: iio_is(bmc, "comm-error"), 5, "the end of the feeder")
        assert gone["iio"]["PowerWatts"] is None
        assert gone["frames"]["Quality"] == "ok"
        with feeding(tmp_path / "data"):
            wait_for(lambda: iio_is(bmc, "ok"), 10, "the feeder is back")


def both_ok(bmc: Running) -> dict[str, dict] | None:
    """The feeds once all are good."""
    seen = feeds(bmc)
    return seen if [feed["Quality"] for feed in seen.values()] == ["ok", "ok"] else None


def iio_is(bmc: Running, quality: str) -> dict[str, dict] | None:
    """The feeds once the IIO one has this quality."""
    seen = feeds(bmc)
    return seen if seen["iio"]["Quality"] == quality else None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("format: 'be:s24/12>>4', order: [VA, IA]", "sample format 'be:s24/12>>4': storage"),
        ("format: 'be:s24/32>>4', order: [VA, VB]", "the channels lack IA"),
    ],
)
def test_a_source_that_cannot_be_is_named_with_its_feed(
    tmp_path: Path, source: str, reason: str
) -> None:
    """One line with the feed and what is wrong, and exit status 2."""
    config = tmp_path / "service.yaml"
    config.write_text(f"""
facility: {{id: site, rated_power_w: 1.0e+6}}
state_dir: state
feeds:
  - {{id: hall-1, rated_power_w: 1.0e+6,
     waveform: {{type: frames, path: frames, rate_hz: 8000, gains: {{VA: 1, IA: 1}}, {source}}}}}
""")
    done = subprocess.run(
        [COMMAND, "serve", "--config", config],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"dcpi-bmc: feed hall-1: {reason}")
