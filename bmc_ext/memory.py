"""What the C library does with memory that was given back."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # mallopt(3)
_THRESHOLD_BYTES = 4 * 1024 * 1024


def return_large_blocks() -> None:
    """Have blocks of 4 MiB and more go back to the system as soon as they are freed.

    After the first such block glibc would keep up to twice its size for each thread that ever
    used one (mallopt(3), M_MMAP_THRESHOLD): every password costs argon2 19 MiB. Other C libraries
    have no such call and no such habit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
