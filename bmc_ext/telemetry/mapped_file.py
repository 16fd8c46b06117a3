"""A mapped file of records behind a header that says what they are.

Header of 64 bytes, little-endian: magic (8 bytes), version and record size (u16), capacity (u32),
CRC-32 of these. The pages belong to the kernel as soon as they are written: a killed process loses
nothing.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import zlib
from pathlib import Path

from bmc_ext.errors import StateError

_log = logging.getLogger(__name__)

HEADER_SIZE = 64

_HEADER = struct.Struct("<8sHHI")
_CRC = struct.Struct("<I")


def open_mapped(
    path: Path, *, magic: bytes, version: int, record_bytes: int, capacity: int
) -> mmap.mmap:
    """Map the file, made anew where it is missing or of another layout.

    Raises StateError when it cannot be made, for want of space for instance: its blocks are
    reserved at once, since a full disk under a mapping would kill the process.
    """
    try:
        return _open(path, _HEADER.pack(magic, version, record_bytes, capacity))
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error


def _open(path: Path, fields: bytes) -> mmap.mmap:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = (fields + _CRC.pack(zlib.crc32(fields))).ljust(HEADER_SIZE, b"\0")
    _, _, record_bytes, capacity = _HEADER.unpack(fields)
    length = HEADER_SIZE + capacity * record_bytes
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        found = os.pread(descriptor, HEADER_SIZE, 0)
        if found != header or os.fstat(descriptor).st_size != length:
            if found:
                _log.warning("%s has another layout or is damaged: begun anew", path)
            os.ftruncate(descriptor, 0)
            os.posix_fallocate(descriptor, 0, length)
            os.pwrite(descriptor, header, 0)
        return mmap.mmap(descriptor, length)
    finally:
        os.close(descriptor)
