"""A process that writes frames of a known three-phase circuit to a FIFO at true speed.

    python feed_frames.py FIFO RATE SECONDS

Frames are be:s24/32>>4 in the order of an ADE9000 (IA VA IB VB IC VC), then a time stamp in ns
(le:s64/64), with the circuit of the constants below. Packed by struct alone.
"""

from __future__ import annotations

import math
import struct
import sys
import time
from pathlib import Path

FREQUENCY_HZ = 50.0
V_RMS, I_RMS, LAG_RAD = 230.0, 12.0, 0.5
V_PER_COUNT, A_PER_COUNT = 1e-4, 1e-5
POWER_W = 3 * V_RMS * I_RMS * math.cos(LAG_RAD)


def frame(index: int, rate_hz: float, epoch_ns: int) -> bytes:
    """The samples of instant `index`, and when it was."""
    words = []
    for phase in range(3):
        angle = 2 * math.pi * (FREQUENCY_HZ * index / rate_hz - phase / 3)
        current = I_RMS * math.sqrt(2) * math.cos(angle - LAG_RAD) / A_PER_COUNT
        voltage = V_RMS * math.sqrt(2) * math.cos(angle) / V_PER_COUNT
        words += [round(current) << 4, round(voltage) << 4]
    return struct.pack(">6i", *words) + struct.pack("<q", epoch_ns + round(index * 1e9 / rate_hz))


def main(path: str, rate_hz: float, seconds: float) -> None:
    """Write a block every 20 ms."""
    with Path(path).open("wb", buffering=0) as fifo:
        start, epoch_ns = time.monotonic(), time.time_ns()
        count = 0
        while count < rate_hz * seconds:
            due = int((time.monotonic() - start) * rate_hz)
            content = b"".join(frame(k, rate_hz, epoch_ns) for k in range(count, due))
            count = due
            fifo.write(content)
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
