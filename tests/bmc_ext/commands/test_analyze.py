"""`dcpi-bmc analyze`: mapping, tables, JSON lines, exit status and good manners in a pipe."""

from __future__ import annotations

import json
import math
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.waveforms.recording_file import read_recording

ROOT = Path(__file__).resolve().parents[3]
COMMAND = (sys.executable, "-c", "from bmc_ext.cli import main; main()", "analyze")
RATE = 4800
PEAK_V, PEAK_I, ANGLE = 20_000.0 * math.sqrt(2), 500.0 * math.sqrt(2), 0.4


def run(
    *arguments: str | Path, check: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit status."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True, text=True, timeout=60, check=False, cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", **environment},
    )  # fmt: skip
    assert done.returncode == check, done.stderr
    return done


def write_recording(folder: Path, seconds: float = 0.35, amplitude: float = 1.0) -> Path:
    """A 50 Hz three-phase recording in ASCII, 20 kV and 500 A, the current 0.4 rad late."""
    count = round(seconds * RATE)
    lines = ["Mill,7,1999", "7,7A,0D"]
    for number, (name, phase, unit, gain) in enumerate(
        [
            ("VA", "A", "kV", 1e-5), ("VB", "B", "kV", 1e-5), ("VC", "C", "kV", 1e-5),
            ("IA", "A", "A", 1e-3), ("IB", "B", "A", 1e-3), ("IC", "C", "A", 1e-3),
            ("IX", "", "A", 1e-3),
        ], start=1,
    ):  # fmt: skip
        lines.append(f"{number},{name},{phase},Feeder 1,{unit},{gain},0,0,-9e6,9e6,1,1,P")
    lines += ["50", "1", f"{RATE},{count}", *["04/03/2026,10:15:30.050000"] * 2, "ASCII", "1", ""]
    (folder / "mill.cfg").write_text("\n".join(lines))
    angle = 2 * np.pi * 50 * np.arange(count) / RATE
    shifts = np.arange(3)[:, None] * 2 * np.pi / 3
    voltage = amplitude * PEAK_V * np.cos(angle - shifts) / 1000 / 1e-5
    current = amplitude * PEAK_I * np.cos(angle - shifts - ANGLE) / 1e-3
    values = np.rint(np.vstack((voltage, current, 2 * current[:1]))).astype(int).T
    rows = [f"{i + 1},{i * 208}," + ",".join(map(str, row)) for i, row in enumerate(values)]
    (folder / "mill.dat").write_text("\n".join(rows) + "\n")
    return folder / "mill.cfg"


def objects(text: str) -> list[dict[str, Any]]:
    """One JSON object a line."""
    return [json.loads(line) for line in text.splitlines()]


def test_the_tables_fit_80_columns_and_tell_the_mapping(tmp_path: Path) -> None:
    """Mapping first, then a table per whole window with phases and total; stderr stays empty."""
    done = run(write_recording(tmp_path))
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    head = done.stdout.split("window 0")[0]
    assert "mill.cfg (Mill)" in head
    assert "4800 S/s, 50 Hz, 0.350 s from 2026-03-04T10:15:30.050000" in head
    for phase, letter in (("L1", "A"), ("L2", "B"), ("L3", "C")):
        assert f"{phase}  V = V{letter}  I = I{letter}" in head
    titles = [line for line in lines if line.startswith("window")]
    assert [title.split()[:3] for title in titles] == [
        ["window", str(k), f"{k / 10:.3f}"] for k in range(3)
    ]
    assert "50.0000 Hz" in titles[0]
    rows = [line.split() for line in lines if line.startswith(("L1", "total"))]
    power_mw = 3 * 20_000 * 500 * math.cos(ANGLE) / 1e6
    assert rows[0][1:3] == ["20.000", "500.00"]
    assert float(rows[0][3]) == pytest.approx(power_mw / 3, rel=1e-4)
    assert rows[0][5] == f"{math.cos(ANGLE):.4f}"
    assert float(rows[1][1]) == pytest.approx(power_mw, rel=1e-4)


