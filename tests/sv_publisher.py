"""A merging unit by the standard's text alone: IEC 61850-9-2:2011 clause 8, UCA 9-2LE, 61869-9.

It imports nothing of the project: what it sends is the judge of what the project reads.

    python sv_publisher.py '{"interface": "eth1", "seconds": 2}'

sends at true time from 0.8 s behind the next UTC second on, whose time in ns it prints first.
`lose` and `change` count samples from there.
"""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

SECOND_NS = 1_000_000_000
TICK_NS = 5_000_000
LEAD_NS = 500_000_000
PHASE_NS = 800_000_000


@dataclass
class Unit:
    """What is published: a balanced three-phase system, the current `angle_deg` behind."""

    interface: str = ""
    sv_id: str = "MU01"
    appid: int = 0x4000
    vlan: int | None = None
    source: str = "020000000001"
    rate: int = 4000
    asdus: int = 1
    channels: int = 8
    hz: int = 50
    v_rms: float = 57_735.0
    i_rms: float = 100.0
    angle_deg: float = 30.0
    synch: int = 2
    wrap: int = 0  # 0: at the rate
    offset: int = 0  # added to smpCnt
    quality: int = 0
    simulated: bool = False
    conf_rev: int = 1
    seconds: float = 1.0
    lose: list[list[int]] = field(default_factory=list)
    change: list[list[Any]] = field(default_factory=list)
    garbage: bool = False


def ber(tag: int, content: bytes) -> bytes:
    """Tag, length and value (ITU-T X.690)."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 | octets]) + size.to_bytes(octets, "big") + content


def values(unit: Unit, second_sample: int) -> list[int]:
    """Ia Ib Ic In Va Vb Vc Vn in mA and 10 mV; the wave's phase is 0 at the UTC second."""
    turn = 2 * math.pi * unit.hz * second_sample / unit.rate
    shifts = [0.0, -2 * math.pi / 3, 2 * math.pi / 3]
    late = math.radians(unit.angle_deg)
    amps = [unit.i_rms * math.sqrt(2) * math.cos(turn + s - late) for s in shifts]
    volts = [unit.v_rms * math.sqrt(2) * math.cos(turn + s) for s in shifts]
    neutral = [0.0] if unit.channels == 8 else []
    return [round(a * 1000) for a in amps + neutral] + [round(v * 100) for v in volts + neutral]


def asdu(unit: Unit, smp_cnt: int, second_sample: int) -> bytes:
    """One ASDU: svID, smpCnt, confRev, smpSynch, sample."""
    sample = b"".join(struct.pack(">iI", v, unit.quality) for v in values(unit, second_sample))
    return ber(
        0x30,
        ber(0x80, unit.sv_id.encode()) + ber(0x82, struct.pack(">H", smp_cnt))
        + ber(0x83, struct.pack(">I", unit.conf_rev)) + ber(0x85, bytes([unit.synch]))
        + ber(0x87, sample),
    )  # fmt: skip


def frame(unit: Unit, sample: int, second_sample: int) -> bytes:
    """The Ethernet frame whose first sample has that number and is so far behind the second."""
    wrap = unit.wrap or unit.rate
    asdus = b"".join(
        asdu(unit, (sample + unit.offset + k) % wrap, second_sample + k) for k in range(unit.asdus)
    )
    apdu = ber(0x60, ber(0x80, bytes([unit.asdus])) + ber(0xA2, asdus))
    tag = b"" if unit.vlan is None else struct.pack(">HH", 0x8100, 4 << 13 | unit.vlan)
    header = struct.pack(
        ">HHHHH", 0x88BA, unit.appid, 8 + len(apdu), 0x8000 if unit.simulated else 0, 0
    )
    return bytes.fromhex("010ccd040001" + unit.source) + tag + header + apdu


def frames(unit: Unit, start_ns: int, count: int) -> list[tuple[int, bytes]]:
    """Time in ns and bytes of each frame that is sent, of `count` samples from `start_ns` on."""
    first = round(start_ns % 1_000_000_000 * unit.rate / 1e9)
    changes = sorted(unit.change, key=lambda entry: entry[0])
    sent = []
    for sample in range(0, count, unit.asdus):
        while changes and changes[0][0] <= sample:
            unit = dataclasses.replace(unit, **changes.pop(0)[1])
        if any(begin <= sample < end for begin, end in unit.lose):
            continue
        # A frame leaves when its last sample is taken.
        when_ns = start_ns + round((sample + unit.asdus - 1) * 1e9 / unit.rate)
        sent.append((when_ns, frame(unit, first + sample, first + sample)))
    return sent


def garbage(sent: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Beside every tenth frame one that is cut, one that is no PDU and one of another stream."""
    mixed = []
    for number, (when_ns, raw) in enumerate(sent):
        if number % 10 == 0:
            other = raw.replace(b"MU0", b"XX0")
            mixed += [(when_ns, raw[:60]), (when_ns, raw[:24] + bytes(60)), (when_ns, other)]
        mixed.append((when_ns, raw))
    return mixed


def prepare(unit: Unit) -> list[tuple[int, bytes]]:
    """All frames, timed from a start that is 0.8 s behind a UTC second."""
    sent = frames(unit, PHASE_NS, round(unit.seconds * unit.rate))
    sent = [(when_ns - PHASE_NS, raw) for when_ns, raw in sent]
    return garbage(sent) if unit.garbage else sent


def publish(unit: Unit) -> None:
    """Send at true time, in bursts of 5 ms."""
    sent = prepare(unit)
    start_ns = (time.time_ns() + LEAD_NS) // SECOND_NS * SECOND_NS + PHASE_NS
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((unit.interface, 0))
        print(start_ns, flush=True)
        at = 0
        while at < len(sent):
            now_ns = time.time_ns()
            while at < len(sent) and start_ns + sent[at][0] <= now_ns:
                wire.send(sent[at][1])
                at += 1
            time.sleep(TICK_NS / 1e9)


if __name__ == "__main__":
    publish(Unit(**json.loads(sys.argv[1])))
