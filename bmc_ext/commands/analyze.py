"""`dcpi-bmc analyze`: power quality of a recording, window by window."""

from __future__ import annotations

import datetime
import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import orjson
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bmc_ext.commands.analyze_cycles import print_cycles
from bmc_ext.commands.pipe import quiet_pipe
from bmc_ext.commands.progress import bar_when_slow, spinner_when_slow, with_progress
from bmc_ext.sampling import Analysis, Flag
from bmc_ext.sampling import analyze as analyze_window
from bmc_ext.sampling.grid import WindowGrid
from bmc_ext.sampling.sampled_values_capture import read_capture
from drivers.errors import RecordingError
from drivers.waveforms.csv_file import TableFormat
from drivers.waveforms.recording import Recording
from drivers.waveforms.recording_file import read_recording
from drivers.waveforms.sampled_values import QUALITIES, SIMULATED, SampledValues
from drivers.waveforms.sampled_values_pcap import SUFFIXES as CAPTURE_SUFFIXES

_PATIENCE_S = 1.0
"""What takes longer than this shows that it goes on."""
_NS_PER_MS = 1_000_000
_LOWEST_HZ, _HIGHEST_HZ = 42.5, 69.0
"""What the sampling core analyses (IEC 61000-4-30:2015 5.1.1: 50 and 60 Hz ± 15 %)."""
_HIGHEST_COUNT = 65536
_UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class _Scale:
    """A unit that suits the largest value of a column, and its decimals for five digits."""

    unit: str
    divisor: float
    decimals: int

    def text(self, value: float) -> str:
        if not math.isfinite(value):
            return _UNKNOWN
        return f"{value / self.divisor:.{self.decimals}f}"


_Windows = Iterator[tuple[int, Analysis]]


