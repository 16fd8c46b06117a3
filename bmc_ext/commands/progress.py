"""What a terminal's stderr shows of work that takes longer than a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Timer

from rich.console import Console
from rich.progress import Progress


@contextmanager
def spinner_when_slow(text: str, patience: float) -> Iterator[None]:
    """Show on a terminal's stderr that work goes on after `patience` (monotonic time)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    status = console.status(text)
    timer = Timer(patience - time.monotonic(), status.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


@contextmanager
def bar_when_slow(text: str, patience: float) -> Iterator[Callable[[int, int], None]]:
    """A function to tell how much is done, shown on a terminal's stderr after `patience`."""
    console = Console(stderr=True)
    progress = Progress(console=console, transient=True, redirect_stdout=False)
    task = progress.add_task(text)

    def tell(done: int, size: int) -> None:
        if console.is_terminal and time.monotonic() > patience:
            progress.start()
            progress.update(task, completed=done, total=size)

    try:
        yield tell
    finally:
        if console.is_terminal:  # elsewhere rich ends a bar with an empty line
            progress.stop()


def with_progress(indices: range, text: str, patience: float) -> Iterable[int]:
    """The indices, with a bar on a terminal's stderr after `patience` (monotonic time)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from indices
        return
    progress = Progress(console=console, transient=True, redirect_stdout=False)
    task = progress.add_task(text, total=len(indices))
    try:
        for done, index in enumerate(indices):
            if time.monotonic() > patience:
                progress.start()
            progress.update(task, completed=done)
            yield index
    finally:
        progress.stop()
