"""Verdicts on the device as such: what integrating it asks for, whatever it measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from drivers.check.finding import BENCH, Finding, Verdict
from drivers.check.judge_interval import (
    best_refresh,
    interval_verdict,
    refresh_numbers,
    refresh_text,
    stuck,
)
from drivers.check.judge_sensor import judge_point
from drivers.check.limits import LIMITS, RECOVERY_CLAUSE, RECOVERY_S, unit_text
from drivers.check.observations import Observations, PointObservation, Proof
from drivers.check.series import Series, falls

# A source interval that is declared wrong by more than this is misleading.
_DECLARED_SLACK = 1.5
_POLLS = 3.0
# One lost answer may be the checking machine's own fault.
_STRAY = 1
# A slot in a hundred may be missed; more and the poll interval is not kept.
_MISSED_SHARE = 0.01


def judge(seen: Observations) -> list[Finding]:
    """All findings, the device's first, then point by point."""
    found = [
        _proofs(
            "golden",
            "Golden vectors decode as their sources say",
            seen.golden,
            "the profile has none for registers",
        ),
        _proofs("identify", "Identify conditions hold", seen.identify, "the profile has none"),
        _proofs("cross-checks", "Cross-checks hold all the time", seen.checks, "it has none"),
        _answers(seen),
        _poll_interval(seen),
        _load(seen),
        *_pulls(seen),
        *_wrong_requests(seen),
        *_writes(seen),
    ]
    ambient = _ambient(seen)
    for point in seen.points.values():
        found.append(_values(point, seen.statistics.errors))
        found.extend(_own_interval(point))
        found.extend(_monotonic(point))
        if point.quantity is not None:
            found.extend(judge_point(point, LIMITS[point.quantity], seen.reference, ambient))
    return found


def _ambient(seen: Observations) -> Series | None:
    """A temperature of the device that the standard asks nothing of: its own."""
    own = (p.polled for p in seen.points.values() if p.unit == "Cel" and p.quantity is None)
    return next(own, None)


def _proofs(name: str, title: str, proofs: Sequence[Proof], none: str) -> Finding:
    if not proofs:
        return Finding(name, title, BENCH, Verdict.NOT_APPLICABLE, none)
    wrong = [proof for proof in proofs if proof.holds is False]
    untold = [proof for proof in proofs if proof.holds is None]
    if wrong:
        verdict, shown = Verdict.FAIL, wrong
    elif untold:
        verdict, shown = Verdict.INCONCLUSIVE, untold
    else:
        verdict, shown = Verdict.PASS, []
    reason = "; ".join(
        f"{proof.text} ({proof.note})" if proof.note else proof.text for proof in shown
    )
    held = sum(proof.holds is True for proof in proofs)
    return Finding(
        name, title, BENCH, verdict, reason or "all of them", measured=f"{held} of {len(proofs)}"
    )


def _answers(seen: Observations) -> Finding:
    polls, errors = seen.statistics.polls, seen.statistics.errors
    title, text = "Answers every poll", "none lost or refused"
    numbers = {"polls": float(polls), "errors": float(errors)}
    measured = f"{errors} errors beside {polls} polls"
    if errors > _STRAY or (errors and not polls):
        verdict, reason = Verdict.FAIL, seen.statistics.last_error or ""
    elif errors:
        stray = "once only, it may have been this machine: check longer"
        verdict, reason = Verdict.INCONCLUSIVE, f"{seen.statistics.last_error} ({stray})"
    elif polls:
        verdict, reason = Verdict.PASS, f"in {seen.duration_s:.0f} s"
    else:
        verdict, reason = Verdict.FAIL, "it never answered"
    return Finding("answers", title, BENCH, verdict, reason, None, text, measured, numbers)


def _poll_interval(seen: Observations) -> Finding:
    polls, missed = seen.statistics.polls, seen.statistics.missed_slots
    share = missed / max(1, polls + missed)
    verdict, reason = Verdict.PASS, "slots missed"
    if not polls:
        verdict, reason = Verdict.FAIL, "it never answered"
    elif share > _MISSED_SHARE and _quick_enough(seen):
        verdict, reason = Verdict.INCONCLUSIVE, "its answers are quick: this machine was late"
    elif share > _MISSED_SHARE:
        verdict, reason = Verdict.FAIL, "it answers too slowly for them"
    return Finding(
        "poll-interval",
        "Keeps up with the profile's poll intervals",
        BENCH,
        verdict,
        reason,
        None,
        f"≤ {100 * _MISSED_SHARE:g} % of slots missed",
        f"{100 * share:.3g} % of {polls + missed}",
        {"missed_share": share},
    )


def _quick_enough(seen: Observations) -> bool:
    """Whether its usual answers leave most of the fastest interval free."""
    if seen.load is None or not len(seen.load.latency_s) or seen.load.lost:
        return False
    fastest_s = min(group.every_s for group in seen.profile.groups.values())
    return float(np.median(seen.load.latency_s)) * seen.poll_requests < fastest_s / 2.0


