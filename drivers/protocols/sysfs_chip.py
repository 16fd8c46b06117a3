"""A chip of sysfs: where its values are, and their files, which stay open."""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# The sensor says that it has no value now, or none yet; anything else is a failed read.
_NO_VALUE = (errno.ENODATA, errno.EAGAIN)
_LONGEST_ATTRIBUTE = 4096  # sysfs gives at most a page
_MOST_REQUESTS = 64  # whose files are kept open


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is: a `file`, a hwmon sensor by `kind` and `labels`, or an IIO `channel`."""

    file: str | None = None
    kind: str | None = None
    labels: tuple[str, ...] = ()
    channel: str | None = None


@dataclass(slots=True)
class Sensor:
    """The open files of one place: value = (number + offset) * scale unless `fault` says 1."""

    value: int
    fault: int | None = None
    offset: int | None = None
    scale: int | None = None

    def read(self) -> float:
        """The number in sysfs' unit, NaN when the chip says that there is none; raises OSError."""
        try:
            if self.fault is not None and _number(self.fault):
                return math.nan
            number = _number(self.value)
            if self.offset is not None:
                number += _number(self.offset)
            return number if self.scale is None else number * _number(self.scale)
        except OSError as error:
            if error.errno in _NO_VALUE:
                return math.nan
            raise
        except ValueError:
            return math.nan

    def descriptors(self) -> list[int]:
        """All its open files."""
        files = (self.value, self.fault, self.offset, self.scale)
        return [descriptor for descriptor in files if descriptor is not None]


def _number(descriptor: int) -> float:
    return float(os.pread(descriptor, _LONGEST_ATTRIBUTE, 0))


# What came of opening the files of a place: None when the chip has no such sensor.
Opened = Sensor | OSError | None


class Chip:
    """A chip that was found, and the open files of each request that was made of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._name_file = str(directory / "name")
        self._identity = self._named()
        self._opened: dict[int, tuple[Sequence[Place], list[Opened]]] = {}

    def is_there(self) -> bool:
        """Whether it is still the chip that was found: a new one has a new name file."""
        try:
            return self._named() == self._identity
        except OSError:
            return False

    def _named(self) -> tuple[int, int]:
        status = os.stat(self._name_file)  # noqa: PTH116  (half the time of Path.stat, each poll)
        return status.st_dev, status.st_ino

    def sensors(self, request: Sequence[Place]) -> list[Opened]:
        """The open files of each place."""
        # By identity: to hash the places would take longer than to read them.
        asked, sensors = self._opened.get(id(request), (None, []))
        if asked is not request:
            if len(self._opened) >= _MOST_REQUESTS:
                self.close()
            sensors = [_try_to_open(self.directory, place) for place in request]
            self._opened[id(request)] = request, sensors
        return sensors

    def close(self) -> None:
        """Close all files."""
        for _, sensors in self._opened.values():
            self._close(sensors)
        self._opened.clear()

    def _close(self, sensors: list[Opened]) -> None:
        for sensor in sensors:
            for descriptor in sensor.descriptors() if isinstance(sensor, Sensor) else ():
                os.close(descriptor)


def _try_to_open(directory: Path, place: Place) -> Opened:
    try:
        return _open_sensor(directory, place)
    except OSError as error:
        return error


def text_of(file: Path) -> str | None:
    """What a file says, without the line end; None when it cannot be read."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text().strip()
    return None


def device_of(directory: Path) -> str | None:
    """What the chip's device link points to: an I2C chip's BUS-ADDRESS."""
    with contextlib.suppress(OSError):
        return (directory / "device").readlink().name
    return None


def _open_sensor(directory: Path, place: Place) -> Sensor | None:
    if place.channel is not None:
        processed = _open(directory / f"{place.channel}_input")
        if processed is not None:
            return Sensor(processed)
        return _raw_sensor(directory, place.channel)
    name = place.file if place.file is not None else _labelled(directory, place)
    value = None if name is None else _open(directory / name)
    if name is None or value is None:
        return None
    sensor, item, _ = name.rpartition("_input")
    return Sensor(value, _open(directory / f"{sensor}_fault") if item else None)


def _raw_sensor(directory: Path, channel: str) -> Sensor | None:
    """A channel that the device gives as a count; without its own scale one of its kind is used."""
    raw = _open(directory / f"{channel}_raw")
    if raw is None:
        return None
    kind = channel.rstrip("0123456789")
    found = {
        part: _first(directory / f"{name}_{part}" for name in dict.fromkeys((channel, kind)))
        for part in ("offset", "scale")
    }
    return Sensor(raw, None, found["offset"], found["scale"])


def _labelled(directory: Path, place: Place) -> str | None:
    """The input file of the first sensor of a kind whose label file says one of the labels."""
    for label in sorted(directory.glob(f"{place.kind}[0-9]*_label")):
        if text_of(label) in place.labels:
            return f"{label.name.removesuffix('_label')}_input"
    return None


def _first(files: Iterable[Path]) -> int | None:
    return next((found for found in map(_open, files) if found is not None), None)


def _open(file: Path) -> int | None:
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
