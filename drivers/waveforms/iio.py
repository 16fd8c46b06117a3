"""A Linux IIO buffer as a waveform source: scan elements in sysfs, frames from the device.

The kernel's ABI is Documentation/ABI/testing/sysfs-bus-iio and Documentation/iio/iio_devbuf.rst.
It is read here without libiio: pylibiio wraps a C library that is not on PyPI and whose local
back end looks only at /sys/bus/iio and /dev, so it runs on no tree of files; what is left to do is
to read a dozen small files and a stream of frames.

Only buffer 0 has a device node by itself. What is mapped is enabled; other scan elements stay as
they are, and are skipped in the frame when they are on.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from drivers.errors import LayoutError, TransportError
from drivers.waveforms.block import Block
from drivers.waveforms.frame_source import FrameChannel, FrameSource, phase_keys
from drivers.waveforms.packed_frames import FrameLayout, SampleFormat, parse_format, scan_layout

_MILLI = 1e-3
"""IIO's unit after (raw + offset) · scale: mV and mA."""
_TIMESTAMP = "timestamp"
_BUFFER_S = 2.0
_WATERMARK_S = 0.05
"""How much is kept for a late reader, and how much comes at once: half a window."""
_MAX_FILE_BYTES = 4096  # sysfs hands out a page at most
_RATE_FAULT = 0.01

_log = logging.getLogger(__name__)


