"""The fuzzers' seeds: one small recording of every kind, and damaged ones that once went wrong.

    python -m tests.drivers.waveforms.make_corpus      # from the root; writes corpus/ beside this

`good-*` are read, `bad-*` are refused. What a fuzzer finds is added here, as small as it can be.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from tests.drivers.waveforms import test_comtrade_data, test_csv_file

CORPUS = Path(__file__).with_name("corpus")
SAMPLES = 12


def comtrade(folder: Path) -> None:
    """Every revision in another format, and a combined file."""
    for revision, form in (
        ("1991", "BINARY"), ("1999", "ASCII"), ("2013", "FLOAT32"), ("2013", "BINARY32"),
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as place:
            path = test_comtrade_data.write(Path(place), revision, form, count=SAMPLES, status=1)
            name = f"good-{revision}-{form.lower()}"
            for suffix in (".cfg", ".dat"):
                shutil.copy(path.with_suffix(suffix), folder / f"{name}{suffix}")
    header, data = ((folder / f"good-2013-binary32{s}").read_bytes() for s in (".cfg", ".dat"))
    combined = b"--- file type: CFG ---\r\n" + header
    combined += f"--- file type: DAT BINARY32: {len(data)} ---\r\n".encode() + data
    (folder / "good-2013.cff").write_bytes(combined)
    # A time code of 99 hours is beyond what a time zone can be.
    (folder / "good-zone.cff").write_bytes(combined.replace(b"+5h30,", b"+99,"))
    (folder / "bad-counts.cff").write_bytes(combined.replace(b"5A,1D", b"5A,99999999999D"))


def tables(folder: Path) -> None:
    """Delimiters, decimal signs, kinds of time; and steps of which none is typical."""
    for name, options in (
        ("comma", {}), ("semicolon", {"delimiter": ";", "decimal": ","}),
        ("tab", {"delimiter": "\t"}), ("unix", {"start": 1_772_619_330.0}),
        ("utf16", {"encoding": "utf-16"}),
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as place:
            text = test_csv_file.write(Path(place), **options).read_bytes()
        if name == "utf16":
            lines = text.decode("utf-16").splitlines(keepends=True)[: SAMPLES + 1]
            text = "".join(lines).encode("utf-16")
        else:
            text = b"".join(text.splitlines(keepends=True)[: SAMPLES + 1])
        (folder / f"good-{name}.csv").write_bytes(text)
    iso = "".join(f"2026-03-04T10:15:30.{k:03d}Z;{k};{-k}\n" for k in range(SAMPLES))
    (folder / "good-iso.csv").write_text("utc;VA [V];IA [kA]\n" + iso)
    (folder / "bad-steps.csv").write_text("time [s],VA [V],IA [A]\n0,1,2\n0.001,1,2\n1e12,1,2\n")


def npz(folder: Path) -> None:
    """Stored and packed, and headers that NumPy's parser falls over."""
    arrays = {"voltage": np.ones((3, SAMPLES)), "current": np.ones((3, SAMPLES))}
    np.savez(folder / "good-stored.npz", sample_rate_hz=8000, start_ns=10**18, **arrays)
    np.savez_compressed(folder / "good-packed.npz", sample_rate_hz=8e3, skew_s=[0, 0, 0], **arrays)
    claim = b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 400000000)}\n"
    for name, header in (("nested", b"(" * 300 + b"\n"), ("claim", claim)):
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
            archive.writestr(zipfile.ZipInfo("voltage.npy"), member)
        (folder / f"bad-{name}.npz").write_bytes(content.getvalue())


if __name__ == "__main__":
    CORPUS.mkdir(exist_ok=True)
    comtrade(CORPUS)
    tables(CORPUS)
    npz(CORPUS)
