"""The ring against torn records, foreign files and full disks."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.errors import StateError
from bmc_ext.telemetry.record import WindowRecord
from bmc_ext.telemetry.ring import RECORD_DTYPE, Ring, record_of
from drivers.reading import Quality

HEADER = 64


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    """A ring of eight records."""
    ring = Ring(tmp_path / "ring" / "feed.ring", capacity=8)
    yield ring
    ring.close()


def _full(window_id: int) -> WindowRecord:
    return WindowRecord(
        window_id, Quality.OK, 1.5, 1.25, -2.0, 3.0, 0.5, 50.01,
        (230.0, 231.0, 232.0), (1.0, 2.0, 3.0), 1e12, 7.0,
        EnergyRegisters(1.0, 2.0, 3.0, 4.0, 5, 6, 7, 8.0, 17_950_000_000),
    )  # fmt: skip


def test_a_record_comes_back_as_it_was_written(ring: Ring) -> None:
    """Every field of a record is read back, and unknown ones as unknown."""
    ring.append(_full(100))
    assert ring.last() == _full(100)
    ring.append(WindowRecord(101, Quality.COMM_ERROR))
    assert ring.last() == WindowRecord(
        101, Quality.COMM_ERROR, v_rms_v=(None,) * 3, i_rms_a=(None,) * 3
    )
    rows = ring.read()
    assert rows.dtype == RECORD_DTYPE
    assert [record_of(row).window_id for row in rows] == [100, 101]
    assert np.isnan(rows["p_w"][1])


def test_an_empty_ring_has_no_last_record(ring: Ring) -> None:
    """A new ring is empty, not full of zeros."""
    assert ring.last() is None
    assert len(ring.read()) == 0


def test_the_ring_keeps_the_newest_windows_in_order(ring: Ring) -> None:
    """After going round, the newest `capacity` windows are there, and a range selects of them."""
    for window_id in range(100, 121):
        ring.append(_full(window_id))
    assert ring.read()["window_id"].tolist() == list(range(113, 121))
    assert ring.read(115, 118)["window_id"].tolist() == [115, 116, 117]


def test_reopening_continues_where_the_ring_ended(ring: Ring, tmp_path: Path) -> None:
    """A ring that is opened again goes on with the next record."""
    for window_id in range(100, 111):
        ring.append(_full(window_id))
    ring.close()
    again = Ring(tmp_path / "ring" / "feed.ring", capacity=8)
    again.append(_full(111))
    assert again.read()["window_id"].tolist() == list(range(104, 112))
    assert np.all(np.diff(again.read()["sequence"].astype(int)) == 1)
    again.close()


@pytest.mark.parametrize("offset", range(0, RECORD_DTYPE.itemsize, 9))
def test_a_torn_record_is_ignored_and_overwritten(ring: Ring, tmp_path: Path, offset: int) -> None:
    """Whichever byte of the newest record is wrong, the one before it is the last."""
    for window_id in range(100, 104):
        ring.append(_full(window_id))
    path = tmp_path / "ring" / "feed.ring"
    with path.open("r+b") as file:
        file.seek(HEADER + 3 * RECORD_DTYPE.itemsize + offset)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0x55]))
    assert ring.last() == _full(102)
    ring.close()
    again = Ring(path, capacity=8)
    again.append(_full(200))
    assert again.read()["window_id"].tolist() == [100, 101, 102, 200]
    again.close()


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"DCPIRING" + b"\xff" * 5000])
def test_a_foreign_file_is_begun_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of another layout, or none, gives an empty ring that works; the loss is logged."""
    path = tmp_path / "feed.ring"
    path.write_bytes(content)
    ring = Ring(path, capacity=8)
    assert ring.last() is None
    ring.append(_full(1))
    ring.close()
    assert ("begun anew" in caplog.text) == bool(content)


def test_another_capacity_is_another_layout(ring: Ring, tmp_path: Path) -> None:
    """Records are never read at another capacity than they were written with."""
    ring.append(_full(1))
    ring.close()
    other = Ring(tmp_path / "ring" / "feed.ring", capacity=9)
    assert other.last() is None
    other.close()


def test_want_of_space_is_said_at_once(tmp_path: Path) -> None:
    """A file system that cannot hold the ring is one clear error, not a crash later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
    try:
        with pytest.raises(StateError, match=r"feed\.ring: File too large"):
            Ring(tmp_path / "feed.ring", capacity=8)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
