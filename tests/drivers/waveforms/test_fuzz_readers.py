"""Damaged recordings and scan types: a result or the readers' own error, in bounded memory.

The corpus is what the writers of the other tests make: one small file of every kind. Each round
damages one and reads it. DCPI_FUZZ_SECONDS is the time for all of them, 15 s without.
"""

from __future__ import annotations

import io
import os
import random
import resource
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.errors import LayoutError, RecordingError
from drivers.waveforms.packed_frames import parse_format, scan_layout
from drivers.waveforms.recording import Recording
from drivers.waveforms.recording_file import read_recording
from tests.drivers.waveforms import test_comtrade_data, test_csv_file

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


@pytest.mark.parametrize("form", ["ASCII", "BINARY", "FLOAT32"])
def test_damaged_comtrade(tmp_path: Path, form: str) -> None:
    """The configuration, then the data, of each revision."""
    headers = []
    for revision in ("1991", "1999", "2013"):
        path = test_comtrade_data.write(tmp_path, revision, form, count=40)
        headers.append(path.read_bytes())
    data = path.with_suffix(".dat")
    content = data.read_bytes()
    fuzz(path, path, headers, SECONDS / 6)
    path.write_bytes(headers[1])
    fuzz(path, data, [content], SECONDS / 6)


def test_damaged_combined_files(tmp_path: Path) -> None:
    """A .cff holds text and bytes in one file."""
    corpus = []
    for form in ("ASCII", "BINARY32"):
        path = test_comtrade_data.write(tmp_path, "2013", form, count=40)
        corpus.append(
            b"--- file type: CFG ---\r\n" + path.read_bytes()
            + f"--- file type: DAT {form}: 99 ---\r\n".encode()
            + path.with_suffix(".dat").read_bytes()
        )  # fmt: skip
    fuzz(tmp_path / "r.cff", tmp_path / "r.cff", corpus, SECONDS)


def test_damaged_tables(tmp_path: Path) -> None:
    """Delimiters, decimal signs and kinds of time."""
    corpus = []
    for options in ({}, {"delimiter": ";", "decimal": ","}, {"start": 1_772_619_330.0}):
        path = test_csv_file.write(tmp_path, **options)
        corpus.append(b"".join(path.read_bytes().splitlines(keepends=True)[:40]))
    iso = "".join(f"2026-03-04T10:15:30.{k:03d}Z;{k};{-k}\n" for k in range(40))
    corpus.append(b"utc;VA [V];IA [kA]\n" + iso.encode())
    corpus.append(corpus[0].decode().encode("utf-16"))
    fuzz(tmp_path / "table.csv", tmp_path / "table.csv", corpus, SECONDS)


def test_damaged_npz(tmp_path: Path) -> None:
    """The archive as a whole, and arrays whose own headers are damaged in a sound archive."""
    arrays = {"voltage": np.ones((3, 40)), "current": np.ones((3, 40)), "sample_rate_hz": 8000,
              "start_ns": 10**18, "skew_s": np.zeros(3)}  # fmt: skip
    stored, packed = io.BytesIO(), io.BytesIO()
    np.savez(stored, **arrays)
    np.savez_compressed(packed, **arrays)
    path = tmp_path / "r.npz"
    fuzz(path, path, [stored.getvalue(), packed.getvalue()], SECONDS / 2)
    with zipfile.ZipFile(stored) as archive:
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
