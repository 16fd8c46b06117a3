"""What a check observed of a device, before anything is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drivers.check.series import FloatArray, Series
from drivers.engine import DeviceStatistics
from drivers.profile_types import Profile


@dataclass(frozen=True, slots=True)
class PointObservation:
    """One point: `polled` by the engine, `fast` as quickly as the bus allows, in canonical units.

    `ok_share` is the share of the time in which the point had a value, `qualities` the shares of
    the others. `reference` are the samples of the same quantity by the reference.
    """

    name: str
    unit: str
    quantity: str | None
    monotonic: bool
    resolution: float
    own_range: tuple[float, float] | None
    source_s: float
    polled: Series
    fast: Series
    ok_share: float
    qualities: Mapping[str, float]
    reference: Series | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that holds or not: a golden vector, a condition, a cross-check. None: not told."""

    text: str
    holds: bool | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """Back-to-back reads: `latency_s` of shape (answered,), `lost` unanswered, `refused` not."""

    seconds: float
    latency_s: FloatArray
    lost: int
    refused: int


@dataclass(frozen=True, slots=True)
class Pull:
    """A connection that went away; `recovered_s` until all was read again, None if never."""

    kind: str
    recovered_s: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class WrongRequest:
    """A request that must be refused: `answer` in words, whether it was `refused`, and `alive`."""

    kind: str
    sent: bytes
    answer: str
    refused: bool
    alive: bool


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A way to read the device under which the values fit, and what speaks for it."""

    text: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What the device was compared with; `simulated` when it told that it is no real device."""

    text: str
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything of one run. Times in Unix seconds; None is what was not looked at.

    `poll_requests` is how many requests fetch all points once.
    """

    profile: Profile
    target: str
    unit: int
    started_at: float
    duration_s: float
    points: Mapping[str, PointObservation]
    statistics: DeviceStatistics
    simulated: bool = False
    golden: Sequence[Proof] = ()
    identify: Sequence[Proof] = ()
    checks: Sequence[Proof] = ()
    load: Load | None = None
    poll_requests: int = 1
    pulls: Sequence[Pull] = ()
    wrong_requests: Sequence[WrongRequest] | None = None
    writes: Sequence[Proof] | None = None
    suspicions: Sequence[Suspicion] = ()
    reference: Reference | None = None
    notes: Sequence[str] = field(default=())
