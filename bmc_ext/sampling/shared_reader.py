"""One thread that reads many open sources, so that their windows are analysed in one call."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from bmc_ext.sampling.window_batch import WindowBatch
from drivers.waveforms.block import Block, WaveformSource

_LOOK_S = 0.2
"""Each source is looked at so often though it sends nothing: it may be lost, or to be stopped."""
_PAUSE_S = 2e-3
"""What arrives within it is read in one turn; events tell of their samples that much later."""
_MOST_BLOCKS = 64
"""Of one source in a turn: one that has much to catch up does not hold up the others."""


@runtime_checkable
class PolledSource(WaveformSource, Protocol):
    """A source whose descriptor tells when there is something to read.

    `read(0.0)` never waits and takes all that makes the descriptor readable.
    """

    def fileno(self) -> int:
        """The open descriptor."""


class Member(Protocol):
    """One whose open source is read here; all is called in the reader's thread."""

    @property
    def is_stopping(self) -> bool:
        """Whether its source is to be read no more."""

    def take(self, block: Block) -> bool:
        """The next block, valid during the call; False when the source is to be opened again."""


class _Followed:
    def __init__(self, member: Member, source: PolledSource) -> None:
        self.member, self.source = member, source
        self.descriptor = source.fileno()
        self.error: Exception | None = None
        self.is_over = False
        self.done = threading.Event()


class SharedReader:
    """Reads sources as they become readable; what they add to `batch` is analysed after each turn.

    The thread lives while it has a source.
    """

    def __init__(self) -> None:
        self.batch = WindowBatch()
        self._lock = threading.Lock()  # guards what follows
        self._joining: list[_Followed] = []
        self._thread: threading.Thread | None = None
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __del__(self) -> None:
        os.close(self._wake)

    def follow(self, member: Member, source: PolledSource) -> None:
        """Read the member's source until it stops or is to be opened again; raises what ended it.

        The caller waits meanwhile.
        """
        followed = _Followed(member, source)
        with self._lock:
            self._joining.append(followed)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sources", daemon=True)
                self._thread.start()
            os.eventfd_write(self._wake, 1)
        followed.done.wait()
        if followed.error is not None:
            raise followed.error

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        members: dict[int, _Followed] = {}
        looked_s = 0.0
        while self._join(poll, members):
            ready = [descriptor for descriptor, _ in poll.poll(_LOOK_S * 1e3)]
            now_s = time.monotonic()
            if now_s - looked_s >= _LOOK_S:
                looked_s, ready = now_s, list(members)
            turn = [members[descriptor] for descriptor in ready if descriptor in members]
            self._turn(turn)
            for over in [entry for entry in turn if entry.is_over]:
                poll.unregister(over.descriptor)
                del members[over.descriptor]
                over.done.set()
            time.sleep(_PAUSE_S)

    def _join(self, poll: select.poll, members: dict[int, _Followed]) -> bool:
        """Take in who waits; False when nobody is left, which ends the thread."""
        with self._lock:
            joining, self._joining = self._joining, []
            if not joining and not members:
                self._thread = None
                return False
            if joining:
                os.eventfd_read(self._wake)
        for entry in joining:
            poll.register(entry.descriptor, select.POLLIN)
            members[entry.descriptor] = entry
        return True

    def _turn(self, ready: Sequence[_Followed]) -> None:
        for entry in ready:
            try:
                entry.is_over = not _read(entry)
            except Exception as error:  # it is the member's, and raised in its own thread
                entry.error, entry.is_over = error, True
        self.batch.complete()


def _read(entry: _Followed) -> bool:
    """All that waits to be read; whether the source goes on."""
    if entry.member.is_stopping:
        return False
    for _ in range(_MOST_BLOCKS):
        block = entry.source.read(0.0)
        if block is None:
            return True
        if not entry.member.take(block):
            return False
    return True
