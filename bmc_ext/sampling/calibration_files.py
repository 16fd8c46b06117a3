"""Calibration certificates: one YAML file a sensor, in the folder that the configuration names.

The schema is schemas/config/calibration.schema.json. Files are read when the service starts: a
certificate that is replaced holds from the next start on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from bmc_ext.domain.calibration import (
    MONTHS_BY_UNIT,
    CalibratedRange,
    Calibration,
    TemperatureEffect,
    Uncertainty,
    interval_end,
)
from bmc_ext.errors import ConfigurationError
from bmc_ext.yaml_file import read_yaml
from schemas import validator

_log = logging.getLogger(__name__)

_LARGEST = 1e15  # what the core takes


def load_calibrations(folder: Path) -> dict[str, Calibration]:
    """Every `*.yaml` and `*.yml` of the folder, by sensor.

    Raises ConfigurationError naming the file, the place in it and the reason.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"calibration_dir: {folder} is no folder")
    found: dict[str, Calibration] = {}
    origin: dict[str, Path] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise ConfigurationError(f"calibration_dir: {folder}: {error.strerror}") from error
    if not paths:
        _log.warning("calibration_dir: %s holds no certificate (*.yaml)", folder)
    for path in paths:
        calibration = load_calibration(path)
        sensor = calibration.sensor
        if sensor in found:
            raise ConfigurationError(
                f"{path}: sensor: {sensor!r} has a calibration in {origin[sensor].name} already"
            )
        found[sensor], origin[sensor] = calibration, path
    return found


def load_calibration(path: Path) -> Calibration:
    """One certificate; ConfigurationError names the file, the place in it and the reason."""
    document = read_yaml(path)
    _refuse_no_number(document, path, "")
    for problem in sorted(
        validator("config/calibration").iter_errors(document), key=lambda e: list(e.path)
    ):
        place = "/".join(str(part) for part in problem.path) or "top level"
        hint = ""
        if problem.validator == "type" and isinstance(problem.instance, str):
            hint = " (YAML reads 1e-6 as text: write 1.0e-6)"
        raise ConfigurationError(f"{path}: {place}: {problem.message}{hint}")
    return _calibration(document, path)


def _refuse_no_number(value: object, path: Path, place: str) -> None:
    """YAML's .nan and .inf, which pass by every limit of the schema, and integers without end."""
    if isinstance(value, int | float) and not abs(value) <= _LARGEST:
        raise ConfigurationError(f"{path}: {place}: {value!s:.20} is no finite number up to 1e15")
    members: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, member in members:
        _refuse_no_number(member, path, f"{place}/{key}".lstrip("/"))


def _calibration(document: dict[str, Any], path: Path) -> Calibration:
    unit = document["unit"]
    calibrated_on = _day(document, "calibrated_on", path)
    if "due" in document:
        due = _day(document, "due", path)
        if due < calibrated_on:
            raise ConfigurationError(f"{path}: due: {due} is before calibrated_on")
        _warn_of_long_interval(due, calibrated_on, unit, path)
    elif unit in MONTHS_BY_UNIT:
        due = interval_end(calibrated_on, MONTHS_BY_UNIT[unit])
    else:
        raise ConfigurationError(f"{path}: due: is needed, no interval is known for {unit}")
    return Calibration(
        sensor=document["sensor"],
        unit=unit,
        certificate=document["certificate"],
        calibrated_on=calibrated_on,
        due=due,
        ranges=tuple(_ranges(document["ranges"], path)),
        temperature=_temperature(document.get("temperature")),
        origin=str(path),
    )


def _warn_of_long_interval(due: date, calibrated_on: date, unit: str, path: Path) -> None:
    """The laboratory's word holds, but the standard asks for more."""
    months = MONTHS_BY_UNIT.get(unit)
    if months is not None and due > interval_end(calibrated_on, months):
        _log.warning(
            "%s: due: %s is later than %d months after calibrated_on (DCPI 5.2.3, Table 2)",
            path,
            due,
            months,
        )


def _day(document: dict[str, Any], member: str, path: Path) -> date:
    """A date; with a time of day it is none, and the format allows no other mistake."""
    try:
        return date.fromisoformat(document[member])
    except ValueError as error:
        raise ConfigurationError(f"{path}: {member}: {error}") from error


def _ranges(entries: list[dict[str, Any]], path: Path) -> Iterator[CalibratedRange]:
    """In the file's order, which must ascend and leave no gap."""
    last_low, last_high = -1.0, None
    for index, entry in enumerate(entries):
        low, high = float(entry["from"]), float(entry["to"])
        place = f"{path}: ranges/{index}"
        if low >= high:
            raise ConfigurationError(f"{place}: from {low:g} is not below to {high:g}")
        if last_high is not None and low > last_high:
            raise ConfigurationError(
                f"{place}: leaves a gap, the range before ends at {last_high:g}"
            )
        if last_high is not None and (low <= last_low or high <= last_high):
            raise ConfigurationError(f"{place}: does not go beyond the range before")
        last_low, last_high = low, high
        values = {
            key: float(value)
            for key, value in entry.items()
            if key not in ("from", "to", "uncertainty")
        }
        yield CalibratedRange(low, high, _uncertainty(entry["uncertainty"]), **values)


def _temperature(entry: dict[str, Any] | None) -> TemperatureEffect | None:
    if entry is None:
        return None
    return TemperatureEffect(
        reference_c=float(entry["reference_c"]),
        gain_per_k=float(entry.get("gain_per_k", 0.0)),
        offset_per_k=float(entry.get("offset_per_k", 0.0)),
        point=entry.get("point"),
        unknown=_uncertainty(entry["unknown"]),
    )


def _uncertainty(entry: dict[str, Any]) -> Uncertainty:
    return Uncertainty(
        pct_reading=float(entry.get("pct_reading", 0.0)),
        pct_range=float(entry.get("pct_range", 0.0)),
        absolute=float(entry.get("abs", 0.0)),
        phase_rad=float(entry.get("phase_rad", 0.0)),
    )
