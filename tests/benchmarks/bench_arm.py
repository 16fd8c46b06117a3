"""Instructions that one three-phase window of 1280 float32 samples takes on a Cortex-A7.

    python -m tests.benchmarks.bench_arm

The core runs under qemu-user one instruction at a time, and each of them is counted: those of two
windows less those of one. Needs arm-linux-gnueabihf-gcc and qemu-arm.
"""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
COMPILER, EMULATOR = "arm-linux-gnueabihf-gcc", "qemu-arm"
UNITS = ("vfpv4-d16", "neon-vfpv4")


def build(unit: str, binary: Path) -> None:
    """`one_window.c` and the core for that floating point unit."""
    arguments = runpy.run_path(str(CSRC / "build_core.py"))["COMPILE_ARGS"]
    sources = [str(path) for path in sorted((CSRC / "src").glob("*.c"))]
    command = [COMPILER, *arguments, "-mcpu=cortex-a7", "-mfloat-abi=hard", f"-mfpu={unit}"]
    command += ["-static", f"-I{CSRC / 'include'}", str(Path(__file__).with_name("one_window.c"))]
    subprocess.run([*command, *sources, "-lm", "-o", str(binary)], check=True)


def executed(binary: Path, windows: int) -> int:
    """Instructions of the whole program: qemu traces each as a block of its own."""
    command = [EMULATOR, "-singlestep", "-d", "exec,nochain", "-D", "/dev/stdout", str(binary)]
    with subprocess.Popen([*command, str(windows)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        return sum(line.startswith(b"Trace") for line in process.stdout)


def main() -> int:
    """Count, and print one line each and one JSON line."""
    for tool in (COMPILER, EMULATOR):
        if not shutil.which(tool):
            print(f"{tool} is not installed: nothing counted", file=sys.stderr)
            return 0
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        for unit in UNITS:
            binary = Path(folder) / unit
            build(unit, binary)
            counts[unit] = executed(binary, 2) - executed(binary, 1)
            print(f"Cortex-A7, {unit}: {counts[unit]:,} instructions a window")
    print(json.dumps({"instructions_per_window": counts}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
