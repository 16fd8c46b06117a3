"""The C tests on Arm, under qemu-user: a BMC's Cortex-A7 without and with NEON, and 64 bits."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from c_builds import CSRC, STRICT, build

TESTS = sorted(path.stem for path in (CSRC / "tests").glob("test_*.c"))
A7 = ["-mcpu=cortex-a7", "-mfloat-abi=hard"]

MACHINES = {
    "cortex-a7": ("arm-linux-gnueabihf-gcc", [*A7, "-mfpu=vfpv4-d16"], "qemu-arm"),
    "cortex-a7-neon": ("arm-linux-gnueabihf-gcc", [*A7, "-mfpu=neon-vfpv4"], "qemu-arm"),
    "aarch64": ("aarch64-linux-gnu-gcc", [], "qemu-aarch64"),
}


# All on the BMC's processor; on the others the quantities, which use all of the arithmetic.
CASES = [("cortex-a7", name) for name in TESTS]
CASES += [(machine, "test_quantities") for machine in ("cortex-a7-neon", "aarch64")]

SHIPPED = runpy.run_path(str(CSRC / "build_core.py"))["COMPILE_ARGS"]


@pytest.mark.parametrize(("machine", "name"), CASES)
def test_holds_on_arm(machine: str, name: str, tmp_path: Path) -> None:
    """Built as it is shipped, for that processor, every claim of the C tests holds there."""
    compiler, flags, emulator = MACHINES[machine]
    for tool in (compiler, emulator):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    test = CSRC / "tests" / f"{name}.c"
    program = build(
        [test], tmp_path / name, (*STRICT, *SHIPPED, *flags), compiler=compiler, link=("-static",)
    )
    ran = subprocess.run(
        [emulator, program], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("ok ") == test.read_text().count("    RUN(") > 0
