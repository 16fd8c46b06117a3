"""The findings in a few words and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from drivers.check.finding import BENCH, Finding, Verdict, overall


def counts(findings: Sequence[Finding]) -> dict[Verdict, int]:
    """How many findings of each verdict, all four named."""
    found = Counter(finding.verdict for finding in findings)
    return {verdict: found[verdict] for verdict in Verdict}


def sentence(findings: Sequence[Finding]) -> str:
    """What the whole means, and what is not proven."""
    asked = [finding for finding in findings if finding.clause != BENCH]
    failed = [_name(f) for f in findings if f.verdict is Verdict.FAIL]
    untold = [_name(f) for f in asked if f.verdict is Verdict.INCONCLUSIVE]
    verdict = overall(findings)
    if verdict is Verdict.FAIL:
        return f"It fails: {_listed(failed)}."
    if not asked:
        return "Nothing that it measures is in the standard; integrating it holds no surprise."
    if untold:
        return f"Nothing fails, but this is not proven: {_listed(untold)}."
    return "It meets all that the standard asks of it." if verdict is Verdict.PASS else (
        "Nothing fails, but not all that integrating it asks is proven."
    )  # fmt: skip


_MOST_NAMED = 6


def _name(finding: Finding) -> str:
    title = finding.title[:1].lower() + finding.title[1:]
    return title if finding.point is None else f"{title} ({finding.point})"


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = len(unique) - _MOST_NAMED
    shown = "; ".join(unique[:_MOST_NAMED])
    return f"{shown}; and {more} more" if more > 0 else shown
