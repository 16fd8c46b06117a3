"""IIO buffers on a tree of files and a FIFO: right numbers, right places, honest losses."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import LayoutError, TransportError
from drivers.waveforms.block import Block
from drivers.waveforms.iio import IioSource
from tests.drivers.waveforms.iio_tree import Element, make_tree, pack

RATE = 8000
CHANNELS = {"VA": "voltage0", "IA": "current0"}
PLAIN = (
    Element("current0", 0, "be:s24/32>>4", scale=0.5),
    Element("voltage0", 1, "le:u16/16", scale=20.0, offset=-32768.0),
)
STAMP = Element("timestamp", 9, "le:s64/64")


class Feeder:
    """The kernel's side of the FIFO."""

    def __init__(self, fifo: Path, elements: Sequence[Element]) -> None:
        self.elements = [element for element in elements if element.on]
        # Both sides, so that opening does not wait and the reader sees no end before `close`.
        self.descriptor = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)

    def write(self, content: bytes) -> None:
        """Hand these bytes over."""
        assert os.write(self.descriptor, content) == len(content)

    def frames(self, first: int, count: int, epoch_ns: int = 0) -> bytes:
        """Frames whose values tell their number."""
        return b"".join(
            pack(
                self.elements,
                {
                    element.name: {
                        "timestamp": epoch_ns + k * 1_000_000_000 // RATE,
                        "current0": k - 500,
                        "voltage0": 32768 + k,
                    }.get(element.name, 0)
                    for element in self.elements
                },
            )
            for k in range(first, first + count)
        )


@contextlib.contextmanager
def device(
    folder: Path, elements: Sequence[Element] = PLAIN, *, new: bool = True
) -> Iterator[tuple[Path, Feeder]]:
    """A device with its feeder."""
    tree = make_tree(folder, elements, new=new)
    feeder = Feeder(folder / "data", elements)
    yield tree, feeder
    with contextlib.suppress(OSError):
        os.close(feeder.descriptor)


def source_of(tree: Path, **options: object) -> IioSource:
    """The source over that tree."""
    arguments = {"channels": CHANNELS, "data": tree.parent / "data"} | options
    return IioSource(tree, **arguments)


def read_all(source: IioSource) -> list[Block]:
    """The blocks that have come."""
    blocks = []
    while (block := source.read(0.05)) is not None:
        blocks.append(block)
    return blocks


def numbers(blocks: Sequence[Block]) -> list[int]:
    """Index of each sample that came; its value must tell the same frame."""
    indices: list[int] = []
    for block in blocks:
        count = block.samples.shape[1]
        frames = np.rint(block.samples[1] / (0.5 * 1e-3)).astype(int) + 500
        assert block.samples[0] == pytest.approx(frames * 20.0 * 1e-3)
        assert block.samples.flags.c_contiguous
        assert (np.diff(frames) == 1).all()
        indices += range(block.first_index, block.first_index + count)
        assert len(frames) == count
    return indices


@pytest.mark.parametrize("new", [True, False])
def test_frames_become_volts_and_amperes(tmp_path: Path, new: bool) -> None:
    """(raw + offset) · scale in mV and mA, whatever order and format; `buffer0/` and `buffer/`."""
    with device(tmp_path, new=new) as (tree, feeder):
        feeder.write(feeder.frames(0, 300))
        source = source_of(tree)
        before_ns = time.time_ns()
        source.open()
        assert (source.phases, source.sample_rate_hz, tuple(source.skew_s)) == (1, 8000.0, (0.0,))
        blocks = read_all(source)
        assert numbers(blocks) == list(range(300))
        assert blocks[-1].received_ns is not None
        assert 0 <= blocks[-1].received_ns - before_ns < 1_000_000_000
        # Sample 0 was taken 299 intervals before the last one arrived.
        assert blocks[-1].received_ns - source.epoch_ns == pytest.approx(299e9 / RATE, abs=2)
        switches = tree / ("buffer0" if new else "buffer")
        assert (switches / "enable").read_text() == "1\n"
        assert (switches / "length").read_text() == "16000\n"
        source.close()
        assert (switches / "enable").read_text() == "0\n"


