"""The C core by itself: its own tests under the sanitizers, and what it is built from."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_builds import CSRC, SANITIZED, STRICT, build

TESTS = sorted((CSRC / "tests").glob("test_*.c"))


def run_built(test: Path, binary: Path, flags: tuple[str, ...]) -> str:
    """Build one C test together with the library, run it and give back what it printed."""
    program = build([test], binary, (*STRICT, *flags))
    ran = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def claims(test: Path) -> int:
    """How many tests the file runs."""
    return len(re.findall(r"^    RUN\(", test.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_holds_under_the_sanitizers(test: Path, tmp_path: Path) -> None:
    """No step beyond memory and no undefined behaviour, whatever the samples hold."""
    output = run_built(test, tmp_path / "test", SANITIZED)
    assert output.count("ok ") == claims(test) > 0


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_holds_as_it_is_shipped(test: Path, tmp_path: Path) -> None:
    """The optimisation of the wheel, reassociated sums and clones included, changes nothing."""
    definition = runpy.run_path(str(CSRC / "build_core.py"))
    output = run_built(test, tmp_path / "test", tuple(definition["COMPILE_ARGS"]))
    assert output.count("ok ") == claims(test) > 0


@pytest.mark.skipif(not shutil.which("cppcheck"), reason="cppcheck is not installed")
def test_cppcheck_finds_nothing() -> None:
    """No warning, and no doubt about performance or portability."""
    checks = "--enable=warning,performance,portability"
    folders = [str(CSRC / name) for name in ("src", "fuzz", "tests")]
    command = ["cppcheck", "-q", "--std=c11", checks, f"-I{CSRC / 'include'}", *folders]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_uses_no_heap_and_no_standard_streams(tmp_path: Path) -> None:
    """The library asks its caller for all memory: it imports nothing but mathematics."""
    sources = [str(path) for path in sorted((CSRC / "src").glob("*.c"))]
    linked = tmp_path / "core.o"
    flags = ["-O2", "-DDCPI_NO_CLONES", "-r", "-nostdlib", f"-I{CSRC / 'include'}"]
    subprocess.run(["gcc", *flags, *sources, "-o", str(linked)], check=True)
    listing = subprocess.run(
        ["nm", "--undefined-only", str(linked)], capture_output=True, text=True, check=True
    ).stdout
    imported = {line.split()[-1] for line in listing.splitlines()}
    mathematics = {"atan2", "ceil", "cos", "floor", "fmax", "fmin", "hypot", "log", "lrint"}
    mathematics |= {"exp", "frexp", "ldexp", "pow", "rint", "sin", "sincos", "sqrt", "sqrtf", "tan"}
    runtime = {"memcmp", "memcpy", "memmove", "memset", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
    assert imported <= mathematics | runtime


def test_tables_are_those_that_the_generator_writes() -> None:
    """src/tables.h is generated: text alike, numbers alike to rounding."""
    number = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
    written = (CSRC / "src" / "tables.h").read_text()
    fresh = runpy.run_path(str(CSRC / "make_tables.py"))["tables"]()
    assert number.sub("", written).split() == number.sub("", fresh).split()
    values = [np.array([float(n) for n in number.findall(text)]) for text in (written, fresh)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6, atol=1e-12)