def test_json_is_one_object_a_window(tmp_path: Path) -> None:
    """Standard output holds nothing but objects; the mapping goes to standard error."""
    done = run(write_recording(tmp_path), "--json")
    windows = objects(done.stdout)
    assert [window["window"] for window in windows] == [0, 1, 2]
    assert windows[1]["start"] == "2026-03-04T10:15:30.150000"
    assert windows[1]["offset_s"] == 0.1
    assert "V = VA" in done.stderr
    for window in windows:
        assert window["frequency_hz"] == pytest.approx(50.0, abs=1e-3)
        assert window["total"]["p_w"] == pytest.approx(3e7 * math.cos(ANGLE), rel=1e-5)
        assert len(window["phases"]) == 3
        phase = window["phases"][0]
        assert phase["q1_var"] == pytest.approx(1e7 * math.sin(ANGLE), rel=1e-4)
        assert phase["tdd_percent"] is None
        assert {
            "v_rms", "i_rms", "p_w", "p_mean_w", "q1_var", "s_va", "pf", "dpf",
            "thd_v_percent", "thd_i_percent", "v_harmonics_rms", "i_harmonics_rms",
        } <= phase.keys()  # fmt: skip


def test_the_mapping_and_the_window_can_be_told(tmp_path: Path) -> None:
    """`--map` selects channels by name or number and leaves out the rest; windows may be longer."""
    path = write_recording(tmp_path)
    windows = objects(
        run(path, "--json", "--map", "VA=va,IA=IX", "--map", "VB=2,IB=IB", "--window-ms", "200")
        .stdout
    )  # fmt: skip
    assert len(windows) == 1
    assert len(windows[0]["phases"]) == 2
    assert windows[0]["phases"][0]["i_rms"] == pytest.approx(1000.0, rel=1e-4)


def write_others(folder: Path) -> tuple[Path, Path, Path]:
    """The samples of a recording as a table, as a table without times, and as npz."""
    recording = read_recording(write_recording(folder))
    timed, plain, arrays = (folder / name for name in ("mill.csv", "plain.csv", "mill.npz"))
    rows = [",".join(f"{value:.6f}" for value in row) for row in recording.waveforms.T]
    timed.write_text("\n".join([
        "time [s],VA [V],VB [V],VC [V],IA [A],IB [A],IC [A]",
        *(f"{k / RATE:.9f},{row}" for k, row in enumerate(rows)),
    ]))  # fmt: skip
    named = [row.replace(",", ";").replace(".", ",") for row in rows]
    plain.write_text("\n".join(["u1;u2;u3;i1;i2;i3", *named]))
    np.savez(arrays, voltage=recording.voltage, current=recording.current, sample_rate_hz=RATE,
             start_ns=1_772_619_330_050_000_000)  # fmt: skip
    return timed, plain, arrays


