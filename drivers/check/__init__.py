"""The vendor's bench: measures a device, judges it by the standard's limits, and reports.

`bench` measures (the only module with I/O besides its tools), `judge_device` and `judge_sensor`
judge what was observed, `report` writes it down.
"""

from drivers.check.bench import PARTS, Bench
from drivers.check.finding import BENCH, Finding, Verdict, overall
from drivers.check.judge_device import judge
from drivers.check.limits import LIMITS, Limit
from drivers.check.observations import Observations
from drivers.check.reference import DeviceReference, TableReference
from drivers.check.report import SCHEMA, document, junit, write_files
from drivers.check.settings import CheckSettings
from drivers.check.summary import counts, sentence

__all__ = [
    "BENCH",
    "LIMITS",
    "PARTS",
    "SCHEMA",
    "Bench",
    "CheckSettings",
    "DeviceReference",
    "Finding",
    "Limit",
    "Observations",
    "TableReference",
    "Verdict",
    "counts",
    "document",
    "judge",
    "junit",
    "overall",
    "sentence",
    "write_files",
]
