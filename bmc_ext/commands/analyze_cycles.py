"""`dcpi-bmc analyze --cycles`: a recording over actual cycles, interval by interval."""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Iterator
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table

from bmc_ext.sampling.cycle_results import CycleChannel, CycleValues, HalfCycle, TenSecondFrequency
from bmc_ext.sampling.cycles import (
    CycleAggregator,
    CycleResult,
    LongAggregate,
    ShortAggregate,
    TenTwelveCycle,
    nominal_of,
)
from drivers.waveforms.recording import Recording

_UNKNOWN = "–"
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_KINDS = {
    TenTwelveCycle: "ten-twelve-cycle",
    ShortAggregate: "three-second-aggregate",
    LongAggregate: "ten-minute-aggregate",
}
_LOOK_S = 0.2
"""How much of a recording tells its nominal frequency where its header does not."""


def print_cycles(recording: Recording, as_json: bool) -> bool:
    """Print every value over actual cycles; whether there was any."""
    epoch_ns = _epoch_ns(recording)
    found = False
    for result in _results(recording, epoch_ns):
        if isinstance(result, HalfCycle):
            continue
        found = True
        if as_json:
            document = _document(recording, result, epoch_ns)
            text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n"
        else:
            text = _text(recording, result, epoch_ns)
        # Written here and not by rich, which ends the process itself on a broken pipe.
        sys.stdout.write(text)
    return found


def _epoch_ns(recording: Recording) -> int:
    """UTC of the first sample in ns; local time where no offset is known, whose ticks are alike."""
    if recording.start is None:
        return 0
    start = recording.start
    if start.tzinfo is None:
        start = start.replace(tzinfo=datetime.UTC)
    return (start - _EPOCH) // datetime.timedelta(microseconds=1) * 1000


def _results(recording: Recording, epoch_ns: int) -> Iterator[CycleResult]:
    nominal_hz = recording.nominal_hz
    if nominal_hz not in (50.0, 60.0):
        length = math.ceil(_LOOK_S * recording.sample_rate_hz)
        nominal_hz = nominal_of(
            recording.voltage[:, :length].copy(),
            recording.current[:, :length].copy(),
            recording.sample_rate_hz,
        )
    if nominal_hz is None:
        raise click.ClickException(f"{recording.path}: neither 50 nor 60 Hz can be seen in it")
    try:
        aggregator = CycleAggregator(
            len(recording.pairs),
            recording.sample_rate_hz,
            nominal_hz,
            epoch_ns=epoch_ns,
            skew_s=recording.skew_s,
        )
    except ValueError as error:
        raise click.ClickException(f"{recording.path}: {error}") from error
    return aggregator.feed(recording.voltage, recording.current)


def _start(recording: Recording, start_ns: int, epoch_ns: int) -> str | None:
    if recording.start is None:
        return None
    offset = datetime.timedelta(microseconds=(start_ns - epoch_ns) / 1000)
    return (recording.start + offset).isoformat(timespec="microseconds")


def _document(recording: Recording, result: Any, epoch_ns: int) -> dict[str, object]:
    values = result if isinstance(result, TenSecondFrequency) else result.values
    head = {
        "kind": _KINDS.get(type(result), "ten-second-frequency"),
        "offset_s": (values.start_ns - epoch_ns) * 1e-9,
        "start": _start(recording, values.start_ns, epoch_ns),
    }
    if isinstance(values, CycleValues):
        plain = values.to_dict()
        return head | {name: plain[name] for name in plain if not name.endswith("_ns")}
    known = math.isfinite(values.frequency_hz)
    return head | {
        "frequency_hz": values.frequency_hz if known else None,
        "cycles": values.cycles,
        "duration_s": values.duration_s,
    }


def _text(recording: Recording, result: Any, epoch_ns: int) -> str:
    if isinstance(result, TenSecondFrequency):
        frequency = _number(result.frequency_hz, ".5f")
        offset_s = (result.start_ns - epoch_ns) * 1e-9
        return f"10 s  {offset_s:.3f} s  {frequency} Hz  {result.cycles} cycles\n\n"
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(_title(result.values, epoch_ns), style="bold")
        console.print(_table(recording, result.values))
    return captured.get()


def _title(values: CycleValues, epoch_ns: int) -> str:
    parts = [
        f"{values.cycles} cycles",
        f"{(values.start_ns - epoch_ns) * 1e-9:.3f} s",
        f"{values.duration_s * 1000:.2f} ms",
        f"{_number(values.frequency_hz, '.4f')} Hz",
        f"u2 {_number(values.u2_percent, '.2f')} %",
    ]
    if values.flagged and values.intervals > 1:
        parts.append(f"{values.flagged} of {values.intervals} flagged")
    return "  ".join([*parts, *values.flags.labels])


def _table(recording: Recording, values: CycleValues) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("", min_width=5)
    for heading in ("V V", "I A", "P kW", "THDSv %", "THDGv %", "THDSi %", "THDGi %"):
        table.add_column(heading, justify="right", min_width=7, no_wrap=True)
    for pair, phase in zip(recording.pairs, values.phases, strict=True):
        table.add_row(
            pair.phase,
            _number(phase.voltage.rms, ".6g"),
            _number(phase.current.rms, ".6g"),
            _number(phase.p_w / 1000, ".6g"),
            *_distortion(phase.voltage),
            *_distortion(phase.current),
        )
    table.add_row("total", "", "", _number(values.p_w / 1000, ".6g"))
    return table


def _distortion(channel: CycleChannel) -> tuple[str, str]:
    return _number(channel.thds_percent, ".2f"), _number(channel.thdg_percent, ".2f")


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else _UNKNOWN
