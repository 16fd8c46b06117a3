"""The C tests on Arm, under qemu-user: a BMC's Cortex-A7 without and with NEON, and 64 bits."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
TESTS = sorted(path.stem for path in (CSRC / "tests").glob("test_*.c"))
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
A7 = ["-mcpu=cortex-a7", "-mfloat-abi=hard"]

MACHINES = {
    "cortex-a7": ("arm-linux-gnueabihf-gcc", [*A7, "-mfpu=vfpv4-d16"], "qemu-arm"),
    "cortex-a7-neon": ("arm-linux-gnueabihf-gcc", [*A7, "-mfpu=neon-vfpv4"], "qemu-arm"),
    "aarch64": ("aarch64-linux-gnu-gcc", [], "qemu-aarch64"),
}


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("machine", MACHINES)
def test_holds_on_arm(machine: str, name: str, tmp_path: Path) -> None:
    """Built as it is shipped, for that processor, every claim of the C tests holds there."""
    compiler, flags, emulator = MACHINES[machine]
    for tool in (compiler, emulator):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    shipped = runpy.run_path(str(CSRC / "build_core.py"))["COMPILE_ARGS"]
    test = CSRC / "tests" / f"{name}.c"
    binary = tmp_path / name
    sources = [str(path) for path in sorted((CSRC / "src").glob("*.c"))]
    command = [compiler, *shipped, *STRICT, *flags, "-static", f"-I{CSRC / 'include'}", str(test)]
    built = subprocess.run(
        [*command, *sources, "-lm", "-o", str(binary)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    ran = subprocess.run(
        [emulator, str(binary)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("ok ") == test.read_text().count("    RUN(") > 0
