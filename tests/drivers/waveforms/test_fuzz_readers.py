"""Damaged recordings and scan types: a result or the readers' own error, in bounded memory.

The corpus is in `corpus/`, made by make_corpus.py: one small file of every kind, and what once went
wrong. Each round damages one and reads it. DCPI_FUZZ_SECONDS is the time for all of them, 15 s
without.
"""

from __future__ import annotations

import os
import random
import resource
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.errors import LayoutError, RecordingError
from drivers.waveforms.packed_frames import parse_format, scan_layout
from drivers.waveforms.recording import Recording
from drivers.waveforms.recording_file import read_recording
from tests.drivers.waveforms.make_corpus import CORPUS

SECONDS = float(os.environ.get("DCPI_FUZZ_SECONDS", "15")) / 5
SEED = int(os.environ.get("DCPI_FUZZ_SEED", "20261125"))
GROWTH_BYTES = 600 << 20
"""More than any corpus file needs, less than the 10 GB that a damaged header may claim."""

TOKENS = [
    b"", b"\0", b"\n", b"\r", b",", b";", b'"', b"-1", b"0", b"99999", b"9" * 30, b"1e308", b"h",
    b"nan", b"inf", b"1_0", b"\xff\xfe", b"\x1a", b"\xc2\x85", b"2013", b"FLOAT32", b"999999A",
    b"10000000000", b"(" * 300, b"T", b":", b"/", b"X", b">>", b"<f8", b"True", b"{", b"PK\x03\x04",
]  # fmt: skip


def damaged(rng: random.Random, content: bytes) -> bytes:
    """A copy with one to six faults: bits, tokens, cuts, doublings, moves."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        # Half the faults are in the header, where they reach furthest.
        at = rng.randrange(min(len(data), 400) + 1) if rng.random() < 0.5 else at
        length = rng.choice([0, 1, 2, 4, 8, rng.randrange(200)])
        kind = rng.randrange(6)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + length] = rng.choice(TOKENS)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = data[at : at + length] * rng.choice([1, 1, 20])
        elif kind == 4:
            data[at : at + length] = rng.randbytes(length)
        elif rng.random() < 0.2:
            del data[at:]
    return bytes(data)


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """Beyond GROWTH_BYTES more of memory, an allocation fails and with it the test."""
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + GROWTH_BYTES, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, limits)


def outcome(path: Path) -> Recording | None:
    """The recording, or None where the reader's own error names the file."""
    try:
        recording = read_recording(path)
    except RecordingError as error:
        text = str(error)
    else:
        assert recording.voltage.shape == recording.current.shape
        assert recording.sample_rate_hz > 0
        assert recording.waveforms.flags.c_contiguous
        return recording
    assert text.startswith(str(path)), text
    return None


def fuzz(path: Path, victim: Path, corpus: list[bytes], seconds: float) -> None:
    """Read `path` with damaged copies of `corpus` as `victim`: some are read, some refused."""
    rng = random.Random(SEED)
    until = time.monotonic() + seconds
    whole = rounds = 0
    while time.monotonic() < until or rounds < 50:
        rounds += 1
        victim.write_bytes(damaged(rng, rng.choice(corpus)))
        began = time.monotonic()
        whole += outcome(path) is not None
        assert time.monotonic() - began < 20
    assert 0 < whole < rounds


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_the_corpus_is_read_or_refused_as_its_names_say(tmp_path: Path, name: str) -> None:
    """`good-*` are recordings, `bad-*` are not."""
    if name.endswith(".dat"):
        name = name.removesuffix(".dat") + ".cfg"
    assert (outcome(CORPUS / name) is not None) == name.startswith("good-")


@pytest.mark.parametrize("name", sorted(path.stem for path in CORPUS.glob("*.cfg")))
def test_damaged_comtrade(tmp_path: Path, name: str) -> None:
    """The configuration, then the data."""
    path, data = tmp_path / "r.cfg", tmp_path / "r.dat"
    header, content = ((CORPUS / f"{name}{s}").read_bytes() for s in (".cfg", ".dat"))
    data.write_bytes(content)
    fuzz(path, path, [header], SECONDS / 8)
    path.write_bytes(header)
    fuzz(path, data, [content], SECONDS / 8)


@pytest.mark.parametrize("suffix", ["cff", "csv", "npz"])
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    """Combined files, tables and archives."""
    path = tmp_path / f"r.{suffix}"
    corpus = [each.read_bytes() for each in sorted(CORPUS.glob(f"*.{suffix}"))]
    fuzz(path, path, corpus, SECONDS * (0.5 if suffix == "npz" else 1.0))


def test_damaged_arrays(tmp_path: Path) -> None:
    """Arrays whose own headers are damaged, in a sound archive."""
    path = tmp_path / "r.npz"
    with zipfile.ZipFile(CORPUS / "good-stored.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    rng = random.Random(SEED)
    until = time.monotonic() + SECONDS / 2
    while time.monotonic() < until:
        with zipfile.ZipFile(path, "w") as archive:
            victim = rng.choice(list(members))
            for name, content in members.items():
                archive.writestr(name, damaged(rng, content) if name == victim else content)
        outcome(path)


def test_damaged_scan_types() -> None:
    """Type strings in any state make a layout that decodes, or a LayoutError."""
    corpus = [b"le:s24/32>>4", b"be:u16/16", b"le:s64/64", b"be:s12/16X2>>4", b"le:f32/32"]
    rng = random.Random(SEED)
    until = time.monotonic() + SECONDS
    made = 0
    while time.monotonic() < until:
        texts = [damaged(rng, text) if rng.random() < 0.5 else text for text in corpus]
        try:
            forms = [parse_format(text.decode("latin-1")) for text in texts]
            layout = scan_layout([(f"c{k}", form) for k, form in enumerate(forms)])
        except LayoutError:
            continue
        rows = layout.rows(rng.randbytes(3 * layout.dtype.itemsize + 1))
        assert len(rows) == 3
        for name, form in layout.formats.items():
            values = layout.values(rows, name)
            if form.kind != "f":
                low = -(2.0 ** (form.bits - 1)) if form.kind == "s" else 0.0
                high = 2.0 ** (form.bits - (form.kind == "s"))
                assert ((low <= values) & (values <= high)).all()
        made += 1
    assert made
