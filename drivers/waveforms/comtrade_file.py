"""COMTRADE recordings (IEEE C37.111-1991, -1999, -2013), paired and scaled to primary V and A."""

from __future__ import annotations

import datetime
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import comtrade
import numpy as np
from numpy.typing import NDArray

from drivers.errors import RecordingError
from drivers.waveforms.block import Block
from drivers.waveforms.pairing import Channel, map_channels, pair_channels, unit_of

SUFFIXES = (".cfg", ".cff")

_MAX_VALUES = 500_000_000
"""Most values (channels × samples) that are read: 4 GB as float64."""
_MAX_RATE_HZ = 1_000_000.0

_BLOCK_NS = 100_000_000
"""A replayed block is one 100 ms window (DCPI Table 1, power monitoring)."""
_CATCH_UP_S = 1.0
"""A replay that is further behind drops what it missed instead of sending it in a burst."""

# What the package raises on a file that breaks the format.
_PARSE_ERRORS = (ValueError, IndexError, TypeError, KeyError, OverflowError, comtrade.ComtradeError)
_CFF_SECTION = re.compile(
    rb"^--- *file type: *([a-z]+)(?: +([a-z0-9]+))?[^\r\n]*---[ \t]*\r?\n", re.IGNORECASE | re.M
)
_CHANNEL_COUNT = re.compile(r"(\d{1,9})[AD]", re.IGNORECASE)
_TIME_CODE = re.compile(r"(?P<sign>[+-]?)(?P<hours>\d{1,2})(?:h(?P<minutes>\d{2}))?")


@dataclass(frozen=True, slots=True)
class ChannelPair:
    """Which recorded channels are the voltage and the current of a phase (`L1`, `L2`, `L3`)."""

    phase: str
    v_name: str
    i_name: str


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One circuit of a recording.

    `pairs` are the channels of each phase, and `skew_s` how many seconds later than its voltage the
    current of each phase was sampled. `waveforms` holds the voltages in V, then the currents in A,
    one row a phase: shape (2 × phases, samples), C-contiguous, primary values; missing samples are
    NaN. `nominal_hz` is the line frequency that the file states, if any. `start` is the time of
    the first sample, with its UTC offset where the file tells it (2013 revision), naive where it
    does not, None when the file has none. `alternatives` and `notes` say in words what else could
    have been paired and what is unusual.
    """

    path: Path
    station: str
    sample_rate_hz: float
    nominal_hz: float | None
    pairs: tuple[ChannelPair, ...]
    skew_s: tuple[float, ...]
    waveforms: NDArray[np.float64]
    start: datetime.datetime | None
    alternatives: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def voltage(self) -> NDArray[np.float64]:
        """Voltages in V, shape (phases, samples)."""
        return self.waveforms[: len(self.pairs)]

    @property
    def current(self) -> NDArray[np.float64]:
        """Currents in A, shape (phases, samples)."""
        return self.waveforms[len(self.pairs) :]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return int(self.waveforms.shape[1]) / self.sample_rate_hz


def read_recording(path: str | Path, channels: Mapping[str, str] | None = None) -> Recording:
    """Read a recording (`.cfg` with its `.dat`, or `.cff`) and pair its channels.

    `channels` overrides the pairing: `{"VA": name, "IA": name, …}`, all phases that are wanted.
    Raises RecordingError naming the file and the reason.
    """
    path = Path(path)
    try:
        # A gain beyond all bounds makes a sample infinite, which its analysis flags.
        with np.errstate(over="ignore", invalid="ignore"):
            return _read(path, channels)
    except OSError as error:
        raise RecordingError(f"{error.filename or path}: {error.strerror or error}") from error
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def _read(path: Path, mapping: Mapping[str, str] | None) -> Recording:
    header, content = _contents(path)
    cfg = _configuration(header)
    if content is None:
        content = _data_file(path).read_bytes()
    data, rows = _rows(cfg, content)
    record = comtrade.Comtrade(
        ignore_warnings=True, use_numpy_arrays=True, use_double_precision=True
    )
    try:
        record.read(header, data)
    except _PARSE_ERRORS as error:
        raise RecordingError(f"the data do not fit the configuration: {error}") from error
    analog = [
        Channel(index, channel.n, channel.name, channel.ph, channel.ccbm, channel.uu)
        for index, channel in enumerate(cfg.analog_channels)
    ]
    pairing = map_channels(analog, mapping) if mapping else pair_channels(analog)
    voltages = [pair.v_channel for pair in pairing.pairs]
    currents = [pair.i_channel for pair in pairing.pairs]
    skew_us = [cfg.analog_channels[channel.index].skew for channel in voltages + currents]
    return Recording(
        path=path,
        station=cfg.station_name,
        sample_rate_hz=_sample_rate_hz(cfg, np.asarray(record.time[:rows])),
        nominal_hz=cfg.frequency if 0.0 < cfg.frequency < math.inf else None,
        pairs=tuple(
            ChannelPair(p.phase, p.v_channel.name, p.i_channel.name) for p in pairing.pairs
        ),
        skew_s=tuple(
            (late_us - early_us) * 1e-6
            for early_us, late_us in zip(skew_us, skew_us[len(voltages) :], strict=False)
        ),
        waveforms=_values(record, voltages + currents, rows),
        start=_start(cfg, header),
        alternatives=pairing.alternatives,
        notes=tuple(_notes(cfg, voltages, rows)),
    )


def _contents(path: Path) -> tuple[str, bytes | None]:
    """Configuration text of a recording, and its data when they are in the same file."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise RecordingError(
            f"{suffix or 'a file without suffix'} is not read; "
            "give the .cfg or .cff file of a COMTRADE recording"
        )
    content = path.read_bytes()
    if not content.strip():
        raise RecordingError("the file is empty")
    if suffix == ".cff":
        return _split_cff(content)
    return _text(content), None