def _load(seen: Observations) -> Finding:
    title, load = "Back-to-back reads", seen.load
    limit_s = seen.profile.transport.timeout_s
    text = f"none lost, 99 % within {1000 * limit_s:g} ms"
    if load is None or not len(load.latency_s):
        reason = "no request was answered" if load is not None else "not tried"
        verdict = Verdict.FAIL if load is not None else Verdict.NOT_APPLICABLE
        return Finding("load", title, BENCH, verdict, reason, None, text)
    middle, late, latest = np.quantile(load.latency_s, (0.5, 0.99, 1.0))
    bad = load.lost + load.refused > _STRAY or late > limit_s
    rate = len(load.latency_s) / load.seconds
    return Finding(
        "load",
        title,
        BENCH,
        Verdict.FAIL if bad else Verdict.INCONCLUSIVE if load.lost + load.refused else Verdict.PASS,
        f"{load.lost} lost, {load.refused} refused of "
        f"{len(load.latency_s) + load.lost + load.refused}",
        None,
        text,
        f"{rate:.0f} reads/s, median {1000 * middle:.3g} ms, 99 % {1000 * late:.3g} ms, "
        f"slowest {1000 * latest:.3g} ms",
        {
            "reads_per_s": rate,
            "median_s": float(middle),
            "p99_s": float(late),
            "slowest_s": float(latest),
            "lost": float(load.lost),
            "refused": float(load.refused),
        },
    )


def _pulls(seen: Observations) -> Iterator[Finding]:
    for pull in seen.pulls:
        back = pull.recovered_s
        good = back is not None and back <= RECOVERY_S
        yield Finding(
            "reconnect",
            f"Reads again after: {pull.kind}",
            RECOVERY_CLAUSE,
            Verdict.PASS if good else Verdict.FAIL,
            pull.note or ("all points read again" if good else "it was not read again in time"),
            None,
            f"≤ {RECOVERY_S:g} s",
            "" if back is None else f"{back:.3g} s",
            {"recovered_s": back},
        )


def _wrong_requests(seen: Observations) -> Iterator[Finding]:
    title = "Refuses a wrong request and lives"
    if seen.wrong_requests is None:
        reason = "made for Modbus, over a byte stream, only"
        yield Finding("wrong-request", title, BENCH, Verdict.NOT_APPLICABLE, reason)
        return
    for request in seen.wrong_requests:
        good = request.refused and request.alive
        alive = "" if request.alive else "; afterwards it answered nothing"
        yield Finding(
            "wrong-request",
            f"{title}: {request.kind}",
            BENCH,
            Verdict.PASS if good else Verdict.FAIL,
            f"{request.answer}{alive}",
            None,
            "an exception, then a good answer",
            f"sent {request.sent.hex(' ')}",
        )


def _writes(seen: Observations) -> Iterator[Finding]:
    if seen.writes is None:
        reason = "no write was allowed (--allow-writes)"
        yield Finding("writes", "Takes over what is written", BENCH, Verdict.NOT_APPLICABLE, reason)
    else:
        yield _proofs(
            "writes", "Takes over what is written", seen.writes, "it has no writable point"
        )


def _values(point: PointObservation, errors: int) -> Finding:
    """Whether the point has a value at all; absent may be its right state, out of range never."""
    title, measured = "Has values", f"{100 * point.ok_share:.4g} % of the time"
    others = ", ".join(f"{quality} {100 * share:.3g} %" for quality, share in
                       point.qualities.items())  # fmt: skip
    bad = {"out-of-range", "comm-error"} & point.qualities.keys()
    if point.ok_share > 0.0 and bad == {"comm-error"} and errors <= _STRAY:
        verdict = Verdict.INCONCLUSIVE
    elif bad:
        verdict = Verdict.FAIL
    elif point.ok_share == 0.0:
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.PASS if point.ok_share > 0.99 else Verdict.FAIL
    return Finding(
        "values",
        title,
        BENCH,
        verdict,
        others or "ok",
        point.name,
        "in range, not stale",
        measured,
        {"ok_share": point.ok_share},
    )


def _own_interval(point: PointObservation) -> Iterator[Finding]:
    """What the profile declares as the device's measuring interval, against what is seen."""
    seen = best_refresh(point)
    # What is faster than it can be asked need not be seen to be so.
    longest_s = max(_DECLARED_SLACK * point.source_s, _POLLS * np.nan_to_num(seen.poll_s))
    verdict, reason = interval_verdict(seen, longest_s)
    if stuck(point):
        verdict, reason = Verdict.FAIL, "the value never changed while the reference moved"
    elif seen.interval_s is None and point.quantity is None:
        # Quantities that may stand still for ever (limits, states, serial numbers) say nothing.
        verdict = Verdict.NOT_APPLICABLE
    yield Finding(
        "own-interval",
        "Measures as often as the profile says",
        BENCH,
        verdict,
        reason,
        point.name,
        f"every {1000 * point.source_s:g} ms",
        refresh_text(seen),
        refresh_numbers(seen),
    )


def _monotonic(point: PointObservation) -> Iterator[Finding]:
    if not point.monotonic:
        return
    fallen = np.concatenate([falls(s, point.resolution) for s in (point.fast, point.polled)])
    yield Finding(
        "monotonic",
        "Counts upwards only",
        BENCH,
        Verdict.FAIL if len(fallen) else Verdict.PASS,
        f"fell {len(fallen)} times" if len(fallen) else "never fell",
        point.name,
        "no fall",
        f"by up to {fallen.max():.4g} {unit_text(point.unit)}" if len(fallen) else "",
    )
