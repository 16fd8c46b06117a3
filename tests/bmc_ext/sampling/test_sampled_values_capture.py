"""Captures of sampled values: every file format, and what a damaged or odd stream reads as."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sv_publisher
from hypothesis import given, settings
from hypothesis import strategies as st

from bmc_ext.sampling import analyze
from bmc_ext.sampling.sampled_values_capture import read_capture
from drivers.errors import RecordingError
from drivers.waveforms.recording import Mark, Recording
from drivers.waveforms.sampled_values import SampledValues

START_NS = 1_795_636_800_800_000_000
ANY = SampledValues()
Sent = list[tuple[int, bytes]]


def sent(seconds: float = 0.5, **unit: Any) -> Sent:
    """Frames of the independent publisher, from 0.8 s behind a UTC second on."""
    made = sv_publisher.Unit(**unit)
    return sv_publisher.frames(made, START_NS, round(seconds * made.rate))


def pcap(frames: Sent, order: str = "<", magic: int = 0xA1B2C3D4, link_type: int = 1) -> bytes:
    """A pcap file: in ns by the magic 0xA1B23C4D."""
    unit_ns = 1 if magic == 0xA1B23C4D else 1000
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for when_ns, raw in frames:
        seconds, ns = divmod(when_ns, 1_000_000_000)
        data += struct.pack(order + "IIII", seconds, ns // unit_ns, len(raw), len(raw)) + raw
    return data


def block(order: str, kind: int, body: bytes) -> bytes:
    """A pcapng block, padded to 32 bits."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def pcapng(frames: Sent, order: str = "<", resolution: int | None = 9, offset_s: int = 0) -> bytes:
    """A pcapng file with an interface that is no Ethernet before the one that is."""
    option = b"" if resolution is None else struct.pack(order + "HHB3x", 9, 1, resolution)
    option += struct.pack(order + "HHqI", 14, 8, offset_s, 0) if offset_s else b""
    units = 1_000_000 if resolution is None else 10**resolution
    if resolution is not None and resolution & 0x80:
        units = 2 ** (resolution & 0x7F)
    data = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    data += block(order, 1, struct.pack(order + "HHI", 113, 0, 65535))
    data += block(order, 1, struct.pack(order + "HHI", 1, 0, 65535) + option)
    data += block(order, 5, bytes(12))  # statistics, to be stepped over
    for when_ns, raw in frames:
        units_since = when_ns * units // 1_000_000_000
        head = struct.pack(
            order + "IIIII", 1, units_since >> 32, units_since & 0xFFFFFFFF, len(raw), len(raw)
        )
        data += block(order, 6, head + raw)
        data += block(order, 6, struct.pack(order + "IIIII", 0, 0, 0, 4, 4) + b"cook")
    return data


def read(folder: Path, data: bytes, wanted: SampledValues = ANY) -> Recording:
    """What the reader makes of a file with these bytes."""
    path = folder / "wire.pcap"
    path.write_bytes(data)
    return read_capture(path, wanted)


def check_true(recording: Recording, first: int = 0, end: int = 400) -> None:
    """One window holds what was sent."""
    part = slice(first, end)
    analysis = analyze(
        recording.voltage[:, part].copy(), recording.current[:, part].copy(),
        recording.sample_rate_hz,
    )  # fmt: skip
    assert math.isclose(analysis.total.p_w, 3 * 57_735 * 100 * math.sqrt(0.75), rel_tol=1e-5)
    assert math.isclose(analysis.frequency_hz, 50, abs_tol=1e-4)


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_frames_lost_where_the_counter_wraps_do_not_change_the_rate(
    tmp_path: Path, lost: int
) -> None:
    """A second that ends early is a gap of the usual rate, not a lower rate."""
    frames = sent(1.6)  # its second ends at sample 800
    recording = read(tmp_path, pcap(frames[: 800 - lost] + frames[800:]))
    assert recording.sample_rate_hz == 4000
    assert recording.waveforms.shape == (6, 6400)
    assert np.isnan(recording.waveforms[0]).sum() == lost


def test_an_unusual_rate_near_a_usual_one_is_found_or_asked_for(tmp_path: Path) -> None:
    """4096 samples/s, 2.4 % from 4000, are told by where the counter wraps, and only by that."""
    assert read(tmp_path, pcap(sent(1.5, rate=4096))).sample_rate_hz == 4096
    with pytest.raises(RecordingError, match="does not tell the rate"):
        read(tmp_path, pcap(sent(0.9, rate=4096)[820:]))


def test_a_second_that_is_lost_whole_is_a_gap(tmp_path: Path) -> None:
    """What the times say of the rate does not hold then; where the counter wraps, does."""
    frames = sent(2.6)
    recording = read(tmp_path, pcap(frames[:1000] + frames[5000:]))
    assert recording.sample_rate_hz == 4000
    assert [mark for mark in recording.marks if mark.flag == "gap"] == [Mark(1000, 5000, "gap")]


