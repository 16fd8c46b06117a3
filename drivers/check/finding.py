"""What a check finds: one verdict a requirement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """What is known of a requirement; INCONCLUSIVE is neither good nor bad: it is not proven."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_APPLICABLE = "NOT APPLICABLE"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one requirement, of one point or of the device (`point` None).

    `clause` is the standard's, or "bench" for what only integration asks. `limit` and `measured`
    are texts for people, `numbers` the same for programs (units in the names).
    """

    requirement: str
    title: str
    clause: str
    verdict: Verdict
    reason: str
    point: str | None = None
    limit: str = ""
    measured: str = ""
    numbers: Mapping[str, float | None] = field(default_factory=dict)


BENCH = "bench"


def overall(findings: Iterable[Finding]) -> Verdict:
    """The weightiest verdict: FAIL, then INCONCLUSIVE, PASS, NOT APPLICABLE."""
    verdicts = {finding.verdict for finding in findings}
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    return next((v for v in order if v in verdicts), Verdict.NOT_APPLICABLE)
