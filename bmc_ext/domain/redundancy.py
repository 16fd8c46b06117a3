"""Several sensors of one quantity: which value holds, which are lost and which disagree.

- A member is usable when its quality is OK; the others are lost, and named. Without a usable one
  the value is unknown, with the best quality that is left.
- Three and more: the median (of an even number the mean of the middle two). Who is further from
  it than the limit disagrees.
- Two within the limit: their mean. Beyond it nobody can tell which is right: who was not outvoted
  before wins, then who is not doubtful, then the smaller uncertainty, then the order of
  configuration; the other disagrees, and the uncertainty covers both.
- One: its value. If it was outvoted before, its uncertainty is unknown.
- The uncertainty of a mean or median is that of its members, as root sum square, and never less
  than the median of all members' distances from it: what most of them contradict is not known so
  well, whatever their certificates say.

Texts hold no readings: a condition stays the same one from window to window.

A member that disagreed stays suspect until it agrees again, so that a biased sensor does not take
over when a good one dies.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from bmc_ext.domain.quality import best_quality
from drivers.reading import Condition, Quality

Method = Literal["median", "mean", "preferred", "single", "none"]
"""How the value came about; `preferred` is one of two that disagree."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How far two sensors may differ: percent of the larger magnitude plus absolute, in the unit.

    With `at_least_own` it is never less than both their uncertainties together.
    """

    percent: float = 0.0
    absolute: float = 0.0
    at_least_own: bool = False

    def between(self, first: Member, second: Member) -> float:
        """The largest difference that is agreement."""
        a, b = first.value or 0.0, second.value or 0.0
        limit = self.percent / 100.0 * max(abs(a), abs(b)) + self.absolute
        if self.at_least_own:
            limit = max(limit, (first.uncertainty or 0.0) + (second.uncertainty or 0.0))
        return limit


DEFAULT_LIMITS = {
    "W": Limit(percent=1.0, at_least_own=True),
    "Cel": Limit(absolute=0.2, at_least_own=True),
    "L/min": Limit(percent=2.0, at_least_own=True),
    "bar": Limit(absolute=0.05, at_least_own=True),
    "%": Limit(absolute=2.0, at_least_own=True),
}
"""Two sensors that both just keep DCPI 5.2.3, Table 2, on opposite sides; % is a pump's speed."""


class Member(NamedTuple):
    """One sensor: its value in the group's unit, None is unknown.

    A doubtful value may be used, but not against one that is not: a clipped window's, for example.
    """

    name: str
    value: float | None
    quality: Quality
    uncertainty: float | None = None
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Redundancy:
    """The state of a group: its members by name, and what became of them."""

    method: Method
    members: tuple[Member, ...]
    used: tuple[str, ...]
    lost: tuple[str, ...]
    disagreeing: tuple[str, ...]
    suspects: frozenset[str] = frozenset()
    """Who disagreed, now or when it was last seen: for the next vote."""

    def state_of(self, name: str) -> Literal["used", "agreeing", "disagreeing", "lost"]:
        """What became of a member: its value is shown, or why it is not."""
        if name in self.used:
            return "used"
        if name in self.lost:
            return "lost"
        return "disagreeing" if name in self.disagreeing else "agreeing"


@dataclass(frozen=True, slots=True)
class Vote:
    """What a group reads. `value` is the mean over the members in `redundancy.used`."""

    value: float | None
    quality: Quality
    uncertainty: float | None
    redundancy: Redundancy
    conditions: tuple[Condition, ...]


def vote(members: Sequence[Member], limit: Limit, *, suspects: Collection[str] = ()) -> Vote:
    """The group's value; `suspects` are those that disagreed in the vote before."""
    usable = [
        member for member in members if member.quality is Quality.OK and member.value is not None
    ]
    lost = [member for member in members if member not in usable]
    conditions = tuple(
        Condition("sensor-lost", member.name, f"{member.name} is lost: {member.quality}")
        for member in lost
    )
    result = _decide(usable, limit, suspects)
    disagreeing = tuple(member.name for member in result.disagreeing)
    redundancy = Redundancy(
        result.method,
        tuple(members),
        tuple(member.name for member in result.used),
        tuple(member.name for member in lost),
        disagreeing,
        frozenset(disagreeing) | {member.name for member in lost if member.name in suspects},
    )
    if not usable:
        quality = best_quality([member.quality for member in members if member.value is None])
        return Vote(None, quality, None, redundancy, conditions)
    value = math.fsum(member.value or 0.0 for member in result.used) / len(result.used)
    return Vote(
        value, Quality.OK, result.uncertainty, redundancy, (*conditions, *result.conditions)
    )


