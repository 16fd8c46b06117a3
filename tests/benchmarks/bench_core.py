"""Cost of one three-phase window beside six bare FFTW real FFTs of its length and precision.

    python -m tests.benchmarks.bench_core

The core is built here with gcc, once as it is shipped and once for plain x86-64 without clones;
`core_cost.c` measures both against FFTW (loaded at run time: libfftw3 and libfftw3f) interleaved in
one run and gives medians. pqopen-lib, where it is installed, analyses the same window from Python.
"""

from __future__ import annotations

import ctypes.util
import json
import platform
import runpy
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bmc_ext.sampling import analyze_many

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
BUILDS = {"as shipped": [], "plain": ["-DDCPI_NO_CLONES"]}


def instruction_set() -> str:
    """What the loader can choose from here."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return platform.machine()
    wide = "AVX2 with FMA" if {"avx2", "fma"} <= flags else "its base"
    return f"{platform.machine()}, clones use {wide}"


def build(flags: list[str], binary: Path) -> str:
    """The measuring program with these flags."""
    arguments = runpy.run_path(str(CSRC / "build_core.py"))["COMPILE_ARGS"]
    sources = [str(path) for path in sorted((CSRC / "src").glob("*.c"))]
    command = ["gcc", *arguments, *flags, f"-I{CSRC / 'include'}"]
    command += [str(ROOT / "tests" / "benchmarks" / "core_cost.c"), *sources]
    subprocess.run([*command, "-lm", "-ldl", "-o", str(binary)], check=True)
    return str(binary)


def measure(program: str) -> list[dict[str, float]]:
    """One entry per length and precision: ns per window, ns per six FFTs, their ratio."""
    ran = subprocess.run([program], check=True, capture_output=True, text=True)
    figures = []
    for line in ran.stdout.splitlines():
        samples, size, ours_ns, fftw_ns = (float(word) for word in line.split())
        ratio = round(ours_ns / fftw_ns, 2) if fftw_ns else float("nan")
        figures.append(
            {
                "samples": samples,
                "bits": 8 * size,
                "ns": ours_ns,
                "fftw_ns": fftw_ns,
                "ratio": ratio,
            }
        )
    return figures


def wave(windows: int, samples: int) -> np.ndarray:
    """Three-phase windows of 12.8 kS/s, float32."""
    turns = 50.2 * np.arange(windows * samples) / 12800
    rows = [
        np.cos(2 * np.pi * (turns - k / 3)) + 0.05 * np.cos(10 * np.pi * turns) for k in range(3)
    ]
    noisy = np.array(rows) + np.random.default_rng(1).normal(size=(3, len(turns))) * 1e-4
    cut = noisy.reshape(3, windows, samples).swapaxes(0, 1)
    return np.ascontiguousarray(325 * cut, dtype=np.float32)


def python_ns() -> float:
    """Nanoseconds per window through `analyze_many`, batches of 300 at 12.8 kS/s; median of 21."""
    voltage = wave(300, 1280)
    spent = []
    for _ in range(21):
        begun = time.perf_counter_ns()
        analyze_many(voltage, voltage, 12800)
        spent.append((time.perf_counter_ns() - begun) / len(voltage))
    return float(np.median(spent))


def pqopen_ns() -> float | None:
    """Nanoseconds per window of 1280 in pqopen-lib, per-cycle work included; None without it."""
    try:
        from daqopen.channelbuffer import AcqBuffer
        from pqopen.powersystem import PowerSystem
    except ImportError:
        return None
    windows = 30
    rows = wave(windows, 1280).swapaxes(0, 1).reshape(3, -1)
    spent = []
    for _ in range(5):
        buffers = [AcqBuffer() for _ in range(6)]
        system = PowerSystem(zcd_channel=buffers[0], input_samplerate=12800.0)
        for k in range(3):
            system.add_phase(u_channel=buffers[2 * k], i_channel=buffers[2 * k + 1])
        system.enable_harmonic_calculation()
        begun = time.perf_counter_ns()
        for number in range(windows):
            part = slice(number * 1280, (number + 1) * 1280)
            for k, buffer in enumerate(buffers):
                buffer.put_data(rows[k // 2, part])
            system.process()
        spent.append((time.perf_counter_ns() - begun) / windows)
    return float(np.median(spent))


def main() -> int:
    """Measure, and print a table and one JSON line."""
    for name in ("fftw3", "fftw3f"):
        if not ctypes.util.find_library(name):
            print(f"lib{name} is missing: no ratios of that precision", file=sys.stderr)
    figures: dict[str, object] = {"instruction_set": instruction_set()}
    table = Table(title=f"µs per window, times six FFTW FFTs ({figures['instruction_set']})")
    for column in ("build", "samples", "bits", "window", "six FFTs", "ratio"):
        table.add_column(column)
    with tempfile.TemporaryDirectory() as folder:
        for name, flags in BUILDS.items():
            found = measure(build(flags, Path(folder) / "core_cost"))
            figures[name] = found
            for row in found:
                table.add_row(
                    name, f"{row['samples']:g}", f"{row['bits']:g}", f"{row['ns'] / 1000:.2f}",
                    f"{row['fftw_ns'] / 1000:.2f}", f"{row['ratio']:.2f}",
                )  # fmt: skip
    ours, theirs = python_ns(), pqopen_ns()
    figures["analyze_many_ns"] = round(ours)
    figures["pqopen_ns"] = theirs and round(theirs)
    Console().print(table)
    print(f"analyze_many from Python, N = 1280: {ours / 1000:.1f} µs a window")
    if theirs is None:
        print("pqopen-lib is not installed: not compared")
    else:
        print(f"pqopen-lib: {theirs / 1000:.0f} µs a window, {theirs / ours:.0f} times as much")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
