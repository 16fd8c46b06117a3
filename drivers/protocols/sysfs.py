"""Linux's own sensors: hwmon chips (PMBus devices are such too) and IIO devices, read in sysfs.

Facts are the kernel's documents hwmon/sysfs-interface and ABI/testing/sysfs-bus-iio. Numbers of
chips move across boots, so a chip is found by the content of its `name` file; its files stay open
and each read is one pread per sensor.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from drivers.codec import PointCodec
from drivers.errors import TargetError, TransportError
from drivers.profile_types import Profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocols.number_plan import NumberPlan, in_batches, raw_number
from drivers.protocols.target_url import split_target

_FORM = "sysfs:///sys/class/hwmon?name=CHIP or sysfs:///sys/bus/iio/devices?name=CHIP"

# The sensor says that it has no value now, or none yet; anything else is a failed read.
_NO_VALUE = (errno.ENODATA, errno.EAGAIN)
# The chip itself is gone.
_GONE = (errno.ENODEV, errno.ENOENT, errno.ESTALE)

_LONGEST_ATTRIBUTE = 4096  # sysfs gives at most a page
_POINTS_PER_READ = 64  # one slow chip must not hold the thread for ever


@dataclass(frozen=True, slots=True)
class SysfsTarget:
    """A chip: a directory below `root` whose `name` file says `name`.

    `device` is what the chip's `device` link points to (an I2C chip's is BUS-ADDRESS), None when
    the name alone tells it from all others.
    """

    root: str
    name: str
    device: str | None = None

    def __str__(self) -> str:
        """The target as it is written."""
        device = "" if self.device is None else f"&device={self.device}"
        return f"sysfs://{self.root}?name={self.name}{device}"

    @property
    def bus(self) -> str:
        """The I2C adapter, whose chips wait for each other anyway, or else the one chip."""
        on_i2c = _I2C_DEVICE.fullmatch(self.device or "")
        return f"sysfs://{self.root}#i2c-{on_i2c[1]}" if on_i2c else str(self)

    @property
    def unit(self) -> int:
        """The number that the transport of the bus knows the chip by, in this process."""
        return _UNITS.setdefault(self, len(_UNITS))


# BUS-ADDRESS, as the kernel names I2C devices.
_I2C_DEVICE = re.compile(r"(\d+)-[0-9a-f]{4}")
_UNITS: dict[SysfsTarget, int] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is: a `file`, a hwmon sensor by `kind` and `labels`, or an IIO `channel`."""

    file: str | None = None
    kind: str | None = None
    labels: tuple[str, ...] = ()
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class SysfsWrite:
    """An attribute file and the whole number that it is given."""

    file: str
    number: int


@dataclass(slots=True)
class _Sensor:
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


@dataclass(slots=True)
class _Chip:
    """A chip that was found; `identity` is its name file's, which a new chip does not have."""

    directory: Path
    identity: tuple[int, int]
    sensors: dict[Place, _Sensor | None] = field(default_factory=dict)

    def is_there(self) -> bool:
        """Whether it is still the chip that was found."""
        try:
            return _identity(self.directory) == self.identity
        except OSError:
            return False

    def sensor(self, place: Place) -> _Sensor | None:
        """The open files of a place, None when the chip has no such sensor."""
        if place not in self.sensors:
            self.sensors[place] = _open_sensor(self.directory, place)
        return self.sensors[place]

    def close(self) -> None:
        """Close all files."""
        for sensor in self.sensors.values():
            for descriptor in sensor.descriptors() if sensor is not None else ():
                os.close(descriptor)
        self.sensors.clear()


def _identity(directory: Path) -> tuple[int, int]:
    status = os.stat(f"{directory}/name")  # noqa: PTH116  (half the time of Path.stat, each poll)
    return status.st_dev, status.st_ino


