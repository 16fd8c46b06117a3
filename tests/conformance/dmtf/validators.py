"""DMTF's four validators as child processes, and what their reports say.

Their exit status is never looked at: each is judged by the counts that it printed and by the
findings in its log. A report without counts is an error, never a pass.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pytest
from e2e.emulator_client import PASSWORD, USER, Running, emulator, wait_for

_RUNNER = Path(__file__).with_name("run_validator.py")
TLS_OVERRIDES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_COUNTS = re.compile(r"\|\s*(\d+)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|")
_PROTOCOL_COUNTS = re.compile(r"PASS: (\d+), WARN: (\d+), FAIL: (\d+), NOT_TESTED: (\d+)")
_FINDING = re.compile(r" - (?:WARN|FAIL) - (/\S*) .*?: ([A-Z][A-Za-z ]+ (?:Warning|Error)):")
_VISITED = re.compile(r"^Validating (/\S+?)\.\.\.", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """Counts of one run; `findings` are (property, kind), `untested` names of assertions.

    An assertion of which only a part was tested is among the untested too.
    """

    passed: int
    warned: int
    failed: int
    not_tested: int
    findings: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    failures: tuple[str, ...] = ()
    untested: frozenset[str] = field(default_factory=frozenset)
    visited: tuple[str, ...] = ()

    @property
    def bad(self) -> tuple[int, int]:
        """Warnings and failures."""
        return self.warned, self.failed


def service(
    port: int, folder: Path, csdl: Path, *, only: str | None = None, scheme: str = "https"
) -> Report:
    """rf_service_validator over all that $metadata and the links lead to, or one resource."""
    schemas = folder / "csdl"
    shutil.copytree(csdl, schemas, copy_function=_writable_copy, dirs_exist_ok=True)
    schemas.chmod(0o755)  # it writes into it
    what = ("--payload", "Single", only) if only else ()
    text = _run(
        "redfish_service_validator", folder, "-r", _url(port, scheme), "-u", USER, "-p", PASSWORD,
        "--authtype", "Basic", "--schema_directory", schemas, "--logdir", folder / "service", *what,
    )  # fmt: skip
    return _table(text, folder / "service")


def protocol(port: int, folder: Path) -> Report:
    """rf_protocol_validator; its table of assertions has to agree with its summary."""
    text = _run(
        "redfish_protocol_validator", folder, "-r", _url(port), "-u", USER, "-p", PASSWORD,
        "--no-cert-check", "--report-dir", folder / "protocol", "--report-type", "tsv",
        "--log-level", "ERROR",
    )  # fmt: skip
    found = _PROTOCOL_COUNTS.findall(text)
    assert found, f"rf_protocol_validator printed no counts:\n{text[-2000:]}"
    passed, warned, failed, not_tested = map(int, found[-1])
    (table,) = (folder / "protocol").glob("*.tsv")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    by_result = {
        result: [row for row in rows if row["Result"] == result]
        for result in ("PASS", "WARN", "FAIL", "NOT_TESTED")
    }
    counted = tuple(len(lines) for lines in by_result.values())
    assert counted == (passed, warned, failed, not_tested)
    return Report(
        *counted,
        failures=tuple(
            f"{row['Assertion']} {row['Method']} {row['URI']}: {row['Message']}"
            for row in by_result["FAIL"] + by_result["WARN"]
        ),
        untested=frozenset(row["Assertion"] for row in by_result["NOT_TESTED"]),
    )


def use_cases(port: int, folder: Path, *tests: str) -> Report:
    """rf_use_case_checkers: all of them, or those that are named."""
    what = ("--test-list", *tests) if tests else ()
    text = _run(
        "redfish_use_case_checkers", folder, "-r", _url(port), "-u", USER, "-p", PASSWORD,
        "--report-dir", folder / "use_cases", *what,
    )  # fmt: skip
    return _table(text, folder / "use_cases")


def interop(port: int, folder: Path, profile: Path, *, only: str | None = None) -> Report:
    """rf_interop_validator with one profile, over all that the links lead to or one resource."""
    what = ("--payload", "Single", only) if only else ()
    text = _run(
        "redfish_interop_validator", folder, profile, "-r", _url(port), "-u", USER, "-p", PASSWORD,
        "--authtype", "Session", "--logdir", folder / "interop", *what,
    )  # fmt: skip
    return _table(text, folder / "interop")


def matchable(profiles: Path, folder: Path) -> dict[str, int]:
    """Copies of all profiles for redfish-interop-validator 3.0.4, with the changes made in each.

    Its evaluate_comparison (helper.py) has no branch for AnyOf among those that look for a match,
    only for Equal, LinkToResource and Pattern: a use case with UseCaseComparison AnyOf applies to
    no resource whatever it says, and a mandatory one always fails as a resource that is not found.
    Equal means there what DSP0272 means by AnyOf: one of the values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = {}
    for path in sorted(profiles.glob("*.json")):
        profile = json.loads(path.read_text(encoding="utf-8"))
        cases = [c for r in profile["Resources"].values() for c in r.get("UseCases", [])]
        unmatched = [case for case in cases if case.get("UseCaseComparison") == "AnyOf"]
        for case in unmatched:
            case["UseCaseComparison"] = "Equal"
        (folder / path.name).write_text(json.dumps(profile), encoding="utf-8")
        changed[path.stem] = len(unmatched)
    return changed


def _url(port: int, scheme: str = "https") -> str:
    return f"{scheme}://127.0.0.1:{port}"


def _run(package: str, folder: Path, *arguments: object) -> str:
    """All that a validator printed."""
    if importlib.util.find_spec(package) is None:
        reason = f"{package} is not installed: make .venv/.conformance"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    environment = {k: v for k, v in os.environ.items() if k not in TLS_OVERRIDES}
    environment |= {
        "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1", "NO_COLOR": "1",
        "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(_RUNNER), package, *map(str, arguments)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def _table(text: str, folder: Path) -> Report:
    """Counts of the table with which it ends, findings of its log."""
    found = _COUNTS.findall(text)
    assert found, f"no counts in what it printed:\n{text[-2000:]}"
    log = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.log"))
    failures = [line for line in log.splitlines() if "FAIL - " in line]
    return Report(
        *map(int, found[-1]),
        findings=frozenset(_FINDING.findall(log)),
        failures=tuple(failures[:20]),
        visited=tuple(dict.fromkeys(_VISITED.findall(text))),
    )


def _writable_copy(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    return target


@contextlib.contextmanager
def small_emulator(folder: Path, *arguments: object) -> Iterator[Running]:
    """An emulator of two halls with six loops each, with its first good readings."""
    with emulator(folder / "state", "--facility", small_facility(folder), *arguments) as bmc:
        for uri in ("power/realtime", "thermal/status"):
            wait_until_ok(bmc, f"/redfish/v1/dcpi/{uri}")
        yield bmc


def wait_until_ok(bmc: Running, uri: str) -> None:
    """Until the readings at that resource of the DCPI tree are good."""
    wait_for(
        lambda: (a := bmc.ask("GET", uri)).status == 200 and a.body["Quality"] == "ok",
        60,
        f"{uri} with quality ok",
    )


def small_facility(folder: Path) -> Path:
    """The shipped campus with two halls of four: as much as a validator has to see."""
    shipped = resources.files("emulator.plant").joinpath("facilities/campus-250mw.yaml")
    text = shipped.read_text(encoding="utf-8")
    assert text.count("\n  count: 4\n") == 1
    text = text.replace("\n  count: 4\n", "\n  count: 2\n")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "small-campus.yaml"
    path.write_text(text, encoding="utf-8")
    return path
