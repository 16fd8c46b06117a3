"""How long one thread of a process may keep the others waiting."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

_SWITCH_S = 0.0001
_GC_THRESHOLD = (700, 10, 1000)  # objects and younger collections; by default the last is 10


@contextlib.contextmanager
def short_pauses() -> Iterator[None]:
    """No thread is kept from the interpreter for long.

    Whoever waits for it gets it after a tenth of a millisecond, not after five: a request asks for
    it several times, the samplers do some thousand times a second. What was built at the start is
    no garbage: to look through it takes 50 ms. Nor do windows and answers hold rings of references:
    what has stayed is looked through a hundred times less often than by default.
    """
    sys.setswitchinterval(_SWITCH_S)
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()  # after a restart it is