def test_time_stamps_may_count_from_an_offset(tmp_path: Path) -> None:
    """Interface option if_tsoffset: seconds that each time stamp lacks."""
    earlier = [(when_ns - 3_600_000_000_000, raw) for when_ns, raw in sent()]
    recording = read(tmp_path, pcapng(earlier, offset_s=3600))
    assert recording.start is not None
    assert recording.start.timestamp() == pytest.approx(START_NS / 1e9, abs=1e-9)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["us", "ns", "ng", "ng ns", "ng 2^-20"])
def test_every_file_format_reads_alike(tmp_path: Path, order: str, kind: str) -> None:
    """Pcap in µs and ns and pcapng, in either byte order: the same samples at the same time."""
    frames = sent()
    if kind.startswith("ng"):
        resolution = {"ng": None, "ng ns": 9, "ng 2^-20": 0x80 | 20}[kind]
        data = pcapng(frames, order, resolution)
    else:
        data = pcap(frames, order, 0xA1B2C3D4 if kind == "us" else 0xA1B23C4D)
    recording = read(tmp_path, data)
    assert recording.waveforms.shape == (6, 2000)
    assert recording.sample_rate_hz == 4000
    assert recording.start is not None
    assert recording.start.timestamp() == pytest.approx(START_NS / 1e9, abs=1e-9)
    assert recording.marks == ()
    check_true(recording, 1234, 1634)


def test_the_reference_capture_has_its_nameplate_values(shared: Path) -> None:
    """400 frames of another project's generator: 100 A, 57 735 V, 50 Hz, unsynchronised."""
    recording = read_capture(shared / "data/sampled-values/sv_9_2le_400f_50Hz.pcap", ANY)
    analysis = analyze(recording.voltage, recording.current, recording.sample_rate_hz)
    assert recording.waveforms.shape == (6, 400)
    assert recording.station == "svID0000"
    assert math.isclose(analysis.frequency_hz, 50.0, abs_tol=1e-5)
    for phase in analysis.phases:
        assert math.isclose(phase.v_rms, 57_735.0, rel_tol=1e-6)
        assert math.isclose(phase.i_rms, 100.0, rel_tol=1e-5)
        assert math.isclose(abs(phase.phi1_deg), 90.0, abs_tol=1e-3)
    assert {mark.flag for mark in recording.marks or ()} == {"unsynchronised"}


def test_lost_samples_are_unknown_and_named(tmp_path: Path) -> None:
    """Lost frames are NaN where they were, a gap in the marks and a number in the notes."""
    recording = read(tmp_path, pcap(sent(lose=[[900, 1000], [1500, 1501]])))
    missing = np.flatnonzero(np.isnan(recording.waveforms).any(axis=0))
    assert missing.tolist() == [*range(900, 1000), 1500]
    assert "101 of 2000 samples are missing" in recording.notes
    assert recording.marks == ((900, 1000, "gap"), (1500, 1501, "gap"))
    check_true(recording, 1000, 1400)
    check_true(recording, 1501, 1901)


def test_a_capture_whose_times_stand_still_is_read_by_its_counter(tmp_path: Path) -> None:
    """With one time for all frames a wrap of smpCnt tells the rate; without a wrap it is asked."""
    still = [(START_NS, raw) for _, raw in sent(lose=[[850, 950]])]
    recording = read(tmp_path, pcap(still))
    assert recording.start is None
    assert recording.sample_rate_hz == 4000
    check_true(recording, 950, 1350)
    assert recording.marks == ((850, 950, "gap"),)
    with pytest.raises(RecordingError, match="give it with --rate"):
        read(tmp_path, pcap(still[:700]))
    check_true(read(tmp_path, pcap(still[:700]), SampledValues(rate_hz=4000)))


def test_times_that_run_faster_than_the_samples_are_not_believed(tmp_path: Path) -> None:
    """Where the stream states another rate than its times, losses are found by the counter."""
    quick = [(START_NS + k * 1000, raw) for k, (_, raw) in enumerate(sent(lose=[[850, 950]]))]
    recording = read(tmp_path, pcap(quick), SampledValues(rate_hz=4000))
    assert any("4000 samples/s are used, but by the" in note for note in recording.notes)
    assert "the times of the capture do not fit the stream and are not used" in recording.notes
    assert recording.marks == ((850, 950, "gap"),)