def _data_file(path: Path) -> Path:
    """The .dat file beside a .cfg file, whatever the case of its suffix."""
    for candidate in sorted(path.parent.iterdir()):
        if candidate.stem == path.stem and candidate.suffix.lower() == ".dat":
            return candidate
    raise RecordingError(f"its data file {path.with_suffix('.dat').name} is missing")


def _split_cff(content: bytes) -> tuple[str, bytes]:
    """The CFG and DAT sections of a combined file (IEEE C37.111-2013, clause 8)."""
    headers = list(_CFF_SECTION.finditer(content))
    sections: dict[bytes, bytes] = {}
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        end = len(content) if following is None else following.start()
        sections.setdefault(header[1].upper(), content[header.end() : end])
        if header[1].upper() == b"DAT":
            sections[b"DAT"] = content[header.end() :]
            break
    if b"CFG" not in sections or b"DAT" not in sections:
        raise RecordingError("the combined file lacks its CFG or its DAT section")
    return _text(sections[b"CFG"]), sections[b"DAT"]


def _text(content: bytes) -> str:
    """Text of a configuration; recorders that do not write UTF-8 are read as Latin-1."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _configuration(header: str) -> Any:
    cfg = comtrade.Cfg(ignore_warnings=True)
    lines = header.splitlines()
    if sum(int(count) for count in _CHANNEL_COUNT.findall("".join(lines[1:2]))) > len(lines):
        raise RecordingError("not a COMTRADE configuration: more channels than lines")
    try:
        cfg.read(header)
    except (*_PARSE_ERRORS, AttributeError) as error:
        raise RecordingError(f"not a COMTRADE configuration: {error}") from error
    declared = cfg.sample_rates[-1][1] if cfg.sample_rates else 0
    if declared < 1:
        raise RecordingError("the recording declares no samples")
    if declared * (cfg.analog_count + cfg.status_count + 1) > _MAX_VALUES:
        raise RecordingError(f"{declared} samples of {cfg.channels_count} channels are too many")
    return cfg


def _is_ascii(cfg: Any) -> bool:
    return bool(cfg.ft.upper() == "ASCII")


def _rows(cfg: Any, content: bytes) -> tuple[str | bytes, int]:
    """The data in the form that the package parses, and how many complete samples they hold."""
    if _is_ascii(cfg):
        # The marker of a missing value is only recognised without spaces around it.
        cleaned = content.decode("latin-1").replace(" ", "").replace("\x1a", "")
        lines = [line for line in cleaned.splitlines() if line]
        data: str | bytes = "\n".join(lines)
        available = len(lines)
    else:
        value_bytes = {"BINARY": 2, "BINARY32": 4, "FLOAT32": 4}.get(cfg.ft.upper())
        if value_bytes is None:
            raise RecordingError(f"data format {cfg.ft!r} is none of COMTRADE's")
        status_words = -(-cfg.status_count // 16)
        available = len(content) // (8 + value_bytes * cfg.analog_count + 2 * status_words)
        data = content
    if available < 1:
        raise RecordingError("the data file holds no samples")
    return data, min(available, int(cfg.sample_rates[-1][1]))


def _notes(cfg: Any, voltages: Sequence[Channel], rows: int) -> Iterator[str]:
    """What is unusual about the recording, in words."""
    declared = cfg.sample_rates[-1][1]
    if rows < declared:
        yield f"the data hold {rows} of {declared} declared samples"
    skews_us = [cfg.analog_channels[channel.index].skew for channel in voltages]
    if spread_us := max(skews_us) - min(skews_us):
        yield f"the phases are sampled up to {spread_us:g} µs apart, which is not corrected"


def _sample_rate_hz(cfg: Any, time_s: NDArray[np.float64]) -> float:
    """The one sampling rate, stated or, where the file states 0, read from the time stamps."""
    rates = {float(rate) for rate, _ in cfg.sample_rates}
    if len(rates) > 1:
        listed = ", ".join(f"{rate:g} to sample {last}" for rate, last in cfg.sample_rates)
        raise RecordingError(f"several sampling rates (Hz: {listed}); one is needed")
    rate = rates.pop()
    if not 0.0 <= rate <= _MAX_RATE_HZ:
        raise RecordingError(f"the sampling rate of {rate:g} Hz is not 0 to {_MAX_RATE_HZ:g}")
    if rate > 0.0:
        return rate
    if len(time_s) < 2 or not time_s[-1] > time_s[0]:
        raise RecordingError("no sampling rate is stated and the time stamps do not advance")
    interval_s = float(time_s[-1] - time_s[0]) / (len(time_s) - 1)
    deviation_s = np.abs(time_s - time_s[0] - interval_s * np.arange(len(time_s))).max()
    # Time stamps are rounded to their tick, which moves each by up to one tick against the line.
    if not deviation_s <= 0.01 * interval_s + cfg.time_base * cfg.timemult:
        raise RecordingError(
            "no sampling rate is stated and the time stamps are uneven "
            f"by {deviation_s * 1e6:.0f} µs"
        )
    return 1.0 / interval_s


def _values(record: Any, channels: Sequence[Channel], rows: int) -> NDArray[np.float64]:
    """Primary V or A of these channels, shape (channels, rows)."""
    values = np.empty((len(channels), rows))
    for row, channel in enumerate(channels):
        described = record.cfg.analog_channels[channel.index]
        raw = np.asarray(record.analog[channel.index][:rows])
        if record.cfg.rev_year == "1991" and described.cmin < 0 and not _is_ascii(record.cfg):
            # 0xFFFF marks a missing sample in 1991, but is −1 where the range is signed.
            raw = np.where(np.isnan(raw), described.b - described.a, raw)
        values[row] = raw * _to_primary(described)
    return values


def _to_primary(described: Any) -> float:
    """Factor from a channel's values to primary V or A (C37.111-1999, 5.3.3: unit, ratio, PS)."""
    unit = unit_of(described.uu)
    assert unit is not None, "pairing admits only channels in V or A"
    factor = unit[1]
    if described.pors.strip().upper() == "S":
        if not described.primary > 0.0 or not described.secondary > 0.0:
            raise RecordingError(
                f"channel {described.name!r} holds secondary values, but its transformer ratio is "
                f"{described.primary:g}:{described.secondary:g}"
            )
        factor *= described.primary / described.secondary
    return factor