class SysfsTransport:
    """See Transport: the chips of a bus, by the `unit` of their targets."""

    def __init__(self) -> None:
        self._chips: dict[int, _Chip] = {}
        self._targets: dict[int, SysfsTarget] = {}
        self._known: dict[SysfsTarget, list[Path]] = {}

    def open(self) -> None:
        """Nothing: each chip is looked for when it is read."""

    def read(self, unit: int, request: Sequence[Place], timeout_s: float) -> list[float]:  # noqa: ARG002
        """The numbers of the places in sysfs' units; NaN for a sensor that says it has none.

        One sensor of several whose read fails is NaN too; all of them, or a chip that is gone, are
        a TransportError.
        """
        chip = self._chip(unit)
        numbers: list[float] = []
        failures: list[OSError] = []
        for place in request:
            try:
                sensor = chip.sensor(place)
                numbers.append(math.nan if sensor is None else sensor.read())
            except OSError as error:
                failures.append(error)
                numbers.append(math.nan)
                if error.errno in _GONE:
                    self._forget(unit)
                    raise self._failure(unit, error.strerror) from error
        if failures and len(failures) == len(request):
            raise self._failure(unit, failures[0].strerror) from failures[0]
        return numbers

    def write(self, unit: int, request: SysfsWrite, timeout_s: float) -> None:  # noqa: ARG002
        """See Transport."""
        file = self._chip(unit).directory / request.file
        try:
            with file.open("wb", buffering=0) as attribute:
                attribute.write(f"{request.number}\n".encode())
        except OSError as error:
            raise self._failure(unit, f"{request.file}: {error.strerror}") from error

    def close(self) -> None:
        """See Transport."""
        for unit in list(self._chips):
            self._forget(unit)

    def _chip(self, unit: int) -> _Chip:
        """The chip as it was found, or found anew when it is not there any more."""
        chip = self._chips.get(unit)
        if chip is not None and chip.is_there():
            return chip
        self._forget(unit)
        directory = self._find(unit)
        try:
            self._chips[unit] = _Chip(directory, _identity(directory))
        except OSError as error:
            raise self._failure(unit, error.strerror) from error
        return self._chips[unit]

    def _forget(self, unit: int) -> None:
        chip = self._chips.pop(unit, None)
        if chip is not None:
            chip.close()

    def _find(self, unit: int) -> Path:
        target = self._target(unit)
        found = [entry for entry in self._known.get(target, []) if _is(entry, target)]
        if len(found) != 1:
            self._look_around(unit)
            found = self._known.get(target, [])
        if not found:
            raise self._failure(unit, "no such chip")
        if len(found) > 1:
            devices = ", ".join(_device(entry) or entry.name for entry in found)
            raise self._failure(unit, f"{len(found)} chips have this name ({devices}): say device=")
        return found[0]

    def _look_around(self, unit: int) -> None:
        """Note which chips there are, by their names with and without their devices."""
        root = self._target(unit).root
        self._known.clear()
        try:
            entries = sorted(Path(root).iterdir())
        except OSError as error:
            raise self._failure(unit, error.strerror) from error
        for entry in entries:
            name = _text(entry / "name")
            if name is None:
                continue
            for device in {None, _device(entry)}:
                self._known.setdefault(SysfsTarget(root, name, device), []).append(entry)

    def _target(self, unit: int) -> SysfsTarget:
        if unit not in self._targets:
            self._targets[unit] = next(t for t, number in _UNITS.items() if number == unit)
        return self._targets[unit]

    def _failure(self, unit: int, reason: str | None) -> TransportError:
        return TransportError(f"{self._target(unit)}: {reason}")


def _text(file: Path) -> str | None:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text().strip()
    return None


def _device(directory: Path) -> str | None:
    with contextlib.suppress(OSError):
        return (directory / "device").readlink().name
    return None


def _is(directory: Path, target: SysfsTarget) -> bool:
    """Whether the directory is that chip's: numbers go from one chip to another."""
    known = target.device is None or _device(directory) == target.device
    return known and _text(directory / "name") == target.name


