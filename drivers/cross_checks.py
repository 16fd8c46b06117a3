"""A profile's cross-checks, made on many devices at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.codec import OK, OUT_OF_RANGE, PointCodec
from drivers.expression import name_in_expressions
from drivers.profile_types import Check

_UNTOLD, _FAILS, _HOLDS = -1, 0, 1
_VERDICTS = {_UNTOLD: None, _FAILS: False, _HOLDS: True}
_NONE = -1


class CrossChecks:
    """The verdicts of all checks by device.

    `codecs` and `columns` say, by point name, how its canonical value becomes its own and where in
    an array of all points it is.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        codecs: Mapping[str, PointCodec],
        columns: Mapping[str, int],
    ) -> None:
        self._checks = tuple(checks)
        names = list(dict.fromkeys(point for check in checks for point in check.points))
        self._names = [name_in_expressions(name) for name in names]
        self._columns = np.array([columns[name] for name in names], np.intp)
        self._bias = np.array([codecs[name].to_device(0.0) for name in names])
        self._gain = np.array([codecs[name].to_device(1.0) for name in names]) - self._bias
        self._members = [
            np.array([names.index(point) for point in check.points], np.intp) for check in checks
        ]
        self._verdicts = np.empty((0, len(checks)), np.int8)
        self._failing = np.empty(0, np.int16)

    def __bool__(self) -> bool:
        return bool(self._checks)

    def reset(self, row: int, rows: int) -> None:
        """Nothing is known of the device of that row, one of `rows` that there are."""
        missing = rows - len(self._failing)
        if missing > 0:
            self._verdicts = np.pad(self._verdicts, ((0, missing), (0, 0)))
            self._failing = np.pad(self._failing, (0, missing))
        self._verdicts[row] = _UNTOLD
        self._failing[row] = _NONE

    def verdicts(self, row: int) -> tuple[bool | None, ...]:
        """Whether each check holds; None where that could not be told yet."""
        return tuple(_VERDICTS[int(verdict)] for verdict in self._verdicts[row])

    def failing(self, row: int) -> bool:
        """Whether any check fails."""
        return bool(self._failing[row] != _NONE)

    def doubt(self, row: int) -> str | None:
        """The text of the first check that fails, if any."""
        failing = int(self._failing[row])
        return None if failing == _NONE else self._checks[failing].text

    def review(
        self,
        rows: NDArray[np.intp],
        values: NDArray[np.float64],
        qualities: NDArray[np.uint8],
        known: NDArray[np.bool_],
    ) -> list[int]:
        """Make the checks on these devices; arrays are (devices, all points), values canonical.

        Where `known` is not set a value is no longer fresh. Gives the rows whose `doubt` changed.
        """
        own = values[:, self._columns] * self._gain + self._bias
        codes, fresh = qualities[:, self._columns], known[:, self._columns]
        own[~fresh | (codes != OK)] = np.nan
        beyond = fresh & (codes == OUT_OF_RANGE)
        points = {name: own[:, k] for k, name in enumerate(self._names)}
        found = np.stack(
            [
                self._made(check, points, beyond[:, members])
                for check, members in zip(self._checks, self._members, strict=True)
            ],
            axis=1,
        )
        verdicts = np.where(found == _UNTOLD, self._verdicts[rows], found)
        fails = verdicts == _FAILS
        failing = np.where(fails.any(axis=1), fails.argmax(axis=1), _NONE)
        changed = failing != self._failing[rows]
        self._verdicts[rows] = verdicts
        self._failing[rows] = failing
        return [int(row) for row in rows[changed]]

    def _made(
        self, check: Check, points: Mapping[str, NDArray[np.float64]], beyond: NDArray[np.bool_]
    ) -> NDArray[np.int8]:
        with np.errstate(all="ignore"):
            deviation = np.asarray(check.deviation.values(points))
            limit = np.asarray(check.limit.values(points))
            told = np.isfinite(deviation) & np.isfinite(limit)
            holds = np.abs(deviation) <= limit
        verdicts = np.where(told, np.where(holds, _HOLDS, _FAILS), _UNTOLD)
        return np.where(beyond.any(axis=1), _FAILS, verdicts).astype(np.int8)
