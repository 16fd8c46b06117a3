"""`python -m emulator.plant`: runs the plant and prints one JSON line when it is ready."""

from __future__ import annotations

import os

# The products are small: more BLAS threads would only spin beside the devices' own threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys

from emulator.plant.process import main

if __name__ == "__main__":
    sys.exit(main())