class _Decision(NamedTuple):
    method: Method
    used: list[Member]
    disagreeing: list[Member]
    uncertainty: float | None
    conditions: list[Condition]


def _decide(usable: list[Member], limit: Limit, suspects: Collection[str]) -> _Decision:
    if not usable:
        return _Decision("none", [], [], None, [])
    if len(usable) == 1:
        return _single(usable[0], suspects)
    if len(usable) == 2:
        return _pair(usable[0], usable[1], limit, suspects)
    return _median(usable, limit)


def _single(only: Member, suspects: Collection[str]) -> _Decision:
    if only.name not in suspects:
        return _Decision("single", [only], [], only.uncertainty, [])
    text = f"{only.name} is the only sensor left and disagreed with the others before"
    condition = Condition("sensor-disagrees", only.name, text)
    return _Decision("single", [only], [only], None, [condition])


def _pair(first: Member, second: Member, limit: Limit, suspects: Collection[str]) -> _Decision:
    difference = abs((first.value or 0.0) - (second.value or 0.0))
    known = first.uncertainty is not None and second.uncertainty is not None
    if difference <= limit.between(first, second):
        # Half of it is how far each is from their mean.
        mean = math.hypot(first.uncertainty or 0.0, second.uncertainty or 0.0) / 2
        uncertainty = max(mean, difference / 2) if known else None
        return _Decision("mean", [first, second], [], uncertainty, [])
    winner, loser = sorted((first, second), key=lambda member: _rank(member, suspects))
    uncertainty = None if winner.uncertainty is None else max(winner.uncertainty, difference)
    why = _why(_rank(winner, suspects), _rank(loser, suspects))
    text = (
        f"{winner.name} and {loser.name} differ by more than the limit, which is right is unknown; "
        f"{winner.name} is shown, {why}"
    )
    condition = Condition("sensor-disagrees", loser.name, text)
    return _Decision("preferred", [winner], [loser], uncertainty, [condition])


def _rank(member: Member, suspects: Collection[str]) -> tuple[bool, bool, float]:
    """The lower one is shown."""
    uncertainty = math.inf if member.uncertainty is None else member.uncertainty
    return member.name in suspects, member.is_doubtful, uncertainty


def _why(winner: tuple[bool, bool, float], loser: tuple[bool, bool, float]) -> str:
    reasons = ("it was not outvoted before", "the other is doubtful", "by its uncertainty")
    differing = [reason for reason, a, b in zip(reasons, winner, loser, strict=True) if a != b]
    return differing[0] if differing else "as the first one configured"


def _median(usable: list[Member], limit: Limit) -> _Decision:
    ordered = sorted(usable, key=lambda member: member.value or 0.0)
    half = len(ordered) // 2
    middle = ordered[half : half + 1] if len(ordered) % 2 else ordered[half - 1 : half + 1]
    value = math.fsum(member.value or 0.0 for member in middle) / len(middle)
    known = [member.uncertainty for member in middle if member.uncertainty is not None]
    uncertainty = math.hypot(*known) / len(middle) if len(known) == len(middle) else None
    centre = Member("median", value, Quality.OK, uncertainty)
    disagreeing = [
        member
        for member in usable
        if abs((member.value or 0.0) - value) > limit.between(centre, member)
    ]
    conditions = [
        Condition(
            "sensor-disagrees",
            member.name,
            f"{member.name} differs from the median by more than the limit",
        )
        for member in disagreeing
    ]
    if uncertainty is not None:
        spread = statistics.median(abs((member.value or 0.0) - value) for member in usable)
        uncertainty = max(uncertainty, spread)
    return _Decision("median", middle, disagreeing, uncertainty, conditions)
