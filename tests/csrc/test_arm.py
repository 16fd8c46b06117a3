"""The C tests on Arm, under qemu-user: a BMC's Cortex-A7 without and with NEON, and 64 bits."""

from __future__ import annotations

import runpy
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
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


# All on the BMC's processor; on the others the quantities, which use all of the arithmetic.
CASES = [("cortex-a7", name) for name in TESTS]
CASES += [(machine, "test_quantities") for machine in ("cortex-a7-neon", "aarch64")]

SHIPPED = runpy.run_path(str(CSRC / "build_core.py"))["COMPILE_ARGS"]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """The library's objects for a machine, compiled once."""

    @cache
    def compiled(machine: str) -> list[str]:
        compiler, flags, emulator = MACHINES[machine]
        for tool in (compiler, emulator):
            if not shutil.which(tool):
                pytest.skip(f"{tool} is not installed")
        folder = tmp_path_factory.mktemp(machine)
        sources = [str(path) for path in sorted((CSRC / "src").glob("*.c"))]
        command = [compiler, *SHIPPED, *STRICT, *flags, f"-I{CSRC / 'include'}", "-c", *sources]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        return [str(path) for path in sorted(folder.glob("*.o"))]

    return compiled


@pytest.mark.parametrize(("machine", "name"), CASES)
def test_holds_on_arm(
    machine: str, name: str, tmp_path: Path, objects: Callable[[str], list[str]]
) -> None:
    """Built as it is shipped, for that processor, every claim of the C tests holds there."""
    linked = objects(machine)
    compiler, flags, emulator = MACHINES[machine]
    test, binary = CSRC / "tests" / f"{name}.c", tmp_path / name
    command = [compiler, *SHIPPED, *STRICT, *flags, "-static", f"-I{CSRC / 'include'}", str(test)]
    built = subprocess.run(
        [*command, *linked, "-lm", "-o", str(binary)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    ran = subprocess.run(
        [emulator, str(binary)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("ok ") == test.read_text().count("    RUN(") > 0