def _open_sensor(directory: Path, place: Place) -> _Sensor | None:
    if place.channel is not None:
        processed = _open(directory / f"{place.channel}_input")
        if processed is not None:
            return _Sensor(processed)
        return _raw_sensor(directory, place.channel)
    name = place.file if place.file is not None else _labelled(directory, place)
    value = None if name is None else _open(directory / name)
    if name is None or value is None:
        return None
    sensor, item, _ = name.rpartition("_input")
    return _Sensor(value, _open(directory / f"{sensor}_fault") if item else None)


def _raw_sensor(directory: Path, channel: str) -> _Sensor | None:
    """A channel that the device gives as a count; without its own scale one of its kind is used."""
    raw = _open(directory / f"{channel}_raw")
    if raw is None:
        return None
    kind = channel.rstrip("0123456789")
    found = {
        part: _first(directory / f"{name}_{part}" for name in dict.fromkeys((channel, kind)))
        for part in ("offset", "scale")
    }
    return _Sensor(raw, None, found["offset"], found["scale"])


def _labelled(directory: Path, place: Place) -> str | None:
    """The input file of the first sensor of a kind whose label file says one of the labels."""
    for label in sorted(directory.glob(f"{place.kind}[0-9]*_label")):
        if _text(label) in place.labels:
            return f"{label.name.removesuffix('_label')}_input"
    return None


def _first(files: Any) -> int | None:
    return next((found for found in map(_open, files) if found is not None), None)


def _open(file: Path) -> int | None:
    try:
        return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


class SysfsProtocol:
    """See DeviceProtocol; requests are tuples of Place, answers the numbers of sysfs."""

    name = "sysfs"
    schemes = ("sysfs",)
    point_schema: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "file": {"type": "string", "pattern": "^[a-z][A-Za-z0-9_]*$"},
                "kind": {"enum": ["temp", "power", "in", "curr", "fan", "energy", "humidity"]},
                "label": {
                    "anyOf": [
                        {"type": "string", "minLength": 1},
                        {"type": "array", "minItems": 1, "items": {"type": "string"}},
                    ]
                },
                "channel": {"type": "string", "pattern": "^in_[A-Za-z0-9_-]+$"},
            },
            "oneOf": [
                {"required": ["file"], "maxProperties": 1},
                {"required": ["kind", "label"], "maxProperties": 2},
                {"required": ["channel"], "maxProperties": 1},
            ],
        }
    )

    def parse_target(self, text: str) -> SysfsTarget:
        """See DeviceProtocol."""
        url = split_target(text, _FORM, ("name", "device"))
        if url.host or not url.path.startswith("/") or not url.options.get("name"):
            raise TargetError(f"target {url.text!r} is not {_FORM}")
        return SysfsTarget(url.path, url.options["name"], url.options.get("device"))

    def transport(self, target: SysfsTarget, settings: TransportSettings) -> SysfsTransport:  # noqa: ARG002
        """See DeviceProtocol."""
        return SysfsTransport()

    def plan(self, profile: Profile, codecs: Sequence[PointCodec]) -> NumberPlan:  # noqa: ARG002
        """See DeviceProtocol."""
        return in_batches(codecs, _POINTS_PER_READ, _ask)

    def heartbeat(self, profile: Profile) -> tuple[Place, ...]:
        """See DeviceProtocol."""
        return (_place(next(iter(profile.points.values())).at),)

    def write_request(self, codec: PointCodec, value: float) -> SysfsWrite:
        """See DeviceProtocol; only a point with a `file` can be written."""
        file = codec.point.at.get("file")
        if file is None:
            raise TransportError(f"{codec.point.name}: only a file can be written")
        return SysfsWrite(file, round(raw_number(codec, value)))


def _ask(codecs: Sequence[PointCodec]) -> tuple[Place, ...]:
    return tuple(_place(codec.point.at) for codec in codecs)


def _place(at: Mapping[str, Any]) -> Place:
    label = at.get("label", ())
    labels = (label,) if isinstance(label, str) else tuple(label)
    return Place(at.get("file"), at.get("kind"), labels, at.get("channel"))


SYSFS = SysfsProtocol()
