"""`dcpi-bmc analyze` on captures of sampled values."""

from __future__ import annotations

import json
import math
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sv_publisher

from bmc_ext.sampling.sampled_values_capture import read_capture
from drivers.waveforms.sampled_values import SampledValues

ROOT = Path(__file__).resolve().parents[3]
COMMAND = (sys.executable, "-c", "from bmc_ext.cli import main; main()", "analyze")
START_NS = 1_795_636_800_800_000_000
POWER_W = 3 * 57_735.0 * 100.0 * math.cos(math.radians(30))


def run(*arguments: str | Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit status."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
    )  # fmt: skip
    assert done.returncode == check, done.stderr
    return done


def capture(folder: Path, *units: dict[str, Any], repeat: int = 1) -> Path:
    """A pcap file of half a second of these units, its frames perhaps written several times."""
    sent: list[tuple[int, bytes]] = []
    for unit in units:
        made = sv_publisher.Unit(**unit)
        sent += sv_publisher.frames(made, START_NS, made.rate // 2)
    path = folder / "bay.pcap"
    data = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    for when_ns, raw in sorted(sent):
        seconds, ns = divmod(when_ns, 1_000_000_000)
        for value in (seconds, ns // 1000, len(raw), len(raw)):
            data += value.to_bytes(4, "little")
        data += raw
    path.write_bytes(data + data[24:] * (repeat - 1))
    return path


def test_tables_and_mapping_of_a_capture(tmp_path: Path) -> None:
    """Stream, channels and notes first, then a table a window, within 80 columns."""
    done = run(capture(tmp_path, {"lose": [[900, 905]]}))
    lines = done.stdout.splitlines()
    assert lines[0].startswith("recording  bay.pcap (MU01)")
    assert any(line.startswith("channels   L1  V = Va  I = Ia") for line in lines)
    assert "5 of 2000 samples are missing" in done.stdout
    assert done.stderr == ""
    titles = [line for line in lines if line.startswith("window ")]
    assert len(titles) == 5
    assert [title.endswith("gap") for title in titles] == [False, False, True, False, False]
    assert max(map(len, lines)) <= 80


def test_json_of_a_chosen_stream(tmp_path: Path) -> None:
    """Each window's values and time, and what the stream says about its samples."""
    units = ({}, {"sv_id": "MU02", "appid": 2, "rate": 12800, "asdus": 8, "quality": 0x800})
    path = capture(tmp_path, *units)
    refused = run(path, "--json", check=2)
    assert "several streams; choose one with --stream svID or APPID" in refused.stderr
    assert "'MU02' (APPID 0x0002" in refused.stderr
    found = [
        json.loads(line) for line in run(path, "--json", "--stream", "MU01").stdout.split("\n")[:-1]
    ]
    assert len(found) == 5
    for number, window in enumerate(found):
        assert (
            window["start"]
            == f"2026-11-25T20:00:0{(8 + number) // 10}.{(8 + number) % 10}00000+00:00"
        )
        assert window["source_flags"] == []
        assert window["total"]["p_w"] == pytest.approx(POWER_W, rel=1e-5)
    refused = run(path, "--json", "--stream", "MU02", check=1)
    assert "none holds a voltage" in refused.stderr
    done = run(path, "--json", "--stream", "MU02", "--accept", "test")
    tested = [json.loads(line) for line in done.stdout.splitlines()]
    assert [window["source_flags"] for window in tested] == [["test"]] * 5
    assert tested[4]["total"]["p_w"] == pytest.approx(POWER_W, rel=1e-5)


def test_channels_and_steps_may_be_told(tmp_path: Path) -> None:
    """One phase by numbers, in steps of its own."""
    path = capture(tmp_path, {})
    done = run(
        path, "--json", "--map", "VA=5,IA=1", "--voltage-scale", "0.1", "--current-scale", "0.01"
    )
    first = json.loads(done.stdout.splitlines()[0])
    assert first["total"]["p_w"] == pytest.approx(POWER_W / 3 * 100, rel=1e-5)


def test_streams_of_one_name_are_told_apart_by_their_appid(tmp_path: Path) -> None:
    """Two merging units that nobody has named yet."""
    path = capture(tmp_path, {}, {"appid": 0x4A01, "i_rms": 50.0})
    assert "several streams" in run(path, "--stream", "MU01", check=2).stderr
    done = run(path, "--json", "--stream", "0x4a01")
    first = json.loads(done.stdout.splitlines()[0])
    assert first["total"]["p_w"] == pytest.approx(POWER_W / 2, rel=1e-5)
    assert "no stream of APPID 0x0007" in run(path, "--stream", "0x7", check=2).stderr


@pytest.mark.parametrize("step", ["nan", "inf", "0"])
def test_steps_that_are_none_are_refused(tmp_path: Path, step: str) -> None:
    """One line that says what a step is."""
    done = run(capture(tmp_path, {}), "--current-scale", step, check=2)
    assert done.stderr.count("\n") == 1
    assert "a step of current or voltage is a number other than 0" in done.stderr


def test_options_of_other_files_are_refused(tmp_path: Path) -> None:
    """What a kind of file has no use for is not ignored."""
    path = capture(tmp_path, {})
    assert "--decimal is for CSV files" in run(path, "--decimal", ",", check=2).stderr
    assert "--stream is for captures" in run(tmp_path / "a.cfg", "--stream", "X", check=2).stderr


def test_the_reference_capture(shared: Path) -> None:
    """The generated capture's nameplate: 57 735 V, 100 A, 50 Hz, one window."""
    path = shared / "data" / "sampled-values" / "sv_9_2le_400f_50Hz.pcap"
    (line,) = run(path, "--json").stdout.splitlines()
    window = json.loads(line)
    assert window["frequency_hz"] == pytest.approx(50, abs=1e-5)
    for phase in window["phases"]:
        assert phase["v_rms"] == pytest.approx(57_735, rel=1e-6)
        assert phase["i_rms"] == pytest.approx(100, rel=1e-5)
    assert window["source_flags"] == ["unsynchronised"]


def test_reading_tells_how_far_it_is(tmp_path: Path) -> None:
    """Bytes done of all bytes, rising to the end, in two passes."""
    seen: list[tuple[int, int]] = []
    path = capture(tmp_path, {}, repeat=10)
    read_capture(path, SampledValues(rate_hz=4000), lambda done, size: seen.append((done, size)))
    assert len(seen) > 6
    assert seen == sorted(seen)
    assert seen[-1] == (2 * path.stat().st_size, 2 * path.stat().st_size)


def test_a_long_capture_shows_progress_on_a_terminal(tmp_path: Path) -> None:
    """Beyond a second a bar on stderr; the windows on stdout stay whole."""
    path = capture(tmp_path, {}, repeat=300)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(path), "--json", "--rate", "4000"],
        stdout=subprocess.PIPE, stderr=slave, cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(slave)
    said = bytearray()
    listener = threading.Thread(target=listen, args=(master, said))
    listener.start()
    assert process.stdout is not None
    windows = process.stdout.read().count(b"\n")
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    listener.join(timeout=10)
    os.close(master)
    assert windows > 1000
    assert b"reading bay.pcap" in said


def listen(terminal: int, said: bytearray) -> None:
    """Read a terminal until its other side is closed."""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:
            return
