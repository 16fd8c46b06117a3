"""A ring of the last windows of one feed in a mapped file; survives kill -9.

File layout, little-endian: a header of 64 bytes (magic, version, record size, capacity, CRC-32 of
these), then `capacity` records. Record number n, counted from 1, lies in slot (n - 1) mod capacity
and ends in a CRC-32 of its other bytes, so a record torn by a crash is seen and ignored. The pages
belong to the kernel as soon as they are written: a killed process loses nothing.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.telemetry.mapped_file import HEADER_SIZE, open_mapped
from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Quality

VERSION = 2
"""Version of the file layout; a file of another version is begun anew.

2 holds the registers beside import and export. After a crash under version 1 the windows since the
last commit of the history are lost with its ring, and counted as missing.
"""

DEFAULT_CAPACITY = 6000
"""Windows kept: 10 minutes of 100 ms."""

_MAGIC = b"DCPIRING"
_CRC = struct.Struct("<I")
_REGISTERS = len(EnergyRegisters._fields)
_RECORD = struct.Struct(f"<Qq{14 + _REGISTERS}dI")
_PHASES = 3

RECORD_DTYPE = np.dtype(
    [
        ("sequence", "<u8"),
        ("window_id", "<i8"),
        ("p_w", "<f8"),
        ("p_mean_w", "<f8"),
        ("q_var", "<f8"),
        ("s_va", "<f8"),
        ("pf", "<f8"),
        ("frequency_hz", "<f8"),
        ("v_rms_v", "<f8", (_PHASES,)),
        ("i_rms_a", "<f8", (_PHASES,)),
        ("energy_import_j", "<f8"),
        ("energy_export_j", "<f8"),
        ("registers", "<f8", (_REGISTERS,)),
        ("quality", "<u4"),
        ("crc", "<u4"),
    ]
)
"""One record; NaN is unknown, `registers` in the order of EnergyRegisters' fields (counts are exact
up to 2^53), `quality` an index into QUALITIES."""

QUALITIES = (
    Quality.OK,
    Quality.STALE,
    Quality.ABSENT,
    Quality.OUT_OF_RANGE,
    Quality.COMM_ERROR,
)
"""The code of each quality in a record: its place here. Part of the file layout."""

_SIZE = RECORD_DTYPE.itemsize
_CODES = {quality: code for code, quality in enumerate(QUALITIES)}


class Ring:
    """The last `capacity` windows of one feed. One thread appends; any thread reads.

    Raises StateError when the file cannot be made, for want of space for instance: its blocks are
    reserved at once, since a full disk under a mapping would kill the process.
    """

    def __init__(self, path: Path, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._map = open_mapped(
            path, magic=_MAGIC, version=VERSION, record_bytes=_SIZE, capacity=capacity
        )
        records = self.read()
        self._sequence = int(records["sequence"][-1]) if len(records) else 0

    def append(self, record: WindowRecord) -> None:
        """Write a record over the oldest one."""
        sequence = self._sequence + 1
        body = _RECORD.pack(
            sequence,
            record.window_id,
            _number(record.p_w),
            _number(record.p_mean_w),
            _number(record.q_var),
            _number(record.s_va),
            _number(record.pf),
            _number(record.frequency_hz),
            *_three(record.v_rms_v),
            *_three(record.i_rms_a),
            _number(record.energy_import_j),
            _number(record.energy_export_j),
            *(_number(value) for value in record.registers),
            _CODES[record.quality],
        )
        offset = HEADER_SIZE + (sequence - 1) % self._capacity * _SIZE
        self._map[offset : offset + _SIZE] = body + _CRC.pack(zlib.crc32(body))
        self._sequence = sequence

    def read(
        self, start_window: int | None = None, end_window: int | None = None
    ) -> NDArray[np.void]:
        """A copy of the whole records with start_window <= window_id < end_window, oldest first.

        The order is that of writing. dtype is RECORD_DTYPE.
        """
        stored = self._map[HEADER_SIZE : HEADER_SIZE + self._capacity * _SIZE]
        records = np.frombuffer(stored, RECORD_DTYPE)
        slots = np.arange(self._capacity, dtype=np.uint64)
        wanted = (records["sequence"] - np.uint64(1)) % np.uint64(self._capacity) == slots
        wanted &= records["sequence"] > 0
        if start_window is not None:
            wanted &= records["window_id"] >= start_window
        if end_window is not None:
            wanted &= records["window_id"] < end_window
        whole = [slot for slot in np.flatnonzero(wanted) if _is_whole(stored, int(slot))]
        chosen = records[whole]
        return chosen[np.argsort(chosen["sequence"], kind="stable")]

    def last(self) -> WindowRecord | None:
        """The newest whole record; None in an empty ring."""
        for sequence in range(self._sequence, max(0, self._sequence - self._capacity), -1):
            offset = HEADER_SIZE + (sequence - 1) % self._capacity * _SIZE
            stored = self._map[offset : offset + _SIZE]
            if _is_whole(stored, 0):
                return record_of(np.frombuffer(stored, RECORD_DTYPE)[0])
        return None

    def close(self) -> None:
        """Unmap the file; the ring is unusable afterwards."""
        self._map.close()


def record_of(row: np.void) -> WindowRecord:
    """The record of one row of RECORD_DTYPE; NaN becomes None."""
    return WindowRecord(
        window_id=int(row["window_id"]),
        quality=QUALITIES[int(row["quality"])],
        p_w=_known(row["p_w"]),
        p_mean_w=_known(row["p_mean_w"]),
        q_var=_known(row["q_var"]),
        s_va=_known(row["s_va"]),
        pf=_known(row["pf"]),
        frequency_hz=_known(row["frequency_hz"]),
        v_rms_v=tuple(_known(value) for value in row["v_rms_v"]),
        i_rms_a=tuple(_known(value) for value in row["i_rms_a"]),
        energy_import_j=_known(row["energy_import_j"]),
        energy_export_j=_known(row["energy_export_j"]),
        registers=_registers(row["registers"]),
    )


def _is_whole(stored: bytes, slot: int) -> bool:
    start = slot * _SIZE
    end = start + _RECORD.size
    known_quality = int.from_bytes(stored[end - 4 : end], "little") < len(QUALITIES)
    return known_quality and _CRC.unpack_from(stored, end)[0] == zlib.crc32(stored[start:end])


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _registers(row: NDArray[np.float64]) -> EnergyRegisters:
    q1, q2, q3, q4, missing, invalid, reactive_invalid, time_error, since = map(_known, row)
    return EnergyRegisters(
        q1, q2, q3, q4, _count(missing), _count(invalid), _count(reactive_invalid), time_error,
        _count(since),
    )  # fmt: skip


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)


def _three(values: tuple[float | None, ...]) -> tuple[float, ...]:
    padded = (*values, None, None, None)[:_PHASES]
    return tuple(_number(value) for value in padded)
