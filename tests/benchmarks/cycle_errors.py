"""Errors of 10/12-cycle values against closed forms, as a table for csrc/README.md.

    python -m tests.benchmarks.cycle_errors

Each row is 40 random three-phase lines of 1 s: frequency within 15 % of 50 or 60 Hz, THD 8 % over
all orders up to the highest that is reached, DC up to 1 %, any angle. Errors are the 95th
percentile and the largest; magnitudes are relative to the channel's fundamental, power to S,
distortion in percentage points.
"""

from __future__ import annotations

import click
import numpy as np

from bmc_ext.sampling.cycles import CycleAggregator, TenTwelveCycle

LINES = 40
NAMES = ("length %", "f mHz", "V, I %", "P % of S", "subgroups %", "groups %", "THDS pp")
ROWS: tuple[tuple[str, int, float | None], ...] = (
    ("12.8 kS/s, no noise", 12800, None),
    ("12.8 kS/s, 80 dB", 12800, 80.0),
    ("12.8 kS/s, 60 dB", 12800, 60.0),
    ("4.8 kS/s, no noise", 4800, None),
    ("25.6 kS/s, no noise", 25600, None),
    ("51.2 kS/s, no noise", 51200, None),
)


def random_line(
    rng: np.random.Generator, rate_hz: int, hz: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples (6, n), rms phasors (6, orders) and means of a line."""
    highest = min(50, int(0.49 * rate_hz / hz))
    sizes = np.repeat([rng.uniform(100, 20_000), rng.uniform(5, 1000)], 3)
    phasors = rng.exponential(size=(6, highest + 1)) * np.exp(2j * np.pi * rng.random((6, 1)))
    phasors = phasors * np.exp(2j * np.pi * rng.random((6, highest + 1)))
    phasors[:, :2] = 0
    phasors *= (0.08 * sizes / np.sqrt((np.abs(phasors) ** 2).sum(axis=1)))[:, None]
    angles = -2 * np.pi * np.tile(np.arange(3), 2) / 3 - np.repeat([0, rng.uniform(-3, 3)], 3)
    phasors[:, 1] = sizes * np.exp(1j * angles)
    means = 0.01 * sizes * rng.uniform(-1, 1, 6)
    turns = 2j * np.pi * hz * np.arange(rate_hz) / rate_hz
    waves = np.exp(np.arange(highest + 1)[:, None] * turns)
    return np.sqrt(2) * (phasors @ waves).real + means[:, None], phasors, means


def errors(rng: np.random.Generator, rate_hz: int, noise_db: float | None) -> list[list[float]]:
    """The errors of every channel of every interval of one line."""
    nominal = rng.choice([50, 60])
    hz = nominal * rng.uniform(0.851, 1.149)
    samples, phasors, means = random_line(rng, rate_hz, hz)
    if noise_db is not None:
        size = np.abs(phasors[:, 1:2]) * 10 ** (-noise_db / 20)
        samples = samples + size * rng.standard_normal(samples.shape)
    rms = np.sqrt((np.abs(phasors) ** 2).sum(axis=1) + means**2)
    power = (phasors[:3] * phasors[3:].conj()).real.sum(axis=1) + means[:3] * means[3:]
    found = []
    for result in CycleAggregator(3, rate_hz, nominal).feed(samples[:3], samples[3:]):
        if not isinstance(result, TenTwelveCycle):
            continue
        values = result.values
        for number in range(6):
            phase = values.phases[number % 3]
            channel = phase.voltage if number < 3 else phase.current
            wanted = np.abs(phasors[number, 1 : values.h_max + 1])
            thds = 100 * np.sqrt((wanted[1:] ** 2).sum()) / wanted[0]
            apparent = rms[number % 3] * rms[number % 3 + 3]
            subgroups = channel.subgroups[1 : values.h_max + 1] - wanted
            groups = channel.groups[1 : values.h_max + 1] - wanted
            found.append([
                100 * abs(values.duration_s * hz / values.cycles - 1),
                1000 * abs(values.frequency_hz - hz),
                100 * abs(channel.rms / rms[number] - 1),
                100 * abs(phase.p_w - power[number % 3]) / apparent,
                100 * np.abs(subgroups).max() / wanted[0],
                100 * np.abs(groups).max() / wanted[0],
                abs(channel.thds_percent - thds),
            ])  # fmt: skip
    return found


@click.command()
def main() -> None:
    """Print the table in Markdown."""
    print("| | " + " | ".join(NAMES) + " |")
    print("|---|" + "---|" * len(NAMES))
    for title, rate_hz, noise_db in ROWS:
        rng = np.random.default_rng(4)
        rows = np.array([row for _ in range(LINES) for row in errors(rng, rate_hz, noise_db)])
        pairs = zip(np.percentile(rows, 95, axis=0), rows.max(axis=0), strict=True)
        print(f"| {title} | " + " | ".join(f"{p95:.2g} / {most:.2g}" for p95, most in pairs) + " |")


if __name__ == "__main__":
    main()