def test_tables_and_npz_read_like_the_recording(tmp_path: Path) -> None:
    """The same samples give the same windows, whatever file holds them."""
    timed, plain, arrays = write_others(tmp_path)
    expected = objects(run(tmp_path / "mill.cfg", "--json").stdout)
    for arguments in (
        (timed,),
        (plain, "--rate", str(RATE)),
        (plain, "--rate", str(RATE), "--delimiter", ";", "--decimal", ",",
         "--map", "VA=u1,IA=i1,VB=u2,IB=i2,VC=u3,IC=i3"),
        (arrays,),
    ):  # fmt: skip
        done = run(*arguments, "--json")
        for window, other in zip(objects(done.stdout), expected, strict=True):
            assert window["total"]["p_w"] == pytest.approx(other["total"]["p_w"], rel=1e-9)
            assert window["frequency_hz"] == pytest.approx(other["frequency_hz"], abs=1e-6)
    assert objects(done.stdout)[0]["start"] == "2026-03-04T10:15:30.050000+00:00"
    assert "V = voltage[0]  I = current[0]" in done.stderr
    table = run(plain, "--rate", str(RATE)).stdout
    assert "no unit is stated for u1, u2, u3, i1, i2, i3: taken as V and A" in " ".join(
        table.split()
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--rate", "0"], "--rate"),
        (["--rate", "nan"], "--rate|rate"),
        (["--decimal", ";"], "--decimal"),
        (["--rate", "4800"], "for CSV files alone"),
        (["--map", "VA"], "'VA' is not KEY=CHANNEL"),
        (["--map", "VA=VA,VA=VB"], "VA is given twice"),
        (["--map", "VA=VA,IA=nothing"], "no analog channel 'nothing'"),
        (["--window-ms", "0"], "--window-ms"),
        (["--window-ms", "many"], "--window-ms"),
    ],
)
def test_bad_usage_is_status_2(tmp_path: Path, arguments: list[str], reason: str) -> None:
    """A wrong option is named on standard error; nothing is printed."""
    done = run(write_recording(tmp_path), *arguments, check=2)
    assert re.search(reason, done.stderr)
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["absent.cfg", "table.csv", "words.cfg"])
def test_an_unreadable_file_is_status_2_and_one_line(tmp_path: Path, name: str) -> None:
    """A file that is missing, of another kind or broken gives one line that names it."""
    if name != "absent.cfg":
        (tmp_path / name).write_text("words\n")
    done = run(tmp_path / name, check=2)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert name in done.stderr


def test_nothing_to_analyse_is_status_1(tmp_path: Path) -> None:
    """A recording shorter than a window, or without any signal, ran and found nothing."""
    done = run(write_recording(tmp_path, seconds=0.05), check=1)
    assert "holds 50.0 ms, a window is 100 ms" in done.stderr
    done = run(write_recording(tmp_path, amplitude=0.0), "--json", check=1)
    assert "none holds a voltage of line frequency" in done.stderr
    assert len(objects(done.stdout)) == 3


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    """`analyze … | head -1` ends silently, tables and JSON alike."""
    path = write_recording(tmp_path, seconds=8.0)
    for option in ((), ("--json",)):
        process = subprocess.Popen(
            [*COMMAND, str(path), *option],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait(timeout=60) == 0
        assert "rror" not in said
        assert "Traceback" not in said


def write_long_recording(folder: Path, seconds: int) -> Path:
    """A single-phase 50 Hz recording in FLOAT32, of so many windows that they take their time."""
    rate = 800
    count = seconds * rate
    lines = ["Mill,7,2013", "2,2A,0D", "1,VA,A,,V,1,0,0,-9e9,9e9,1,1,P"]
    lines += ["2,IA,A,,A,1,0,0,-9e9,9e9,1,1,P", "50", "1", f"{rate},{count}"]
    lines += ["04/03/2026,10:15:30.0", "04/03/2026,10:15:30.0", "FLOAT32", "1", "0,0", "0,0", ""]
    (folder / "long.cfg").write_text("\n".join(lines))
    rows = np.zeros(count, [("n", "<u4"), ("t", "<u4"), ("v", "<f4"), ("i", "<f4")])
    rows["n"] = np.arange(1, count + 1)
    rows["v"] = PEAK_V * np.cos(2 * np.pi * 50 * np.arange(count) / rate)
    rows["i"] = rows["v"] / 40
    (folder / "long.dat").write_bytes(rows.tobytes())
    return folder / "long.cfg"


def test_progress_is_shown_on_a_terminal_when_it_takes_long(tmp_path: Path) -> None:
    """On a terminal, what takes longer than a second says so on standard error, and only there."""
    path = write_long_recording(tmp_path, seconds=2400)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(path), "--json"],
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
    assert windows == 24_000
    assert b"reading long.cfg" in said or b"analysing long.cfg" in said


def listen(terminal: int, said: bytearray) -> None:
    """Read a terminal until its other side is closed."""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:
            return


