"""Measures the core's errors on random closed-form windows and writes them into csrc/README.md.

    python tests/benchmarks/sampling_errors.py [--windows N] [--print]

Every window has three phases, harmonics at every reachable order with a THD up to 8 %, up to 1 % of
DC and 16 bits at ±1.6 times the peak; what a row does not name is random: 42.5 to 69 Hz, any angle.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from polyphase_waves import Channels, distorted, power, reachable, sampled, three_phase  # noqa: E402

from bmc_ext.sampling import analyze  # noqa: E402

README = ROOT / "csrc" / "README.md"
KINDS = ("f mHz", "V %", "I %", "P % of S", "harmonics %", "THD pp")


@dataclass(frozen=True)
class Case:
    """What a row of the table holds fixed; None is random."""

    name: str
    rate_hz: int = 12800
    length_s: float = 0.1
    noise_db: float | None = 80
    frequency_hz: float | None = None
    power_factor: float | None = None
    tones: int = 0
    dtype: type[np.floating] = np.float64


BASE = Case("12.8 kS/s, 100 ms, 80 dB")
CASES = (
    replace(BASE, name="no noise", noise_db=None),
    BASE,
    replace(BASE, name="60 dB", noise_db=60),
    *(replace(BASE, name=f"{hz:g} Hz", frequency_hz=hz) for hz in (42.5, 47, 50, 59.5, 69)),
    *(replace(BASE, name=f"PF {pf:g}", power_factor=pf) for pf in (1, 0.85, 0.5, -0.9)),
    *(replace(BASE, name=f"{hz / 1000:g} kS/s", rate_hz=hz) for hz in (4800, 25600, 51200)),
    *(replace(BASE, name=f"{1000 * s:g} ms", length_s=s) for s in (0.08, 0.2)),
    replace(BASE, name="float32", dtype=np.float32),
    replace(BASE, name="two 0.5 % interharmonics, f where it is told", tones=2, noise_db=None),
)


def with_tones(case: Case, channels: Channels, rng: np.random.Generator) -> NDArray[Any]:
    """The samples with tones of 0.5 % anywhere from 10 Hz to a fifth of the rate."""
    rows = channels.samples
    time_s = np.arange(rows.shape[1]) / case.rate_hz
    for tone_hz in rng.uniform(10, case.rate_hz / 5, case.tones):
        size = 0.005 * np.sqrt(2) * np.abs(channels.phasors[:, 1:2])
        rows = rows + size * np.cos(2 * np.pi * (tone_hz * time_s + rng.random()))
    return rows.astype(case.dtype)


def window_errors(case: Case, rng: np.random.Generator) -> list[float]:
    """Largest error of each kind over the phases of one window."""
    frequency_hz = case.frequency_hz or rng.uniform(42.5, 69)
    turn = rng.uniform(-np.pi, np.pi)
    lag = rng.uniform(-np.pi, np.pi) if case.power_factor is None else np.arccos(case.power_factor)
    voltage, current = (
        sampled(
            distorted(
                rng,
                three_phase(rms, angle),
                highest=reachable(frequency_hz, case.rate_hz),
                thd=rng.uniform(0, 0.08),
                dc=0.01,
            ),
            frequency_hz,
            case.rate_hz,
            round(case.rate_hz * case.length_s),
            noise_db=case.noise_db,
            bits=16 if case.noise_db else None,
            rng=rng,
        )
        for rms, angle in ((230.0, turn), (16.0, turn + lag))
    )
    read_v, read_i = (with_tones(case, each, rng) for each in (voltage, current))
    result = analyze(read_v, read_i, case.rate_hz)

    def read(name: str) -> NDArray[np.float64]:
        return np.array([getattr(phase, name) for phase in result.phases])

    highest = voltage.phasors.shape[1]
    harmonics = read("v_harmonics_rms")[:, 2:highest] - np.abs(voltage.phasors[:, 2:])
    found = (
        1e3 * np.array([result.frequency_hz - frequency_hz]),
        100 * (read("v_rms") / voltage.rms - 1),
        100 * (read("i_rms") / current.rms - 1),
        100 * (read("p_w") - power(voltage, current)) / (voltage.rms * current.rms),
        100 * harmonics / 230,
        read("thd_v_percent") - voltage.thd_percent,
    )
    return [float(np.max(np.abs(errors))) for errors in found]


def table(windows: int) -> str:
    """The table in Markdown: 95th percentile / largest over so many windows a row."""
    lines = [
        f"95th percentile / largest over {windows} random three-phase windows a row, as",
        "`tests/benchmarks/sampling_errors.py` measures them (its docstring says what is in them).",
        f"Rows differ from *{BASE.name}, 16 bit* by what they name.",
        "Harmonics are relative to the fundamental.",
        "",
        "| | " + " | ".join(KINDS) + " |",
        "|---" * (len(KINDS) + 1) + "|",
    ]
    for case in CASES:
        rng = np.random.default_rng(20)
        errors = np.array([window_errors(case, rng) for _ in range(windows)])
        cells = zip(np.nanpercentile(errors, 95, axis=0), np.nanmax(errors, axis=0), strict=True)
        lines.append(
            f"| {case.name} | " + " | ".join(f"{a:.2g} / {b:.2g}" for a, b in cells) + " |"
        )
    return "\n".join(lines)


@click.command()
@click.option("--windows", default=1000, show_default=True, help="Random windows for each row.")
@click.option("--print", "only_print", is_flag=True, help="Print the table, change no file.")
def main(windows: int, only_print: bool) -> None:
    """Measure, and write the table between its marks in csrc/README.md."""
    text = table(windows)
    if only_print:
        click.echo(text)
        return
    marked = re.compile(r"(<!-- errors: begin -->\n).*?(<!-- errors: end -->)", re.DOTALL)
    README.write_text(marked.sub(lambda m: f"{m[1]}{text}\n{m[2]}", README.read_text()))


if __name__ == "__main__":
    main()
