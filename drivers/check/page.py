"""The report as one HTML file: readable without network or script, in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import numpy as np

from drivers.check.finding import BENCH, Finding, Verdict, overall
from drivers.check.judge_accuracy import compare
from drivers.check.limits import LIMITS, Limit, unit_text
from drivers.check.observations import Observations, PointObservation
from drivers.check.plots import Mark, Trace, plot
from drivers.check.summary import counts, sentence

_STYLE = Path(__file__).with_name("page.css")


def page(seen: Observations, findings: Sequence[Finding]) -> str:
    """The whole document."""
    title = f"{seen.profile.vendor} {seen.profile.model}: check against DCPI"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE.read_text('utf-8')}</style></head><body>",
        *_head(seen, findings, title),
        *_callouts(seen),
        *_standard(findings),
        *_integration(findings),
        *_points(seen, findings),
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _badge(verdict: Verdict, more: str = "") -> str:
    return f'<span class="badge {verdict.value} {more}">{verdict.value}</span>'


def _head(seen: Observations, findings: Sequence[Finding], title: str) -> Iterable[str]:
    began = datetime.fromtimestamp(seen.started_at, UTC)
    reference = "none" if seen.reference is None else seen.reference.text
    facts = {
        "Profile": f"{seen.profile.id} ({seen.profile.kind})",
        "Device": f"{seen.target}, unit {seen.unit}",
        "Reference": reference,
        "Watched": f"{seen.duration_s:g} s in service, from {began:%Y-%m-%d %H:%M:%S} UTC",
        "Polls": f"{seen.statistics.polls}, {seen.statistics.errors} errors, "
        f"{seen.statistics.missed_slots} missed slots",
    }
    yield f"<header><h1>{escape(title)}</h1>"
    yield f'<p class="counts">{_badge(overall(findings), "verdict")}'
    yield " ".join(f"<span>{_badge(verdict)} {n}</span>" for verdict, n in counts(findings).items())
    yield f"</p><p>{escape(sentence(findings))}</p><dl>"
    yield from (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    yield "</dl></header>"


def _callouts(seen: Observations) -> Iterable[str]:
    if seen.simulated:
        yield (
            '<div class="call">The device says that it is a simulation. This report shows what the '
            "bench finds, and proves nothing about any real device.</div>"
        )
    if seen.suspicions:
        entries = "".join(
            f"<li><strong>{escape(each.text)}</strong> ({escape(each.evidence)})</li>"
            for each in seen.suspicions
        )
        yield f'<div class="call FAIL">The values do not fit, but:<ul>{entries}</ul></div>'
    if seen.notes:
        entries = "".join(f"<li>{escape(note)}</li>" for note in seen.notes)
        yield f'<div class="call"><ul>{entries}</ul></div>'


def _standard(findings: Sequence[Finding]) -> Iterable[str]:
    asked = [finding for finding in findings if finding.clause != BENCH]
    if asked:
        yield "<h2>What the standard asks</h2>"
        yield from _table(asked, clause=True)


def _integration(findings: Sequence[Finding]) -> Iterable[str]:
    yield "<h2>What integrating it asks</h2>"
    yield from _table([f for f in findings if f.clause == BENCH and f.point is None], clause=False)


def _table(findings: Iterable[Finding], *, clause: bool) -> Iterable[str]:
    """A row a finding; with `clause` those of one point stand under its name."""
    columns = ["Requirement", *(["Clause"] if clause else []), "Limit", "Measured", "Why"]
    heads = "".join(f"<th>{column}</th>" for column in ["Verdict", *columns])
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    last: str | None = None
    for finding in findings:
        if clause and finding.point != last and finding.point is not None:
            what = finding.title.partition(": ")[0]
            yield f'<tr class="group"><th colspan="{len(columns) + 1}" scope="colgroup">'
            yield f"{escape(finding.point)} <span>{escape(what)}</span></th></tr>"
        last = finding.point
        yield _row(finding, columns, short=clause and finding.point is not None)
    yield "</tbody></table>"


def _row(finding: Finding, columns: Sequence[str], *, short: bool) -> str:
    title = finding.title.partition(": ")[2] if short else finding.title
    cells = {
        "Requirement": title[:1].upper() + title[1:],
        "Clause": finding.clause,
        "Limit": finding.limit,
        "Measured": finding.measured,
        "Why": finding.reason,
    }
    shown = "".join(f'<td data-label="{name}">{escape(cells[name])}</td>' for name in columns)
    return f"<tr><td>{_badge(finding.verdict)}</td>{shown}</tr>"


def _points(seen: Observations, findings: Sequence[Finding]) -> Iterable[str]:
    yield "<h2>Point by point</h2>"
    for point in seen.points.values():
        own = [finding for finding in findings if finding.point == point.name]
        verdict = overall(own)
        shown = " open" if point.quantity and len(seen.points) <= _OPEN_POINTS else ""
        what = LIMITS[point.quantity].title if point.quantity else "not judged by the standard"
        yield f"<details{shown}><summary>{_badge(verdict)}<h3>{escape(point.name)}</h3>"
        yield f'<span class="soft">{escape(what)}, {escape(unit_text(point.unit))}</span></summary>'
        yield '<div class="inside">'
        yield f'<div class="plots">{"".join(_plots(point, seen.started_at))}</div>'
        yield from _table([f for f in own if f.clause == BENCH], clause=False)
        yield "</div></details>"


# With more, the reader opens what is of interest.
_OPEN_POINTS = 12


def _plots(point: PointObservation, began: float) -> Iterable[str]:
    limit = LIMITS[point.quantity] if point.quantity else None
    yield _values(point, began)
    yield _errors(point, limit)
    yield _intervals(point, limit, began)


def _values(point: PointObservation, began: float) -> str:
    traces = [Trace(point.polled.time_s - began, point.polled.value, "device", "device")]
    if point.reference is not None and len(point.polled):
        near = (point.reference.time_s >= point.polled.time_s[0] - 1.0) & (
            point.reference.time_s <= point.polled.time_s[-1] + 1.0
        )
        beside = point.reference.where(near)
        traces.insert(0, Trace(beside.time_s - began, beside.value, "reference", "reference"))
    return plot("In service", "seconds", unit_text(point.unit), traces)


def _errors(point: PointObservation, limit: Limit | None) -> str:
    comparison = compare(point) if limit is not None else None
    if comparison is None or limit is None:
        return ""
    found = comparison.errors
    allowed = np.array([limit.at(value) for value in found.reference])
    share = 100.0 * found.error / np.maximum(allowed, 1e-300)
    return plot(
        "Errors over the range, in % of the limit",
        f"reference, {unit_text(point.unit)}",
        "% of the limit",
        [Trace(found.reference, share, "device − reference", "device", dots=True)],
        [Mark(100.0, "limit"), Mark(-100.0, "limit")],
    )


def _intervals(point: PointObservation, limit: Limit | None, began: float) -> str:
    fresh = point.fast.fresh()
    if len(fresh) < 2:
        return ""
    asked_s = limit.interval_s if limit is not None else None
    marks = [] if asked_s is None else [Mark(1000.0 * asked_s, "limit")]
    return plot(
        "Time from change to change, under fast polling",
        "seconds",
        "ms",
        [
            Trace(
                fresh.time_s[1:] - began,
                1000.0 * np.diff(fresh.time_s),
                "interval",
                "device",
                dots=True,
            )
        ],
        marks,
    )
