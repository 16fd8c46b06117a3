"""The kept inputs of fuzz_sampled_values: one small stream for each liberty that a publisher has.

`python csrc/fuzz/make_corpus.py` writes them. The layout is that of fuzz_frames.h: a header, then
frames, each behind its size and its distance in time.
"""

from __future__ import annotations

import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE / "corpus" / "sampled_values"
GLOBAL, LOCAL, NONE = 2, 1, 0


def element(tag: int, content: bytes, octets: int = 0) -> bytes:
    """One BER element; `octets` forces a long form of its length."""
    size = len(content)
    if not octets and size >= 0x80:
        octets = 1 if size < 0x100 else 2
    length = bytes([0x80 | octets]) + size.to_bytes(octets, "big") if octets else bytes([size])
    return bytes([tag]) + length + content


def asdu(
    count: int, synch: int = GLOBAL, quality: int = 0, channels: int = 8, more: bytes = b""
) -> bytes:
    """One ASDU, its channels counting up."""
    samples = b"".join(struct.pack(">iI", 1000 * count - k, quality) for k in range(channels))
    return element(
        0x30,
        element(0x80, b"MU01") + element(0x82, struct.pack(">H", count)) + more
        + element(0x83, struct.pack(">I", 1)) + element(0x85, bytes([synch]))
        + element(0x87, samples),
    )  # fmt: skip


def frame(
    *asdus: bytes, tag: bytes = b"", padding: int = 0, simulated: bool = False, octets: int = 0
) -> bytes:
    """One Ethernet frame of them."""
    pdu = element(0x80, bytes([len(asdus)])) + element(0xA2, b"".join(asdus), octets)
    apdu = element(0x60, pdu, octets)
    reserved = 0x8000 if simulated else 0
    header = struct.pack(">HHHHH", 0x88BA, 0x4000, 8 + len(apdu), reserved, 0)
    addresses = bytes.fromhex("010ccd040001020000000001")
    return addresses + tag + header + apdu + bytes(padding)


def stream(frames: list[bytes], rate: int = 0, rows: int = 5, options: int = 1) -> bytes:
    """An input of the fuzzer."""
    data = struct.pack("<HHBBBx", 0x4000, 0, options, rate, rows)
    for raw in frames:
        data += struct.pack("<HHBB", len(raw), 250, 0, 0) + raw
    return data


def inputs() -> dict[str, bytes]:
    """Every kept input by its name."""
    eight = [asdu(k) for k in range(8)]
    signed = element(0x60, element(0x80, b"\x01") + element(0xA2, asdu(0)))
    return {
        "wrap": stream([frame(asdu(k % 4000)) for k in (3998, 3999, 4000, 4001)]),
        "eight_asdus": stream([frame(*eight)], rate=2),
        "six_channels": stream([frame(asdu(k, channels=6)) for k in range(3)], rows=2),
        "vlan": stream([frame(asdu(0), tag=bytes.fromhex("8100800a"))]),
        "padding": stream([frame(asdu(0, channels=1), padding=20)], rows=0),
        "long_lengths": stream([frame(asdu(0), octets=4), frame(asdu(1), octets=3)]),
        "optional_fields": stream(
            [
                frame(asdu(0, more=element(0x84, bytes(8)) + element(0x86, b"\x0f\xa0")))
                + element(0x9F, b"")[:1],
                frame(asdu(1, more=b"\xbf\x81\x01\x00" + element(0x88, b"\0\1"))),
            ]
        ),
        "lost_late_restarted": stream(
            [frame(asdu(k, NONE)) for k in (9, 10, 14, 12, 14, 15, 0, 1)]
        ),
        "synchronisation": stream([frame(asdu(20 + k, k % 3)) for k in range(6)]),
        "simulated": stream([frame(asdu(k), simulated=k > 1) for k in range(4)], options=5),
        "quality": stream([frame(asdu(k, quality=1 << k)) for k in range(14)]),
        "beyond_the_rate": stream([frame(asdu(4000 + k, NONE)) for k in range(3)]),
        "signed": stream([frame(asdu(0))[:22] + signed + bytes(16)]),
    }


def write(folder: Path) -> None:
    """Write all of them, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in inputs().items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    write(FOLDER)
