"""The cffi definition of `bmc_ext.sampling._core`, in API mode with the stable ABI.

The declarations are the public headers themselves, so the two cannot differ.
"""

from __future__ import annotations

import re
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
SOURCES = sorted(path.name for path in (ROOT / "src").glob("*.c"))
# dcpi_sampling.h first: others include it.
HEADERS = sorted(
    (path.name for path in (ROOT / "include").glob("*.h")),
    key=lambda name: (name != "dcpi_sampling.h", name),
)

# Reassociation lets sums be vectorised; NaN and infinity keep their meaning, unlike -ffast-math.
COMPILE_ARGS = [
    "-std=gnu11",
    "-O3",
    "-fassociative-math",
    "-fno-signed-zeros",
    "-fno-trapping-math",
    "-fno-math-errno",
    "-fvisibility=hidden",
]


def declarations(header: str) -> str:
    """The header without what cffi's parser does not know: directives and the C++ guard."""
    without_guard = re.sub(r"#ifdef __cplusplus.*?#endif", "", header, flags=re.DOTALL)
    return "\n".join(line for line in without_guard.splitlines() if not line.startswith("#"))


ffibuilder = FFI()
for header_name in HEADERS:
    ffibuilder.cdef(declarations((ROOT / "include" / header_name).read_text()))
ffibuilder.set_source(
    "bmc_ext.sampling._core",
    "\n".join(f'#include "{name}"' for name in HEADERS),
    sources=[f"csrc/src/{name}" for name in SOURCES],
    include_dirs=["csrc/include"],
    depends=[
        *(f"csrc/include/{name}" for name in HEADERS),
        *(f"csrc/src/{path.name}" for path in sorted((ROOT / "src").glob("*.h"))),
    ],
    extra_compile_args=COMPILE_ARGS,
    libraries=["m"],
    py_limited_api=True,
)
