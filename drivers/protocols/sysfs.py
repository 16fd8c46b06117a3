"""Linux's own sensors: hwmon chips (PMBus devices are such too) and IIO devices, read in sysfs.

Facts are the kernel's documents hwmon/sysfs-interface and ABI/testing/sysfs-bus-iio. Numbers of
chips move across boots, so a chip is found by the content of its `name` file; its files stay open
and each read is one pread per sensor.
"""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from drivers.codec import PointCodec
from drivers.errors import TargetError, TransportError
from drivers.profile_types import Profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocols.number_plan import NumberPlan, in_batches, raw_number
from drivers.protocols.sysfs_chip import Chip, Place, device_of, text_of
from drivers.protocols.target_url import split_target

_FORM = "sysfs:///sys/class/hwmon?name=CHIP or sysfs:///sys/bus/iio/devices?name=CHIP"

# The chip itself is gone.
_GONE = (errno.ENODEV, errno.ENOENT, errno.ESTALE)

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
class SysfsWrite:
    """An attribute file and the whole number that it is given."""

    file: str
    number: int


class SysfsTransport:
    """See Transport: the chips of a bus, by the `unit` of their targets."""

    def __init__(self) -> None:
        self._chips: dict[int, Chip] = {}
        self._targets: dict[int, SysfsTarget] = {}
        self._known: dict[SysfsTarget, list[Path]] = {}

    def open(self) -> None:
        """Nothing: each chip is looked for when it is read."""

    def read(self, unit: int, request: Sequence[Place], timeout_s: float) -> list[float]:  # noqa: ARG002
        """The numbers of the places in sysfs' units; NaN for a sensor that says it has none.

        One sensor of several whose read fails is NaN too; all of them, or a chip that is gone, are
        a TransportError.
        """
        numbers: list[float] = []
        failures: list[OSError] = []
        for sensor in self._chip(unit).sensors(request):
            try:
                if isinstance(sensor, OSError):
                    raise sensor
                numbers.append(math.nan if sensor is None else sensor.read())
            except OSError as error:
                failures.append(error)
                numbers.append(math.nan)
        if failures:
            # Its files are opened anew at the next read, in case that helps.
            self._forget(unit)
            gone = any(error.errno in _GONE for error in failures)
            if gone or len(failures) == len(request):
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

    def _chip(self, unit: int) -> Chip:
        """The chip as it was found, or found anew when it is not there any more."""
        chip = self._chips.get(unit)
        if chip is not None and chip.is_there():
            return chip
        self._forget(unit)
        directory = self._find(unit)
        try:
            self._chips[unit] = Chip(directory)
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
            devices = ", ".join(device_of(entry) or entry.name for entry in found)
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
            name = text_of(entry / "name")
            if name is None:
                continue
            for device in {None, device_of(entry)}:
                self._known.setdefault(SysfsTarget(root, name, device), []).append(entry)

    def _target(self, unit: int) -> SysfsTarget:
        if unit not in self._targets:
            self._targets[unit] = next(t for t, number in _UNITS.items() if number == unit)
        return self._targets[unit]

    def _failure(self, unit: int, reason: str | None) -> TransportError:
        return TransportError(f"{self._target(unit)}: {reason}")


def _is(directory: Path, target: SysfsTarget) -> bool:
    """Whether the directory is that chip's: numbers go from one chip to another."""
    known = target.device is None or device_of(directory) == target.device
    return known and text_of(directory / "name") == target.name


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