@pytest.mark.parametrize(
    ("name", "windows", "pair", "frequency_hz"),
    [
        ("generator_1", 43, "V = VA_G1  I = IA_G1", 50.0),
        ("generator_2", 23, "V = VA_GC1  I = IA_GC1", 60.0),
        ("transformer_inrush", 60, "V = HV Bus VR  I = HV IR", 60.0),
    ],
)
def test_recordings_of_real_machines(
    shared: Path, name: str, windows: int, pair: str, frequency_hz: float
) -> None:
    """Every whole window of the recorded files is analysed, with the right pair of channels."""
    path = shared / "data" / "comtrade" / f"{name}.cfg"
    done = run(path, "--json")
    found = objects(done.stdout)
    assert len(found) == windows
    assert pair in done.stderr
    first = found[0]
    assert first["frequency_hz"] == pytest.approx(frequency_hz, abs=0.1)
    assert first["total"]["p_w"] > 1e6
    assert all(0.8 < phase["pf"] < 1.0 for phase in first["phases"])
    assert max(map(len, run(path).stdout.splitlines())) <= 80


def test_cycles_are_ten_actual_ones_with_groups(tmp_path: Path) -> None:
    """--cycles prints a table per 10 cycles in 80 columns, --json the same values with groups."""
    recording = write_recording(tmp_path, seconds=1.0)
    lines = run(recording, "--cycles").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    titles = [line for line in lines if line.startswith("10 cycles")]
    assert len(titles) == 4
    assert "200.00 ms  50.0000 Hz" in titles[0]
    assert "THDSv %  THDGv %  THDSi %  THDGi %" in lines[lines.index(titles[0]) + 1]
    first, *others = found = objects(run(recording, "--cycles", "--json").stdout)
    assert [entry["kind"] for entry in found] == ["ten-twelve-cycle"] * 4
    assert first["duration_s"] == pytest.approx(0.2, abs=1e-7)
    assert others[0]["offset_s"] == pytest.approx(first["offset_s"] + 0.2, abs=1e-6)
    assert first["start"].startswith("2026-03-04T10:15:30.1")
    phase = first["phases"][2]
    assert phase["voltage"]["rms"] == pytest.approx(20_000, rel=1e-4)
    assert phase["p_w"] == pytest.approx(1e7 * math.cos(ANGLE), rel=1e-4)
    assert phase["voltage"]["thds_percent"] < 0.01
    assert len(phase["current"]["groups"]) == 51
    assert phase["current"]["groups"][50] is None


def test_too_short_for_ten_cycles_says_so(tmp_path: Path) -> None:
    """Exit status 1 and one line where no interval is whole."""
    done = run(write_recording(tmp_path, seconds=0.2), "--cycles", check=1)
    assert "no interval of 10 or 12 cycles is whole" in done.stderr


def test_a_recorded_generator_shows_its_swell(shared: Path) -> None:
    """20 intervals of a generator's 4.3 s: all near 50 Hz, those with 150 % voltage flagged."""
    recording = shared / "data" / "comtrade" / "generator_1.cfg"
    found = objects(run(recording, "--cycles", "--json").stdout)
    intervals = [entry for entry in found if entry["kind"] == "ten-twelve-cycle"]
    assert len(intervals) == 20
    flagged = [entry["flags"] == ["swell"] for entry in intervals]
    swollen = [max(p["voltage"]["rms"] for p in e["phases"]) > 1.1 * 3483 for e in intervals]
    # A cycle that begins in one interval may end in the next.
    first, last = swollen.index(True), len(swollen) - swollen[::-1].index(True)
    assert flagged in ([first <= k < end for k in range(20)] for end in (last, last + 1))
    for entry, marked in zip(intervals, flagged, strict=True):
        assert entry["frequency_hz"] == pytest.approx(50, abs=0.1)
        distortions = [phase["voltage"]["thds_percent"] for phase in entry["phases"]]
        assert marked or all(0.3 < thds < 1 for thds in distortions)
    (mean,) = [entry for entry in found if entry["kind"] == "three-second-aggregate"]
    assert mean["cycles"] == 150
