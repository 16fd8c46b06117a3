"""A check's files: page, JSON, JUnit, samples and bus trace."""

from __future__ import annotations

import csv
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from drivers.check.bus_tap import Record
from drivers.check.finding import Finding, Verdict, overall
from drivers.check.judge_interval import best_refresh
from drivers.check.observations import Observations
from drivers.check.page import page
from drivers.check.summary import counts, sentence

FORMAT = "dcpi-check/1"
SCHEMA = Path(__file__).with_name("check-report.schema.json")


def write_files(
    folder: Path, seen: Observations, findings: Sequence[Finding], records: Iterable[Record]
) -> None:
    """All files into a folder, which is made when it is not there; OSError says what cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.html").write_text(page(seen, findings), "utf-8")
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    (folder / "report.json").write_bytes(orjson.dumps(document(seen, findings), option=options))
    (folder / "junit.xml").write_bytes(junit(seen, findings))
    with (folder / "bus-trace.jsonl").open("wb") as trace:
        for record in records:
            trace.write(orjson.dumps(_traced(record), option=orjson.OPT_APPEND_NEWLINE))
    with (folder / "samples.csv").open("w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows(_samples(seen))


def document(seen: Observations, findings: Sequence[Finding]) -> dict[str, Any]:
    """The report for programs, by check-report.schema.json."""
    profile = seen.profile
    return {
        "report": FORMAT,
        "verdict": overall(findings).value,
        "summary": sentence(findings),
        "counts": {verdict.value: n for verdict, n in counts(findings).items()},
        "device": {
            "profile": profile.id,
            "vendor": profile.vendor,
            "model": profile.model,
            "kind": profile.kind,
            "target": seen.target,
            "unit": seen.unit,
            "simulated": seen.simulated,
        },
        "reference": None if seen.reference is None else asdict(seen.reference),
        "started_at": datetime.fromtimestamp(seen.started_at, UTC).isoformat(),
        "duration_s": seen.duration_s,
        "statistics": asdict(seen.statistics),
        "findings": [_finding(finding) for finding in findings],
        "points": {name: _point(seen, name) for name in seen.points},
        "suspicions": [asdict(each) for each in seen.suspicions],
        "notes": list(seen.notes),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "requirement": finding.requirement,
        "title": finding.title,
        "point": finding.point,
        "clause": finding.clause,
        "verdict": finding.verdict.value,
        "reason": finding.reason,
        "limit": finding.limit,
        "measured": finding.measured,
        "numbers": {name: _number(value) for name, value in finding.numbers.items()},
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _point(seen: Observations, name: str) -> dict[str, Any]:
    point = seen.points[name]
    refresh = best_refresh(point)
    return {
        "unit": point.unit,
        "quantity": point.quantity,
        "ok_share": point.ok_share,
        "samples": len(point.polled),
        "declared_interval_s": point.source_s,
        "refresh_interval_s": _number(refresh.interval_s),
        "changes": refresh.changes,
    }


def junit(seen: Observations, findings: Sequence[Finding]) -> bytes:
    """The report for test runners: a finding is a case, what is not proven is skipped there."""
    tally = counts(findings)
    skipped = tally[Verdict.INCONCLUSIVE] + tally[Verdict.NOT_APPLICABLE]
    suite = ElementTree.Element(
        "testsuite",
        name=f"{seen.profile.id} at {seen.target}",
        tests=str(len(findings)),
        failures=str(tally[Verdict.FAIL]),
        errors="0",
        skipped=str(skipped),
        timestamp=datetime.fromtimestamp(seen.started_at, UTC).isoformat(timespec="seconds"),
        time=f"{seen.duration_s:g}",
    )
    for finding in findings:
        where = f"{seen.profile.id}.{finding.point or 'device'}".replace(" ", "_")
        name = f"{finding.title} [{finding.clause}]"
        case = ElementTree.SubElement(suite, "testcase", classname=where, name=name, time="0")
        if finding.verdict is Verdict.PASS:
            continue
        tag = "failure" if finding.verdict is Verdict.FAIL else "skipped"
        text = f"{finding.verdict.value}: {finding.reason}"
        ElementTree.SubElement(
            case, tag, message=text
        ).text = f"limit {finding.limit}, measured {finding.measured}"
    root = ElementTree.Element("testsuites")
    root.append(suite)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _traced(record: Record) -> dict[str, Any]:
    facts: dict[str, Any] = {"time_s": round(record.time_s, 6), "kind": record.kind}
    if record.kind == "event":
        return facts | {"text": record.text}
    return facts | {"hex": record.data.hex()}


def _samples(seen: Observations) -> Iterable[Sequence[Any]]:
    yield ("point", "unit", "source", "time", "value")
    for point in seen.points.values():
        sources = {"device": point.polled, "fast": point.fast, "reference": point.reference}
        for source, series in sources.items():
            if series is None:
                continue
            for when, value in zip(series.time_s, series.value, strict=True):
                shown = "" if math.isnan(value) else repr(float(value))
                yield (point.name, point.unit, source, f"{when:.6f}", shown)