def _parse_mapping(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """`VA=NAME,IA=NAME`, perhaps several times; a channel's name may hold spaces, but no comma."""
    mapping: dict[str, str] = {}
    for part in (part for value in values for part in value.split(",")):
        key, _, name = (text.strip() for text in part.partition("="))
        if not key or not name:
            raise click.BadParameter(f"{part!r} is not KEY=CHANNEL", context, parameter)
        if key in mapping:
            raise click.BadParameter(f"{key} is given twice", context, parameter)
        mapping[key] = name
    return mapping


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a window, one a line.")
@click.option(
    "--map",
    "channels",
    metavar="VA=NAME,IA=NAME",
    multiple=True,
    callback=_parse_mapping,
    help="Which channel is which, by name or number, instead of the pairing that is found. "
    "Phases: A, B, C or 1, 2, 3. All that are wanted must be named.",
)
@click.option(
    "--rate",
    "rate_hz",
    type=click.FloatRange(min=0, min_open=True),
    help="Samples a second of a CSV file without a column of time, or of a capture that does not "
    "tell them.",
)
@click.option("--delimiter", help="What parts the cells of a CSV file, where it is not found.")
@click.option(
    "--decimal",
    type=click.Choice([".", ","]),
    help="Decimal sign of a CSV file, where it is not found.",
)
@click.option(
    "--window-ms",
    type=click.IntRange(1, 2000),
    default=100,
    show_default=True,
    help="Length of a window in milliseconds.",
)
@click.option(
    "--stream",
    metavar="SVID",
    help="Which stream of a capture that holds several, by its svID or its APPID (0x4000).",
)
@click.option(
    "--accept",
    metavar="QUALITY",
    type=click.Choice([SIMULATED, *QUALITIES]),
    multiple=True,
    help="Use a capture's samples of this quality: simulated, test, questionable, …",
)
@click.option(
    "--current-scale",
    metavar="A",
    type=float,
    default=0.001,
    help="A of one step in a capture.",
    show_default=True,
)
@click.option(
    "--voltage-scale",
    metavar="V",
    type=float,
    default=0.01,
    help="V of one step in a capture.",
    show_default=True,
)
@click.option(
    "--cycles",
    is_flag=True,
    help="Over 10 cycles (50 Hz) or 12 (60 Hz) instead, with THDS and THDG; of long recordings "
    "also over 150/180 cycles and 10 min, and the frequency of each 10 s.",
)
def analyze(
    file: Path,
    as_json: bool,
    channels: dict[str, str],
    rate_hz: float | None,
    delimiter: str | None,
    decimal: str | None,
    window_ms: int,
    cycles: bool,
    **capture: Any,
) -> None:
    """Power quality of a recording in windows of 100 ms.

    FILE is the .cfg or .cff file of a COMTRADE recording (IEEE C37.111), a CSV table with a header
    row (`time [s]`, `VA [V]`, `IA [A]`, …), an .npz file with the arrays voltage, current and
    sample_rate_hz, or a capture (.pcap, .pcapng) of sampled values (IEC 61850-9-2, IEC 61869-9).
    Voltage and current channels are paired by phase, unit and circuit; the pairing is printed
    first.
    """
    patience = time.monotonic() + _PATIENCE_S
    is_capture = file.suffix.lower() in CAPTURE_SUFFIXES
    _check_options(file, ("delimiter", "decimal") if is_capture else tuple(capture), is_capture)
    if is_capture:
        recording = _read_capture(file, channels, rate_hz, capture, patience)
    else:
        table = TableFormat(rate_hz, "\t" if delimiter == r"\t" else delimiter, decimal)
        with spinner_when_slow(f"reading {file.name}", patience):
            recording = read_recording(file, channels or None, table=table)
    windows = _windows(recording, window_ms, patience)
    with quiet_pipe():
        if cycles:
            _print_mapping(recording, Console(stderr=as_json))
            found = print_cycles(recording, as_json)
        elif as_json:
            _print_mapping(recording, Console(stderr=True))
            found = _print_json(recording, windows, window_ms)
        else:
            found = _print_tables(recording, windows, window_ms)
    if not found and cycles:
        raise click.ClickException(f"{file}: no interval of 10 or 12 cycles is whole")
    if not found:
        raise click.ClickException(f"{file}: {_why_nothing(recording, window_ms)}")


def _check_options(file: Path, others: Sequence[str], is_capture: bool) -> None:
    """Raises UsageError for an option that this kind of file has no use for."""
    context = click.get_current_context()
    for name in others:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            kind = "CSV files" if is_capture else "captures (.pcap, .pcapng)"
            raise click.UsageError(f"--{name.replace('_', '-')} is for {kind}, not for {file.name}")


def _read_capture(
    file: Path,
    channels: dict[str, str],
    rate_hz: float | None,
    capture: dict[str, Any],
    patience: float,
) -> Recording:
    if rate_hz is not None and not (rate_hz.is_integer() and 1 <= rate_hz <= _HIGHEST_COUNT):
        raise click.UsageError(f"--rate {rate_hz:g}: smpCnt counts 1 to {_HIGHEST_COUNT} a second")
    appid = re.fullmatch("0x([0-9A-Fa-f]{1,4})", capture["stream"] or "")
    wanted = SampledValues(
        stream=None if appid else capture["stream"],
        appid=int(appid[1], 16) if appid else None,
        rate_hz=None if rate_hz is None else int(rate_hz),
        channels=channels or None,
        current_scale_a=capture["current_scale"],
        voltage_scale_v=capture["voltage_scale"],
        accept=capture["accept"],
    )
    with bar_when_slow(f"reading {file.name}", patience) as progress:
        return read_capture(file, wanted, progress)


def _why_nothing(recording: Recording, window_ms: int) -> str:
    if recording.duration_s < window_ms / 1000:
        length_ms = recording.duration_s * 1000
        reason = f"the recording holds {length_ms:.1f} ms, a window is {window_ms} ms"
    else:
        reason = "none holds a voltage of line frequency"
    return f"no window could be analysed: {reason}"


def _windows(
    recording: Recording, window_ms: int, patience: float
) -> Iterator[tuple[int, Analysis]]:
    """Index and analysis of each whole window, counted from the recording's first sample."""
    grid = WindowGrid(recording.sample_rate_hz, 0, window_ms * _NS_PER_MS)
    count = grid.window_of(recording.waveforms.shape[1])
    nominal_hz = recording.nominal_hz
    if nominal_hz is not None and not _LOWEST_HZ <= nominal_hz <= _HIGHEST_HZ:
        nominal_hz = None  # a railway's 16.7 Hz: each window is flagged by what it holds
    for index in with_progress(range(count), f"analysing {recording.path.name}", patience):
        part = slice(grid.first_index(index), grid.first_index(index + 1))
        try:
            analysis = analyze_window(
                recording.voltage[:, part].copy(),
                recording.current[:, part].copy(),
                recording.sample_rate_hz,
                nominal_hz=nominal_hz,
                skew_s=recording.skew_s,
            )
        except ValueError as error:
            raise RecordingError(f"{recording.path}: window {index}: {error}") from error
        yield index, analysis


def _print_json(recording: Recording, windows: _Windows, window_ms: int) -> bool:
    """One object a line; whether any window has a frequency."""
    found = False
    for index, analysis in windows:
        found = found or math.isfinite(analysis.frequency_hz)
        offset_ms = index * window_ms
        document: dict[str, Any] = {
            "window": index,
            "offset_s": offset_ms / 1000,
            "start": _start_text(recording, offset_ms),
            **analysis.to_dict(),
        }
        if recording.marks is not None:
            document["source_flags"] = _marks(recording, index, window_ms)
        line = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
        sys.stdout.write(line.decode() + "\n")
    return found


def _start_text(recording: Recording, offset_ms: int) -> str | None:
    """Start of a window in ISO 8601, with an offset from UTC only where the recording tells it."""
    if recording.start is None:
        return None
    start = recording.start + datetime.timedelta(milliseconds=offset_ms)
    return start.isoformat(timespec="microseconds")


def _marks(recording: Recording, index: int, window_ms: int) -> list[str]:
    """What the recording itself says about a window's samples."""
    grid = WindowGrid(recording.sample_rate_hz, 0, window_ms * _NS_PER_MS)
    first, end = grid.first_index(index), grid.first_index(index + 1)
    return sorted(
        {mark.flag for mark in recording.marks or () if mark.first < end and mark.end > first}
    )


def _print_tables(recording: Recording, windows: _Windows, window_ms: int) -> bool:
    console = Console(highlight=False)
    _print_mapping(recording, console)
    analysed = list(windows)
    scales = _Scales([analysis for _, analysis in analysed])
    for index, analysis in analysed:
        with console.capture() as captured:
            marks = _marks(recording, index, window_ms)
            console.print(_title(index, index * window_ms, analysis, marks))
            console.print(_table(recording, analysis, scales))
        # Written here and not by rich, which ends the process itself on a broken pipe.
        sys.stdout.write(captured.get())
    return any(math.isfinite(analysis.frequency_hz) for _, analysis in analysed)


def _print_mapping(recording: Recording, console: Console) -> None:
    """What the recording is, which channels were taken, and which could have been."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    nominal = f"{recording.nominal_hz:g} Hz" if recording.nominal_hz else "unknown line frequency"
    station = f" ({recording.station})" if recording.station else ""
    table.add_row("recording", f"{recording.path.name}{station}")
    table.add_row(
        "",
        f"{recording.sample_rate_hz:g} S/s, {nominal}, {recording.duration_s:.3f} s"
        f" from {_start_text(recording, 0) or 'an unknown time'}",
    )
    for number, pair in enumerate(recording.pairs):
        label = "channels" if number == 0 else ""
        table.add_row(label, f"{pair.phase}  V = {pair.v_name}  I = {pair.i_name}")
    for number, text in enumerate(recording.alternatives):
        table.add_row("not taken" if number == 0 else "", text)
    for number, text in enumerate(recording.notes):
        table.add_row("note" if number == 0 else "", text)
    with console.capture() as captured:
        console.print(table)
        console.print()
    console.file.write(captured.get())


def _title(index: int, offset_ms: int, analysis: Analysis, marks: Sequence[str]) -> Text:
    frequency = analysis.frequency_hz
    parts = [
        f"window {index}",
        f"{offset_ms / 1000:.3f} s",
        f"{frequency:.4f} Hz" if math.isfinite(frequency) else "no frequency",
    ]
    parts += [_flag_text(flag, analysis) for flag in Flag if flag & analysis.flags]
    parts += marks
    return Text("  ".join(parts), style="bold")


def _flag_text(flag: Flag, analysis: Analysis) -> str:
    """A flag, and the phases that have it where not all do."""
    (text,) = flag.labels
    phases = [f"L{n}" for n, phase in enumerate(analysis.phases, start=1) if phase.flags & flag]
    return text if len(phases) in (0, len(analysis.phases)) else f"{text} ({' '.join(phases)})"


class _Scales:
    """The units of a whole recording's columns, so that its windows compare."""

    def __init__(self, analyses: Sequence[Analysis]) -> None:
        phases = [phase for analysis in analyses for phase in analysis.phases]
        totals = [analysis.total.s_va for analysis in analyses]
        self.voltage = _scale("V", [phase.v_rms for phase in phases])
        self.current = _scale("A", [phase.i_rms for phase in phases])
        powers = [*totals, *(phase.s_va for phase in phases)]
        self.active = _scale("W", powers)
        self.reactive = _scale("var", powers)


def _scale(unit: str, values: Sequence[float]) -> _Scale:
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    prefix, divisor = "", 1.0
    for candidate, factor in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if largest >= factor:
            prefix, divisor = candidate, factor
    shown = largest / divisor
    digits = 1 + math.floor(math.log10(shown)) if shown >= 1.0 else 1
    return _Scale(prefix + unit, divisor, max(0, 5 - digits))


def _table(recording: Recording, analysis: Analysis, scales: _Scales) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("", min_width=5)
    for heading in (
        f"V {scales.voltage.unit}",
        f"I {scales.current.unit}",
        f"P {scales.active.unit}",
        f"Q1 {scales.reactive.unit}",
        "PF",
        "THDv %",
        "THDi %",
    ):
        table.add_column(heading, justify="right", min_width=7, no_wrap=True)
    for pair, phase in zip(recording.pairs, analysis.phases, strict=True):
        table.add_row(
            pair.phase,
            scales.voltage.text(phase.v_rms),
            scales.current.text(phase.i_rms),
            scales.active.text(phase.p_w),
            scales.reactive.text(phase.q1_var),
            _number(phase.pf, 4),
            _number(phase.thd_v_percent, 2),
            _number(phase.thd_i_percent, 2),
        )
    total = analysis.total
    table.add_row(
        "total",
        "",
        "",
        scales.active.text(total.p_w),
        scales.reactive.text(total.q1_var),
        _number(total.pf, 4),
        "",
        "",
    )
    return table


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else _UNKNOWN
