"""A simulated chip in a directory: the files that its profile names, as the kernel shows them."""

from __future__ import annotations

import contextlib
import math
import shutil
from pathlib import Path

from drivers.simulation.point_values import PointValues


class SysfsTree:
    """A chip below `root`, in the directory `entry`; `device` is where its device link leads.

    A point without a value has a `_fault` file that says 1. Files are rewritten in place, as the
    kernel keeps them open for a reader.
    """

    def __init__(
        self, values: PointValues, root: Path, name: str, entry: str = "hwmon0", device: str = ""
    ) -> None:
        self._values = values
        self.directory = root / entry
        self._name = name
        self._device = device
        self._root = root
        values.on_change = self._write_all

    @property
    def target(self) -> str:
        """Where the driver finds it."""
        return f"sysfs://{self._root}?name={self._name}"

    def plug(self) -> None:
        """Make the directory."""
        self.directory.mkdir(parents=True)
        (self.directory / "name").write_text(f"{self._name}\n")
        if self._device:
            home = self._root.parent / "devices" / self._device
            home.mkdir(parents=True, exist_ok=True)
            (self.directory / "device").symlink_to(home)
        self._write_all()

    def unplug(self) -> None:
        """Remove it, as when a driver is unbound."""
        shutil.rmtree(self.directory)

    def _write_all(self) -> None:
        if not self.directory.is_dir():
            return
        labels: dict[str, int] = {}
        for name, point in self._values.profile.points.items():
            number = self._values.raw(name)
            if "channel" in point.at:
                self._put(f"{point.at['channel']}_raw", number)
                self._put(f"{point.at['channel'].rstrip('0123456789')}_scale", 1.0)
                continue
            file = point.at.get("file")
            if file is None:
                kind = point.at["kind"]
                labels[kind] = labels.get(kind, 0) + 1
                file = f"{kind}{labels[kind]}_input"
                self._text(f"{kind}{labels[kind]}_label", _label(point.at["label"]))
            if file.endswith("_input"):
                self._text(file.replace("_input", "_fault"), str(int(math.isnan(number))))
            self._put(file, number)

    def _put(self, file: str, number: float) -> None:
        self._text(file, "0" if math.isnan(number) else str(round(number)))

    def _text(self, file: str, text: str) -> None:
        path = self.directory / file
        with contextlib.suppress(FileNotFoundError), path.open("r+") as kept:
            kept.write(f"{text}\n")
            kept.truncate()
            return
        path.write_text(f"{text}\n")


def _label(label: str | list[str]) -> str:
    """The first of the labels that a sensor may have."""
    return label if isinstance(label, str) else label[0]