class IioSource:
    """One IIO device as a WaveformSource.

    `folder` is the device's in sysfs, `data` its character device or a FIFO (`/dev/` and the
    folder's name without it). `channels` names the scan element of each phase (`{"VA": "voltage0",
    "IA": "current0"}`), `gains` the primary V or A per V or A at the converter: without one it is
    1, and a current that is measured as a voltage must have one. `rate_hz` is for devices that do
    not state `sampling_frequency`. `timestamp` switches the time stamps on or off; None leaves
    them. Raises LayoutError for channels that cannot be a circuit's.
    """

    def __init__(
        self,
        folder: Path,
        channels: Mapping[str, str],
        *,
        data: Path | None = None,
        gains: Mapping[str, float] | None = None,
        rate_hz: float | None = None,
        timestamp: bool | None = None,
    ) -> None:
        self._keys = phase_keys(list(channels))
        self._folder = folder
        self._data = data or Path("/dev") / folder.name
        self._channels = dict(channels)
        self._gains = dict(gains or {})
        self._rate_hz = rate_hz
        self._timestamp = timestamp
        self._frames: FrameSource | None = None
        for key in self._gains.keys() - channels.keys():
            raise LayoutError(f"{folder}: a gain for {key}, which is no channel")
        if len(set(channels.values())) != len(channels):
            raise LayoutError(
                f"{folder}: a scan element is used twice: {', '.join(channels.values())}"
            )
        self.phases = len(self._keys) // 2
        self.sample_rate_hz = 0.0
        self.epoch_ns = 0
        self.skew_s: Sequence[float] = (0.0,) * self.phases

    def open(self) -> None:
        """Set the buffer up, start it and wait for its first frames.

        Raises TransportError when the device is not there or silent, LayoutError when its channels
        or their types cannot be used.
        """
        self.close()
        self._write(self._buffer / "enable", "0")
        layout, stamped = self._scan()
        rate_hz = self._rate()
        for name, seconds in (("length", _BUFFER_S), ("watermark", _WATERMARK_S)):
            try:
                self._write(self._buffer / name, str(max(1, math.ceil(seconds * rate_hz))))
            except TransportError as error:
                _log.debug("%s", error)  # the driver's own buffer has its own size
        self._frames = FrameSource(
            self._data,
            layout,
            [self._row(key) for key in self._keys],
            rate_hz,
            timestamp=_TIMESTAMP if stamped else None,
        )
        self._write(self._buffer / "enable", "1")
        self._frames.open()
        self.sample_rate_hz = rate_hz
        self.epoch_ns = self._frames.epoch_ns

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None; raises TransportError when the device is lost."""
        if self._frames is None:
            raise TransportError(f"{self._folder}: not open")
        return self._frames.read(timeout_s)

    def close(self) -> None:
        """Stop the buffer, if it runs."""
        if self._frames is None:
            return
        self._frames.close()
        self._frames = None
        try:
            self._write(self._buffer / "enable", "0")
        except TransportError as error:
            _log.debug("%s", error)  # unplugged: there is nothing to stop

    @property
    def _buffer(self) -> Path:
        """Where the buffer is switched; `buffer0` since Linux 5.11."""
        new = self._folder / "buffer0"
        return new if new.is_dir() else self._folder / "buffer"

    @property
    def _elements(self) -> Path:
        """Where the scan elements are; in `buffer0` itself since Linux 5.11."""
        new = self._folder / "buffer0"
        return new if new.is_dir() else self._folder / "scan_elements"

    def _scan(self) -> tuple[FrameLayout, bool]:
        """The layout of a frame by what is enabled, and whether it has a time stamp."""
        folder = self._elements
        try:
            names = sorted(
                path.name.removeprefix("in_").removesuffix("_en")
                for path in folder.iterdir()
                if path.name.startswith("in_") and path.name.endswith("_en")
            )
        except OSError as error:
            raise TransportError(f"{folder}: {error.strerror or error}") from error
        for name in self._channels.values():
            if name not in names:
                raise LayoutError(
                    f"{folder}: no scan element {name!r}; there are {', '.join(names)}"
                )
            self._enable(folder / f"in_{name}_en", True)
        if self._timestamp is not None and _TIMESTAMP in names:
            self._enable(folder / f"in_{_TIMESTAMP}_en", self._timestamp)
        enabled = [name for name in names if self._read(folder / f"in_{name}_en") == "1"]
        indices: dict[int, str] = {}
        for name in enabled:
            index = int(self._number(folder / f"in_{name}_index"))
            if index in indices:
                raise LayoutError(f"{folder}: {indices[index]} and {name} have the index {index}")
            indices[index] = name
        formats = [(indices[k], self._format(indices[k])) for k in sorted(indices)]
        if _TIMESTAMP in enabled and formats[-1][0] != _TIMESTAMP:
            raise LayoutError(
                f"{folder}: the time stamp is not the last of {len(formats)} elements"
            )
        return scan_layout(formats), _TIMESTAMP in enabled

    def _enable(self, switch: Path, on: bool) -> None:
        """Switch a scan element, unless it is so already."""
        wanted = "1" if on else "0"
        if self._read(switch) != wanted:
            self._write(switch, wanted)
            if self._read(switch) != wanted:
                raise LayoutError(f"{switch}: stays {self._read(switch)!r} when set to {wanted}")

    def _format(self, name: str) -> SampleFormat:
        path = self._elements / f"in_{name}_type"
        try:
            form = parse_format(self._read(path))
        except LayoutError as error:
            raise LayoutError(f"{path}: {error}") from error
        if name == _TIMESTAMP and (form.kind, form.bits, form.storage_bits, form.repeat) != (
            "s", 64, 64, 1,
        ):  # fmt: skip
            raise LayoutError(f"{path}: {self._read(path)!r} is no time stamp; s64/64 is")
        if form.repeat > 1 and name in self._channels.values():
            raise LayoutError(f"{path}: {form.repeat} samples a frame cannot be one channel")
        return form

    def _row(self, key: str) -> FrameChannel:
        """How the numbers of this key's scan element become V or A."""
        name = self._channels[key]
        kind = re.sub(r"^(alt)?(voltage|current).*", r"\2", name)
        wanted = "voltage" if key[0] == "V" else "current"
        if kind != wanted and key not in self._gains:
            raise LayoutError(f"{self._folder}: {key} is measured by {name}: it needs a gain")
        scale = self._attribute(name, "scale")
        if scale is None:
            raise LayoutError(f"{self._folder}: {name} has no scale")
        offset = self._attribute(name, "offset") or 0.0
        return FrameChannel(name, scale * _MILLI * self._gains.get(key, 1.0), offset)

    def _rate(self) -> float:
        """Frames a second, as the device states them or the configuration does."""
        stated = self._attribute(next(iter(self._channels.values())), "sampling_frequency")
        if stated is None:
            path = self._buffer / "sampling_frequency"
            stated = self._number(path) if path.exists() else None
        if stated is None and self._rate_hz is None:
            raise LayoutError(
                f"{self._folder}: no sampling_frequency; the configuration needs rate_hz"
            )
        if stated is None:
            assert self._rate_hz is not None
            return self._rate_hz
        told_hz = self._rate_hz if self._rate_hz is not None else stated
        if not abs(stated - told_hz) <= _RATE_FAULT * told_hz:
            raise LayoutError(
                f"{self._folder}: samples at {stated:g} Hz, {told_hz:g} are configured"
            )
        return stated

    def _attribute(self, name: str, what: str) -> float | None:
        """A channel's attribute: its own, its kind's, or the device's; None without any."""
        kind = re.match(r"[a-z]+", name)
        shared = [re.sub(r"\d+", "", name), kind[0] if kind else name]
        for candidate in (*(f"in_{each}_{what}" for each in (name, *shared)), f"in_{what}", what):
            path = self._folder / candidate
            if path.exists():
                return self._number(path)
        return None

    def _number(self, path: Path) -> float:
        text = self._read(path)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise LayoutError(f"{path}: {text[:40]!r} is not a number")
        return number

    def _read(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                return file.read(_MAX_FILE_BYTES).decode("ascii", "replace").strip()
        except OSError as error:
            raise TransportError(f"{path}: {error.strerror or error}") from error

    def _write(self, path: Path, text: str) -> None:
        try:
            # Not made anew: where a device is gone there is nothing to write to.
            descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(descriptor, text.encode("ascii") + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            raise TransportError(f"{path}: {error.strerror or error}") from error