def test_what_is_off_is_not_in_the_frame_and_what_is_on_is_skipped(tmp_path: Path) -> None:
    """Mapped elements are switched on; others stay as they are and move the mapped ones."""
    elements = (
        Element("temp", 3, "le:s8/8"),
        *(
            Element(e.name, e.index, e.type, on=False, scale=e.scale, offset=e.offset)
            for e in PLAIN
        ),
        Element("voltage7", 2, "le:s64/64X2", on=False),
    )
    tree = make_tree(tmp_path, elements)
    on = [Element(e.name, e.index, e.type) for e in elements if e.name != "voltage7"]
    feeder = Feeder(tmp_path / "data", on)
    feeder.write(feeder.frames(0, 50))
    source = source_of(tree)
    source.open()
    assert numbers(read_all(source)) == list(range(50))
    assert (tree / "buffer0" / "in_voltage0_en").read_text() == "1\n"
    assert (tree / "buffer0" / "in_voltage7_en").read_text() == "0\n"
    os.close(feeder.descriptor)


def test_bytes_that_come_in_any_pieces_are_never_shifted(tmp_path: Path) -> None:
    """A frame that comes in parts is put together; nothing is made of a part."""
    rng = np.random.default_rng(5)
    with device(tmp_path) as (tree, feeder):
        content = feeder.frames(0, 400)
        source = source_of(tree)
        feeder.write(content[:11])
        source.open()
        blocks = []
        at = 11
        while at < len(content):
            size = int(rng.integers(1, 40))
            feeder.write(content[at : at + size])
            at += size
            block = source.read(0.5)
            blocks += [] if block is None else [block]
        assert numbers(blocks + read_all(source)) == list(range(400))


@pytest.mark.parametrize("stamped", [True, False])
def test_lost_frames_are_a_gap_where_there_are_time_stamps(tmp_path: Path, stamped: bool) -> None:
    """The index jumps over what is missing; without time stamps nothing shows it."""
    elements = (*PLAIN, STAMP) if stamped else PLAIN
    with device(tmp_path, elements) as (tree, feeder):
        epoch_ns = time.time_ns()
        feeder.write(feeder.frames(0, 100, epoch_ns) + feeder.frames(130, 100, epoch_ns))
        source = source_of(tree)
        source.open()
        blocks = read_all(source)
        feeder.write(feeder.frames(231, 60, epoch_ns))
        blocks += read_all(source)
    told = [k for block in blocks for k in range(
        block.first_index, block.first_index + block.samples.shape[1])]  # fmt: skip
    if stamped:
        present = [*range(100), *range(130, 230), *range(231, 291)]
        assert told == present[:-8]  # the last eight wait for what comes after them
        assert source.epoch_ns == epoch_ns
        last = blocks[-1].received_ns
        assert last is not None
        assert abs(last - epoch_ns - 282 * 125_000) < 1000
        assert numbers(blocks) == told
    else:
        assert told == list(range(260))


def test_stamps_of_another_clock_do_not_date_the_samples(tmp_path: Path) -> None:
    """Time since boot is no UTC: the arrival dates the samples, the stamps still find losses."""
    with device(tmp_path, (*PLAIN, STAMP)) as (tree, feeder):
        feeder.write(feeder.frames(0, 50, 5_000_000_000) + feeder.frames(60, 50, 5_000_000_000))
        source = source_of(tree)
        source.open()
        assert abs(source.epoch_ns - time.time_ns()) < 2_000_000_000
        assert numbers(read_all(source)) == [*range(50), *range(60, 102)]


