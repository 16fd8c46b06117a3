"""Wireshark's dissector judges the tests' publisher, and its files are read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import sv_publisher

from bmc_ext.sampling.sampled_values_capture import read_capture
from drivers.waveforms.sampled_values import SampledValues

START_NS = 1_795_636_800_800_000_000
FIELDS = ("vlan.id", "sv.appid", "sv.svID", "sv.smpCnt", "sv.confRev", "sv.smpSynch")
PHASORS = ("sv.meas_value", "sv.meas_quality")
UNITS = (
    (sv_publisher.Unit(), ["", "0x4000", "MU01", "3200", "1", "2"]),
    (
        sv_publisher.Unit(asdus=2, rate=4800, vlan=10, synch=1, conf_rev=7, quality=0x803),
        ["10", "0x4000", "MU01,MU01", "3840,3841", "7,7", "1,1"],
    ),
    (
        sv_publisher.Unit(asdus=8, rate=12800, synch=0, sv_id="A"),
        [
            "", "0x4000", ",".join("A" * 8), ",".join(str(10240 + k) for k in range(8)),
            ",".join("1" * 8), ",".join("0" * 8),
        ],
    ),
)  # fmt: skip

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


def dissect(path: Path, *fields: str) -> list[list[str]]:
    """These fields of each frame."""
    chosen = [option for field in fields for option in ("-e", field)]
    preferences = ["-o", "sv.decode_data_as_phsmeas:TRUE"]
    done = subprocess.run(
        ["tshark", "-r", path, *preferences, "-T", "fields", "-E", "separator=;", *chosen],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line.split(";") for line in done.stdout.splitlines()]


def capture(path: Path, frames: list[tuple[int, bytes]]) -> Path:
    """A pcap file that text2pcap-like tools would write: little-endian, in µs."""
    data = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    for when_ns, raw in frames:
        seconds, ns = divmod(when_ns, 1_000_000_000)
        for value in (seconds, ns // 1000, len(raw), len(raw)):
            data += value.to_bytes(4, "little")
        data += raw
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("unit", "expected"), UNITS, ids=["9-2LE", "61869-9", "256"])
def test_wireshark_reads_what_the_publisher_means(
    tmp_path: Path, unit: sv_publisher.Unit, expected: list[str]
) -> None:
    """Each field and each value of a published frame, and nothing malformed."""
    path = capture(tmp_path / "one.pcap", sv_publisher.frames(unit, START_NS, unit.asdus))
    ((*fields, malformed),) = dissect(path, *FIELDS, "_ws.malformed")
    assert fields == expected
    assert malformed == ""
    ((values, qualities),) = dissect(path, *PHASORS)
    first = round(0.8 * unit.rate)
    sent = [v for k in range(unit.asdus) for v in sv_publisher.values(unit, first + k)]
    assert [int(value) for value in values.split(",")] == sent
    assert {int(quality, 16) for quality in qualities.split(",")} == {unit.quality}


def test_a_capture_that_wireshark_wrote_is_read(tmp_path: Path) -> None:
    """A pcapng file of its own gives the same samples as the pcap that it was made from."""
    plain = capture(tmp_path / "own.pcap", sv_publisher.frames(sv_publisher.Unit(), START_NS, 2000))
    written = tmp_path / "wireshark.pcapng"
    subprocess.run(
        ["tshark", "-r", plain, "-F", "pcapng", "-w", written], check=True, capture_output=True
    )
    ours, theirs = (read_capture(path, SampledValues()) for path in (plain, written))
    assert theirs.start == ours.start
    assert (theirs.waveforms == ours.waveforms).all()