def _start(cfg: Any, header: str) -> datetime.datetime | None:
    """Time of the first sample; None when the file leaves the date out."""
    start: datetime.datetime = cfg.start_timestamp
    if start.year == datetime.MINYEAR:
        return None
    if start.year < 100:
        # The 1991 revision writes two digits; no COMTRADE recording is older than 1970.
        start = start.replace(year=start.year + (2000 if start.year < 70 else 1900))
    lines = [line for line in header.replace("\x1a", "").splitlines() if line.strip()]
    # The 2013 revision ends with "time_code,local_code" and "tmq_code,leapsec".
    match = _TIME_CODE.fullmatch(lines[-2].split(",")[0].strip())
    if cfg.rev_year != "2013" or match is None:
        return start
    offset = datetime.timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
    return start.replace(tzinfo=datetime.timezone(-offset if match["sign"] == "-" else offset))


class ComtradeReplay:
    """A recording as a WaveformSource at true speed.

    Sample 0 falls on the next 100 ms boundary of UTC after `open`; each block is one 100 ms window
    and comes when that window has passed. With `loop` the recording repeats for ever and the block
    that holds the first sample of a repetition is flagged `seam`; without, the source is silent
    after the last whole window. Clocks are arguments so that a test brings its own.
    """

    def __init__(
        self,
        path: str | Path,
        loop: bool = True,
        channels: Mapping[str, str] | None = None,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Read the recording; raises RecordingError naming the file and the reason."""
        self.recording = read_recording(path, channels)
        self.phases = len(self.recording.pairs)
        self.sample_rate_hz = self.recording.sample_rate_hz
        self.epoch_ns = 0
        self.skew_s: Sequence[float] = self.recording.skew_s
        self._loop = loop
        self._length = self.recording.waveforms.shape[1]
        self._rate = Fraction(self.sample_rate_hz)
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._sleep = sleep
        self._block = 0
        self._anchor_ns = 0

    def open(self) -> None:
        """Begin at the first sample, on the next 100 ms boundary."""
        now_ns = self._wall_ns()
        self.epoch_ns = (now_ns // _BLOCK_NS + 1) * _BLOCK_NS
        self._anchor_ns = self._monotonic_ns() + self.epoch_ns - now_ns
        self._block = 0

    def read(self, timeout_s: float) -> Block | None:
        """The next window's samples when it has passed; None when that takes longer."""
        wait_s = (self._anchor_ns + (self._block + 1) * _BLOCK_NS - self._monotonic_ns()) * 1e-9
        if wait_s < -_CATCH_UP_S:
            # Long asleep: the samples of that time are lost, as those of a live source would be.
            self._block += int(-wait_s * 1e9) // _BLOCK_NS
            wait_s = 0.0
        if wait_s > timeout_s or self._ended():
            self._sleep(timeout_s)
            return None
        if wait_s > 0.0:
            self._sleep(wait_s)
        first, following = self._first_index(self._block), self._first_index(self._block + 1)
        self._block += 1
        samples = self.recording.waveforms.take(np.arange(first, following), axis=1, mode="wrap")
        seam = first > 0 and (first - 1) // self._length != (following - 1) // self._length
        return Block(first, samples, frozenset({"seam"}) if seam else frozenset())

    def close(self) -> None:
        """Nothing is held open between blocks."""

    def _ended(self) -> bool:
        return not self._loop and self._first_index(self._block + 1) > self._length

    def _first_index(self, block: int) -> int:
        """The first sample at or after the start of this block, exactly."""
        return math.ceil(block * _BLOCK_NS * self._rate / 1_000_000_000)