def test_a_device_that_goes_is_a_transport_error_and_may_come_back(tmp_path: Path) -> None:
    """End, silence and absence are named; the source opens again with a new sample 0."""
    with device(tmp_path) as (tree, feeder):
        feeder.write(feeder.frames(0, 20) + b"part")
        source = source_of(tree)
        source.open()
        assert numbers(read_all(source)) == list(range(20))
        os.close(feeder.descriptor)
        with pytest.raises(TransportError, match="no one writes"):
            source.read(0.2)
        with pytest.raises(TransportError, match="silent for 1 s"):
            source.open()
        feeder.descriptor = os.open(tmp_path / "data", os.O_RDWR | os.O_NONBLOCK)
        feeder.write(feeder.frames(0, 20))
        source.open()
        assert numbers(read_all(source)) == list(range(20))
        source.close()
        source.close()
    with pytest.raises(TransportError, match=r"iio:device7.*No such file"):
        source_of(tree.with_name("iio:device7")).open()


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("buffer0/in_voltage0_type", "le:u17/16\n", "in_voltage0_type.*17 bits"),
        ("buffer0/in_voltage0_type", "\xff\xfe", "in_voltage0_type.*sample format"),
        ("buffer0/in_voltage0_type", "le:s16/16X3\n", "3 samples a frame"),
        ("buffer0/in_voltage0_index", "0\n", "current0 and voltage0 have the index 0"),
        ("buffer0/in_voltage0_index", "first\n", "'first' is not a number"),
        ("buffer0/in_timestamp_index", "-1\n", "the time stamp is not the last"),
        ("buffer0/in_timestamp_type", "le:u32/32\n", "is no time stamp"),
        ("in_voltage0_scale", "much\n", "in_voltage0_scale: 'much' is not a number"),
        ("in_voltage0_scale", None, "voltage0 has no scale"),
        ("sampling_frequency", "nan\n", "'nan' is not a number"),
        ("sampling_frequency", "0\n", "a rate of 0 Hz"),
        ("sampling_frequency", None, "no sampling_frequency"),
    ],
)
def test_a_wrong_attribute_is_named(
    tmp_path: Path, file: str, text: str | None, reason: str
) -> None:
    """What cannot be used is named by its file."""
    tree = make_tree(tmp_path, (*PLAIN, STAMP))
    if text is None:
        (tree / file).unlink()
    else:
        (tree / file).write_bytes(text.encode("latin-1"))
    with pytest.raises(LayoutError, match=reason):
        source_of(tree).open()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"channels": {"VA": "voltage0"}}, "lack IA"),
        ({"channels": {"VA": "voltage0", "IB": "current0"}}, "lack IA"),
        ({"channels": {"VA": "voltage0", "V1": "voltage1"}}, "VA and V1 are the same"),
        ({"channels": {"VX": "voltage0"}}, "'VX' is none of"),
        ({"channels": {}}, "lack any phase"),
        ({"channels": {"VA": "voltage0", "IA": "voltage0"}}, "is used twice"),
        ({"channels": {"VA": "voltage0", "IA": "voltage9"}}, "no scan element 'voltage9'"),
        ({"channels": {"VA": "current0", "IA": "voltage0"}}, "it needs a gain"),
        ({"gains": {"VB": 2.0}}, "a gain for VB, which is no channel"),
        ({"rate_hz": 4000.0}, "samples at 8000 Hz, 4000 are configured"),
    ],
)
def test_channels_that_cannot_be_are_refused(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    """A mapping that is no circuit, or contradicts the device, is named."""
    tree = make_tree(tmp_path, PLAIN)
    with pytest.raises(LayoutError, match=reason):
        source_of(tree, **options).open()


def test_scales_are_found_where_the_kernel_puts_them_and_gains_apply(tmp_path: Path) -> None:
    """A scale shared by type; a current measured as a voltage behind a transformer."""
    elements = (Element("voltage0", 0, "le:s16/16", scale=None), Element(
        "voltage1", 1, "le:s16/16", scale=None))  # fmt: skip
    tree = make_tree(tmp_path, elements, rate=None)
    (tree / "in_voltage_scale").write_text("0.25\n")
    descriptor = os.open(tmp_path / "data", os.O_RDWR | os.O_NONBLOCK)
    os.write(descriptor, np.array([[1000, -400]] * 5, "<i2").tobytes())
    source = source_of(
        tree, channels={"V1": "voltage0", "I1": "voltage1"},
        gains={"V1": 801.0, "I1": 200.0}, rate_hz=6400.0,
    )  # fmt: skip
    source.open()
    block = source.read(0.1)
    assert block is not None
    assert block.samples[:, 0] == pytest.approx([0.25 * 801.0, -0.1 * 200.0])
    os.close(descriptor)
