"""What a waveform source hands over: blocks of consecutive samples of all channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.floating[Any]]
"""float32 or float64, shape (2 × phases, samples): voltages in V, then currents in A."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive samples of one source.

    `first_index` counts from the source's sample 0. `samples` has shape (2 × phases, n), is
    C-contiguous, holds the voltages in V in its first `phases` rows and the currents in A in the
    others, and is only valid until the source's next read. `flags` say what is unusual about
    these samples, for example `seam` where a replayed recording begins again. `received_ns` is the
    system clock's UTC time in ns at which the last of them arrived, from a source whose rate is its
    own and must be measured; None from one that keeps UTC by itself. `claims_utc` is a source that
    says so and can be wrong: it is believed until its arrivals contradict it.
    """

    first_index: int
    samples: Samples
    flags: frozenset[str] = frozenset()
    received_ns: int | None = None
    claims_utc: bool = False


class WaveformSource(Protocol):
    """Samples that come by themselves, at the rate of the source's own clock.

    Sample i was taken at `epoch_ns` + i·10⁹/`sample_rate_hz` nanoseconds UTC, the current of phase
    k `skew_s[k]` seconds later than its voltage. The attributes hold after `open`, which may
    change them; one thread opens, reads and closes.
    """

    phases: int
    sample_rate_hz: float
    epoch_ns: int
    skew_s: Sequence[float]

    def open(self) -> None:
        """Start the flow of samples; raises TransportError when the peer is not there."""

    def read(self, timeout_s: float) -> Block | None:
        """The next block, or None when none came in time.

        `first_index` never goes back; a jump ahead means that the samples between are lost.
        Raises TransportError when the peer is lost: open again.
        """

    def close(self) -> None:
        """Release what `open` took; harmless when nothing is open."""