def test_of_several_streams_one_is_chosen_by_name(tmp_path: Path) -> None:
    """Without a name they are listed; an unknown name is answered by what there is."""
    frames = sorted(sent() + sent(sv_id="MU02", appid=0x4002, i_rms=7.0, asdus=2, channels=6))
    data = pcap(frames)
    with pytest.raises(RecordingError) as several:
        read(tmp_path, data)
    assert "choose one with --stream" in str(several.value)
    assert "'MU01' (APPID 0x4000, 02:00:00:00:00:01" in str(several.value)
    assert "'MU02' (APPID 0x4002" in str(several.value)
    with pytest.raises(RecordingError, match="no stream 'MU3'; there are: 'MU01'"):
        read(tmp_path, data, SampledValues(stream="MU3"))
    second = read(tmp_path, data, SampledValues(stream="MU02"))
    assert second.waveforms.shape == (6, 2000)
    assert np.abs(second.current).max() == pytest.approx(7 * math.sqrt(2), abs=0.01)
    check_true(read(tmp_path, data, SampledValues(stream="MU01")))


def test_channels_and_scales_are_what_the_configuration_says(tmp_path: Path) -> None:
    """One phase with currents and voltages exchanged, in steps of its own."""
    wanted = SampledValues(
        channels={"V1": "1", "I1": "5"}, voltage_scale_v=0.1, current_scale_a=0.002
    )
    recording = read(tmp_path, pcap(sent()), wanted)
    assert recording.waveforms.shape == (2, 2000)
    assert np.abs(recording.voltage).max() == pytest.approx(141421 * 0.1, rel=1e-3)
    assert np.abs(recording.current).max() == pytest.approx(8_164_962 * 0.002, rel=1e-3)
    named = read(tmp_path, pcap(sent()), SampledValues(channels={"VB": "Vb", "IB": "ib"}))
    assert named.pairs[0].v_name == "Vb"
    assert named.current[0].max() == pytest.approx(141.421, rel=1e-3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"GIF89a" + bytes(100), "neither a pcap nor a pcapng file"),
        (b"\x1f\x8b" + bytes(100), "neither a pcap nor a pcapng file"),
        (pcap([])[:20], "ends within its header"),
        (pcap([], link_type=113), "link type 113, not Ethernet"),
        (pcap([]), r"no frames of sampled values \(no frames at all\)"),
        (pcap([(START_NS, bytes(60))]), "1 frames of other protocols"),
        (pcap([(START_NS, sv_publisher.frame(sv_publisher.Unit(), 0, 0)[:70])]), "1 broken"),
        (pcap([]) + struct.pack("<IIII", 1, 1, 1 << 30, 1), "says that it has 1073741824 bytes"),
        (pcapng([])[:30], "no frames at all"),
        (pcapng([]) + struct.pack("<III", 6, 13, 0), "says that it has 13 bytes"),
        (pcapng([]) + block("<", 6, bytes(8)), "is cut"),
        (pcapng([]) + block("<", 6, struct.pack("<5I", 7, 0, 0, 0, 0)), "contradicts itself"),
        (block("<", 0x0A0D0D0A, bytes(16)), "has no byte order"),
        (pcap(sent(simulated=True)), "only simulated frames; --accept simulated"),
        (pcap(sent(channels=8, asdus=1, quality=0), "<")[:-3], None),
    ],
    ids=range(16),
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, data: bytes, reason: str | None) -> None:
    """One clear error each; a capture that was cut off is read as far as it goes."""
    if reason is None:
        assert "the capture ends within a frame" in read(tmp_path, data).notes
        return
    with pytest.raises(RecordingError, match=reason) as refused:
        read(tmp_path, data)
    assert str(refused.value).startswith(str(tmp_path / "wire.pcap"))


def damaged(data: bytes, edits: list[tuple[float, bytes]], keep: float) -> bytes:
    """The bytes with some of them replaced, and their end cut off."""
    broken = bytearray(data)
    for place, patch in edits:
        at = int(place * (len(broken) - 1))
        broken[at : at + len(patch)] = patch
    return bytes(broken[: int(keep * len(broken)) + 1])


EDITS = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=6)
SOURCES = st.sampled_from([pcap(sent(0.01)), pcapng(sent(0.01)), pcapng(sent(0.01), ">", None)])


@settings(max_examples=300, deadline=None)
@given(SOURCES, EDITS, st.floats(0.0, 1.0))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    data: bytes,
    edits: list[tuple[float, bytes]],
    keep: float,
) -> None:
    """A damaged capture gives a recording or a RecordingError, never another end."""
    path = tmp_path_factory.getbasetemp() / "damaged.pcap"
    path.write_bytes(damaged(data, edits, keep))
    try:
        recording = read_capture(path, SampledValues(rate_hz=4000))
    except RecordingError as error:
        if not str(error).startswith(str(path)):
            raise
    else:
        assert recording.waveforms.shape[1] > 0
