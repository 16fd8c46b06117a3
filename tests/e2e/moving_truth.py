"""What a plant's truth was while readings were taken: its loads move meanwhile."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from emulator.plant.client import PlantControl

AGE_S = 3.0
"""How old a reading may be: a meter measures each second and is polled each second."""

_EVERY_S = 0.1

Pick = Callable[[dict[str, Any]], float]
"""One quantity of a truth."""


class MovingTruth:
    """The truths since AGE_S before it was made, ten a second, until it is closed."""

    def __init__(self, plant: PlantControl) -> None:
        self._plant = plant
        self._truths: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        time.sleep(AGE_S)

    def close(self) -> None:
        """Follow it no longer."""
        self._over.set()
        self._thread.join()

    def check(self, reading: float, pick: Pick, *, rel: float = 0.0, off: float = 0.0) -> None:
        """AssertionError unless an instrument showed that at one of the moments.

        `rel` is its class as a share of the value, `off` in the quantity's unit.
        """
        values = [pick(truth) for truth in [*self._truths, self._plant.truth()]]
        low, high = min(values), max(values)
        slack = max(off, rel * max(abs(low), abs(high)))
        assert low - slack <= reading <= high + slack, f"{reading}: {low} to {high} ± {slack}"

    def _follow(self) -> None:
        while not self._over.is_set():
            self._truths.append(self._plant.truth())
            self._over.wait(_EVERY_S)


@contextlib.contextmanager
def moving_truth(plant: PlantControl) -> Iterator[MovingTruth]:
    """A plant's truth while readings are taken."""
    with contextlib.closing(MovingTruth(plant)) as it:
        yield it
