"""The files of a check: valid, complete and harmless."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from drivers.check import (
    SCHEMA,
    Finding,
    Observations,
    Verdict,
    document,
    judge,
    junit,
    overall,
    sentence,
    write_files,
)
from drivers.check.bus_tap import Record
from drivers.check.limits import quantity_of
from drivers.check.observations import Load, PointObservation, Proof, Pull, Reference, Suspicion
from drivers.check.series import Series
from drivers.codec import PointCodec
from drivers.engine import DeviceStatistics
from drivers.profile import Profile

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture
def seen(station: Profile) -> Observations:
    """A made-up run in which something of everything happened."""
    times = 1_767_222_000.0 + np.arange(0.0, 20.0, 0.1)
    wave = np.sin(np.arange(len(times)) / 30.0)
    points = {}
    for name, point in station.points.items():
        values = Series.of(list(times), list(20.0 + wave))
        points[name] = PointObservation(
            name=name, unit=PointCodec(point).unit, quantity=quantity_of(station, point),
            monotonic=point.monotonic, resolution=0.0, own_range=None, source_s=0.04,
            polled=values, fast=values, ok_share=1.0, qualities={},
            reference=replace(values, uncertainty=np.full(len(times), 0.01)),
        )  # fmt: skip
    points["pressure.loop"] = replace(
        points["pressure.loop"], polled=Series.of([], []), fast=Series.of([], []),
        ok_share=0.0, qualities={"comm-error": 1.0},
    )  # fmt: skip
    return Observations(
        profile=station, target="tcp://127.0.0.1:5020", unit=1, started_at=float(times[0]),
        duration_s=20.0, points=points, statistics=DeviceStatistics(200, 3, 1, 0, HOSTILE),
        golden=[Proof("a", True)], identify=[Proof(HOSTILE, False, HOSTILE)],
        load=Load(1.0, np.array([0.001, 0.002]), 0, 0), pulls=[Pull("cable", None)],
        suspicions=[Suspicion(HOSTILE, HOSTILE)], reference=Reference(HOSTILE), notes=[HOSTILE],
    )  # fmt: skip


class _Page(HTMLParser):
    """Which tags and references a page has, and whether all tags are closed in order."""

    _VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(seen: Observations, tmp_path: Path) -> None:
    """One file without script or reference; what a device says is text, never markup."""
    findings = judge(seen)
    write_files(tmp_path, seen, findings, [])
    text = (tmp_path / "report.html").read_text()
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.references == []
    assert "script" not in page.tags
    assert "&lt;script&gt;" in text
    assert "<1>" not in text  # of the model's name
    assert {"svg", "table", "details"} <= page.tags
    assert len(text) < 400_000
    for finding in findings:
        assert finding.verdict.value in text


def test_the_json_keeps_its_schema(seen: Observations, tmp_path: Path) -> None:
    """The schema is JSON Schema 2020-12 and the report is valid; every finding is in it."""
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    findings = judge(seen)
    write_files(tmp_path, seen, findings, [])
    report = json.loads((tmp_path / "report.json").read_text())
    Draft202012Validator(schema).validate(report)
    assert report["verdict"] == "FAIL"
    assert len(report["findings"]) == len(findings) == sum(report["counts"].values())
    assert report["points"]["flow.loop"]["refresh_interval_s"] == pytest.approx(0.1)
    assert report == json.loads(json.dumps(document(seen, findings)))


def test_junit_counts_what_is_not_proven_as_skipped(seen: Observations) -> None:
    """Failures are failures, INCONCLUSIVE and NOT APPLICABLE skipped, the rest passed."""
    findings = judge(seen)
    suite = ElementTree.fromstring(junit(seen, findings)).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert len(cases) == len(findings) == int(suite.attrib["tests"])
    failures = [case for case in cases if case.find("failure") is not None]
    assert len(failures) == int(suite.attrib["failures"])
    assert len(failures) == sum(f.verdict is Verdict.FAIL for f in findings)
    skipped = sum(case.find("skipped") is not None for case in cases)
    assert skipped == int(suite.attrib["skipped"])
    assert skipped == sum(
        f.verdict in (Verdict.INCONCLUSIVE, Verdict.NOT_APPLICABLE) for f in findings
    )


def test_the_trace_and_samples_are_written_out(seen: Observations, tmp_path: Path) -> None:
    """Each frame with its time and hex, each event in words, each sample in its unit."""
    records = [
        Record(1.5, "event", text="connected"),
        Record(2.0, "request", b"\x01\x03"),
        Record(2.001, "reply", b"\x01\x83\x02"),
    ]
    write_files(tmp_path, seen, judge(seen), records)
    lines = [json.loads(line) for line in (tmp_path / "bus-trace.jsonl").read_text().splitlines()]
    assert lines == [
        {"time_s": 1.5, "kind": "event", "text": "connected"},
        {"time_s": 2.0, "kind": "request", "hex": "0103"},
        {"time_s": 2.001, "kind": "reply", "hex": "018302"},
    ]
    samples = (tmp_path / "samples.csv").read_text().splitlines()
    assert samples[0] == "point,unit,source,time,value"
    assert samples[1].startswith("flow.loop,L/min,device,1767222000.000000,20.0")


def _found(*verdicts: Verdict, clause: str = "7.2.2") -> list[Finding]:
    return [Finding("r", "Flow: rate", clause, verdict, "why", "p") for verdict in verdicts]


def test_the_weightiest_verdict_is_the_whole() -> None:
    """One failure fails all; what is not proven keeps the whole from passing, and is named."""
    good, open_, bad = Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL
    assert overall(_found(good, Verdict.NOT_APPLICABLE)) is good
    assert overall(_found(good, open_)) is open_
    assert overall(_found(open_, bad, good)) is bad
    assert "not proven: flow: rate (p)" in sentence(_found(good, open_))
    assert sentence(_found(good)) == "It meets all that the standard asks of it."
    assert sentence(_found(bad)).startswith("It fails: flow: rate (p)")
    assert "integrating" in sentence(_found(good, clause="bench") + _found(good)[:0])
