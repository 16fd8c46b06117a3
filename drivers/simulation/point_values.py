"""What a simulated device measures, whatever protocol it is asked by."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Mapping

from drivers.codec import PointCodec
from drivers.profile_types import Profile
from drivers.protocols.number_plan import raw_number


class PointValues:
    """Values by point in canonical units; None is what the device has no value for.

    `silent` answers nothing, `drop_outs` is the share of requests that are not answered, `delay_s`
    answers late; none of them makes a difference in a folder. `on_change` is called
    after each update, `on_write(point, value)`, from a server's thread, after a master wrote one.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.silent = False
        self.delay_s = 0.0
        self.drop_outs = 0.0
        self.random = random.Random()
        self.on_change: Callable[[], None] | None = None
        self.on_write: Callable[[str, float], None] | None = None
        self._lock = threading.Lock()
        self._codecs = {name: PointCodec(point) for name, point in profile.points.items()}
        self._values: dict[str, float | None] = {
            name: codec.to_canonical(codec.point.offset) for name, codec in self._codecs.items()
        }

    def hears(self) -> bool:
        """Whether the device answers the next request at all."""
        return not self.silent and not (self.drop_outs and self.random.random() < self.drop_outs)

    def update(self, values: Mapping[str, float | None]) -> None:
        """Set several points at once; KeyError names an unknown one."""
        for name in values:
            self.profile.point(name)
        with self._lock:
            self._values.update(values)
        if self.on_change is not None:
            self.on_change()

    def set(self, point: str, value: float | None) -> None:
        """Set one point."""
        self.update({point: value})

    def get(self, point: str) -> float | None:
        """The value of a point, canonical."""
        self.profile.point(point)
        with self._lock:
            return self._values[point]

    def set_raw(self, point: str, number: float) -> None:
        """Set one point to the number that a master wrote."""
        entry = self.profile.points[point]
        value = self._codecs[point].to_canonical(number * entry.scale + entry.offset)
        self.set(point, value)
        if self.on_write is not None:
            self.on_write(point, value)

    def raw(self, point: str) -> float:
        """The number that the device holds, its own sign for absent or NaN without a value."""
        value = self.get(point)
        if value is None:
            absent = self.profile.points[point].absent
            return absent[0] if absent else math.nan
        return raw_number(self._codecs[point], value)
