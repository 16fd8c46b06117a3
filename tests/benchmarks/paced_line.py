"""A Modbus RTU slave on a pty whose bytes take the time that a wire's would.

    python -m tests.benchmarks.paced_line BAUD TURNAROUND_MS

A pty has no baud rate, so the slave keeps the times: it takes a request for complete when its bytes
and the silence after them would have passed, thinks for TURNAROUND_MS, and its answer's last byte
arrives when it would on a wire. It prints the line's path and serves until its stdin ends.
"""

from __future__ import annotations

import os
import select
import struct
import sys
import time
import tty

BITS = 10  # 8N1
_SLOWEST_SPIN_S = 0.0005


def crc(frame: bytes) -> bytes:
    """Bit by bit, as Modbus over Serial Line V1.02 shows it."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return struct.pack("<H", value)


def _until(moment: float) -> None:
    pause_s = moment - time.monotonic() - _SLOWEST_SPIN_S
    if pause_s > 0:
        time.sleep(pause_s)
    while time.monotonic() < moment:
        pass


def serve(baud: int, turnaround_s: float) -> None:
    """Answer every read with registers that hold their number."""
    master, slave = os.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    silence_s = 0.00175 if baud > 19200 else 3.5 * BITS / baud
    while True:
        ready, _, _ = select.select([master, 0], [], [])
        if 0 in ready:
            return
        began = time.monotonic()
        request = os.read(master, 256)
        while len(request) < 8:
            request += os.read(master, 256)
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        body = struct.pack(f">{count}H", *((address + k) & 0xFFFF for k in range(count)))
        answer = bytes((unit, function, 2 * count)) + body
        answer += crc(answer)
        _until(began + silence_s + turnaround_s + (len(request) + len(answer)) * BITS / baud)
        os.write(master, answer)


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]) / 1000.0)
