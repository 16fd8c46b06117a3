"""A converter with a crystal of its own and a transport that is late: what a free source shows.

Times are seconds on the system clock, from BASE_NS on. Row 0 of a block holds the true time of
every sample, so that a test sees where a window really lies, and row 1 its index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from drivers.waveforms.block import Block

BASE_NS = 1_795_000_000_040_000_000
"""UTC ns at which the converter begins: 40 ms into a window."""

Delay = Callable[[np.random.Generator, float], float]


def usual_delay(chance: np.random.Generator, now_s: float) -> float:
    """Median 0.08 ms, 99th percentile about 4 ms: a thread that wakes up on an idle machine."""
    return float(chance.exponential(0.115e-3) + (chance.random() < 0.03) * chance.exponential(4e-3))


def busy_delay(chance: np.random.Generator, now_s: float) -> float:
    """Mean 1 ms, with stalls of 20 to 60 ms in a hundredth of all blocks."""
    stall = chance.uniform(0.02, 0.06) if chance.random() < 0.01 else 0.0
    return float(chance.exponential(1e-3) + stall)


def blocks(
    seconds: float,
    *,
    rate_hz: float = 12_800.0,
    error_ppm: Callable[[float], float] = lambda _: 200.0,
    block_s: float = 0.05,
    burst: int = 1,
    delay: Delay = usual_delay,
    jump_s: Callable[[float], float] = lambda _: 0.0,
    lose: range = range(0),
    claims_utc: bool = False,
    seed: int = 1,
) -> Iterator[Block]:
    """Blocks of `block_s`, in bursts, from a converter that is `error_ppm(t)` fast.

    `jump_s(t)` is added to the system clock's time of what is sampled and received at t: a step of
    that clock, or time that the converter lost. Of the samples in `lose`, none arrives.
    """
    chance = np.random.default_rng(seed)
    count = round(rate_hz * block_s)
    now_s, index, last_s = 0.0, 0, -np.inf
    waiting: list[tuple[int, np.ndarray]] = []
    while now_s < seconds:
        period_s = 1.0 / (rate_hz * (1.0 + error_ppm(now_s) * 1e-6))
        times = now_s + np.arange(count) * period_s
        now_s += count * period_s
        stamps = times + jump_s(now_s)
        kept = ~np.isin(np.arange(index, index + count), lose) if lose else np.ones(count, bool)
        if kept.any():
            first = index + int(np.argmax(kept))
            numbers = np.arange(index, index + count, dtype=float)
            waiting.append((first, np.stack((stamps[kept], numbers[kept]))))
        index += count
        if len(waiting) < burst:
            continue
        for first, samples in waiting:
            last_s = max(last_s, times[-1] + delay(chance, now_s))
            received_ns = BASE_NS + round((last_s + jump_s(now_s)) * 1e9)
            yield Block(first, samples, received_ns=received_ns, claims_utc=claims_utc)
        waiting.clear()
