"""Programs of the C core's tests and fuzzers, each together with the library."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

CSRC = Path(__file__).resolve().parents[1] / "csrc"

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
# The loader's choice between clones runs before ASan is ready.
SANITIZED = (
    *("-O1", "-g", "-DDCPI_NO_CLONES"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)


@cache
def library(compiler: str, flags: tuple[str, ...]) -> str:
    """The library as one archive, compiled once for these flags, both cores at work."""
    folder = Path(tempfile.mkdtemp(prefix="dcpi-core-"))
    atexit.register(shutil.rmtree, folder)

    def compiled(source: Path) -> str:
        target = folder / f"{source.stem}.o"
        _compile(compiler, [*flags, "-c", source, "-o", target])
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sorted((CSRC / "src").glob("*.c"))))
    subprocess.run(["ar", "rcs", folder / "core.a", *objects], check=True)
    return str(folder / "core.a")


def build(
    programs: Iterable[Path],
    binary: Path,
    flags: tuple[str, ...],
    *,
    compiler: str = "gcc",
    link: tuple[str, ...] = (),
) -> str:
    """The path of the program made of these sources; `link` are flags the library has not."""
    archive = library(compiler, flags)
    _compile(compiler, [*flags, *link, *programs, archive, "-lm", "-o", binary])
    return str(binary)


def _compile(compiler: str, words: list[str | Path]) -> None:
    command = [compiler, "-std=gnu11", f"-I{CSRC / 'include'}", *map(str, words)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
