"""Any bytes as samples, frames and settings: the C core breaks no promise of its headers."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from c_builds import CSRC, SANITIZED, STRICT, build

GIVEN_S = int(os.environ.get("DCPI_FUZZ_SECONDS", "0"))
OWN_S = GIVEN_S or 1
# What others send us, and what everybody calls, gets most of the time.
LIBFUZZER_S = {"analyze": 15, "cycles": 3, "events": 3, "sampled_values": 15}
# It reads all of them before it goes on by itself, two to three of the slow fuzzers' a second.
SEEDS = {"cycles": 8, "events": 8}
MOST_SEEDS = 50
FRAMES = sorted((CSRC / "fuzz" / "corpus" / "sampled_values").iterdir())
# What makes each fuzzer's inputs, and inputs that are kept.
FUZZERS: dict[str, tuple[str, list[Path]]] = {
    "analyze": ("window_input.c", []),
    "cycles": ("cycles_input.c", []),
    "events": ("events_input.c", []),
    "sampled_values": ("frames_input.c", FRAMES),
}


def fuzz_driver(noun: str, binary: Path) -> str:
    """A fuzzer with the driver of its own, which any compiler builds."""
    names = ("fuzz_main.c", f"fuzz_{noun}.c", FUZZERS[noun][0])
    return build([CSRC / "fuzz" / name for name in names], binary, (*STRICT, *SANITIZED))


@pytest.mark.parametrize("noun", FUZZERS)
def test_any_bytes_end_well(noun: str, tmp_path: Path) -> None:
    """Made inputs and kept ones, many of them damaged, break no promise of the headers."""
    program = fuzz_driver(noun, tmp_path / "fuzz")
    command = [program, str(OWN_S), "1", *map(str, FUZZERS[noun][1])]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=OWN_S + 60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("ok ")


@pytest.mark.skipif(not shutil.which("clang"), reason="clang, for libFuzzer, is not installed")
@pytest.mark.parametrize("noun", FUZZERS)
def test_what_covers_more_ends_well(noun: str, tmp_path: Path) -> None:
    """libFuzzer, which follows the branches from made and kept inputs on, breaks no promise."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seconds = GIVEN_S or LIBFUZZER_S[noun]
    seeds = MOST_SEEDS if GIVEN_S else SEEDS.get(noun, MOST_SEEDS)
    made = fuzz_driver(noun, tmp_path / "made")
    subprocess.run([made, "seeds", corpus, str(seeds)], check=True)
    program = build(
        [CSRC / "fuzz" / f"fuzz_{noun}.c"], tmp_path / "fuzz",
        ("-w", *SANITIZED, "-fsanitize=fuzzer-no-link"),
        compiler="clang", link=("-fsanitize=fuzzer",),
    )  # fmt: skip
    ran = subprocess.run(
        [program, f"-max_total_time={seconds}", "-max_len=65536", "-seed=1", corpus,
         *{path.parent for path in FUZZERS[noun][1]}],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=seconds + 120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-4000:]


def test_kept_frames_are_those_that_the_generator_writes(tmp_path: Path) -> None:
    """csrc/fuzz/corpus is generated, each file is a stream that the decoder takes or refuses."""
    runpy.run_path(str(CSRC / "fuzz" / "make_corpus.py"))["write"](tmp_path)
    fresh = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fresh == {path.name: path.read_bytes() for path in FRAMES}
