"""The C core by itself: its own tests under the sanitizers, and what it is built from."""

from __future__ import annotations

import atexit
import os
import re
import runpy
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest

CSRC = Path(__file__).resolve().parents[2] / "csrc"
TESTS = sorted((CSRC / "tests").glob("test_*.c"))

STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
# The loader's choice between clones runs before ASan is ready.
SANITIZED = ["-O1", "-g", "-DDCPI_NO_CLONES", "-fsanitize=address,undefined"]
NO_RECOVERY = ["-fno-sanitize-recover=all"]
FUZZ_S = int(os.environ.get("DCPI_FUZZ_SECONDS", "2"))
LIBFUZZER_S = 15
FRAMES = sorted((CSRC / "fuzz" / "corpus" / "sampled_values").iterdir())
# What makes each fuzzer's inputs, and inputs that are kept.
FUZZERS: dict[str, tuple[str, list[Path]]] = {
    "analyze": ("window_input.c", []),
    "cycles": ("cycles_input.c", []),
    "events": ("events_input.c", []),
    "sampled_values": ("frames_input.c", FRAMES),
}


@cache
def library(flags: tuple[str, ...]) -> str:
    """The library as one archive, compiled once for these flags, both cores at work."""
    folder = Path(tempfile.mkdtemp(prefix="dcpi-core-"))
    atexit.register(shutil.rmtree, folder)
    command = ["gcc", "-std=gnu11", *STRICT, *flags, f"-I{CSRC / 'include'}", "-c"]

    def compiled(source: Path) -> str:
        target = str(folder / f"{source.stem}.o")
        built = subprocess.run(
            [*command, str(source), "-o", target], capture_output=True, text=True, check=False
        )
        assert built.returncode == 0, built.stderr
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sorted((CSRC / "src").glob("*.c"))))
    subprocess.run(["ar", "rcs", folder / "core.a", *objects], check=True)
    return str(folder / "core.a")


def build(programs: list[str], binary: Path, flags: list[str]) -> str:
    """The path of the program made of these sources together with the library."""
    command = ["gcc", "-std=gnu11", *STRICT, *flags, f"-I{CSRC / 'include'}"]
    built = subprocess.run(
        [*command, *programs, library(tuple(flags)), "-lm", "-o", str(binary)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return str(binary)


def run_built(test: Path, binary: Path, flags: list[str]) -> str:
    """Build one C test together with the library, run it and give back what it printed."""
    program = build([str(test)], binary, flags)
    ran = subprocess.run([program], capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def claims(test: Path) -> int:
    """How many tests the file runs."""
    return len(re.findall(r"^    RUN\(", test.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_holds_under_the_sanitizers(test: Path, tmp_path: Path) -> None:
    """No step beyond memory and no undefined behaviour, whatever the samples hold."""
    output = run_built(test, tmp_path / "test", [*SANITIZED, *NO_RECOVERY])
    assert output.count("ok ") == claims(test) > 0


@pytest.mark.parametrize("test", TESTS, ids=lambda path: path.stem)
def test_holds_as_it_is_shipped(test: Path, tmp_path: Path) -> None:
    """The optimisation of the wheel, reassociated sums and clones included, changes nothing."""
    definition = runpy.run_path(str(CSRC / "build_core.py"))
    output = run_built(test, tmp_path / "test", definition["COMPILE_ARGS"])
    assert output.count("ok ") == claims(test) > 0


def fuzz_driver(noun: str, binary: Path) -> str:
    """A fuzzer with the driver of its own, which any compiler builds."""
    maker = FUZZERS[noun][0]
    names = ("fuzz_main.c", f"fuzz_{noun}.c", maker)
    return build([str(CSRC / "fuzz" / name) for name in names], binary, [*SANITIZED, *NO_RECOVERY])


@pytest.mark.parametrize("noun", FUZZERS)
def test_any_bytes_end_well(noun: str, tmp_path: Path) -> None:
    """Made inputs and kept ones, many of them damaged, break no promise of the headers."""
    program = fuzz_driver(noun, tmp_path / "fuzz")
    command = [program, str(FUZZ_S), "1", *map(str, FUZZERS[noun][1])]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FUZZ_S + 60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("ok ")


@pytest.mark.skipif(not shutil.which("clang"), reason="clang, for libFuzzer, is not installed")
@pytest.mark.parametrize("noun", FUZZERS)
def test_what_covers_more_ends_well(noun: str, tmp_path: Path) -> None:
    """libFuzzer, which follows the branches from made and kept inputs on, breaks no promise."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    subprocess.run([fuzz_driver(noun, tmp_path / "made"), "seeds", corpus, "50"], check=True)
    sources = [str(path) for path in sorted((CSRC / "src").glob("*.c"))]
    flags = [*SANITIZED, *NO_RECOVERY, "-fsanitize=fuzzer", f"-I{CSRC / 'include'}"]
    program = [str(CSRC / "fuzz" / f"fuzz_{noun}.c"), *sources, "-lm", "-o", tmp_path / "fuzz"]
    subprocess.run(["clang", "-std=gnu11", "-w", *flags, *program], check=True)
    seconds = max(FUZZ_S, LIBFUZZER_S)
    ran = subprocess.run(
        [tmp_path / "fuzz", f"-max_total_time={seconds}", "-max_len=65536", "-seed=1", corpus,
         *{path.parent for path in FUZZERS[noun][1]}],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=seconds + 120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]


def test_kept_frames_are_those_that_the_generator_writes(tmp_path: Path) -> None:
    """csrc/fuzz/corpus is generated, each file is a stream that the decoder takes or refuses."""
    runpy.run_path(str(CSRC / "fuzz" / "make_corpus.py"))["write"](tmp_path)
    fresh = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fresh == {path.name: path.read_bytes() for path in FRAMES}


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
