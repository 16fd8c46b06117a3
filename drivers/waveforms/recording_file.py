"""Opens a waveform recording by the kind of its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from drivers.errors import RecordingError
from drivers.waveforms import comtrade_file, csv_file, npz_file
from drivers.waveforms.csv_file import TableFormat
from drivers.waveforms.recording import Recording

_KINDS = "the .cfg or .cff file of a COMTRADE recording, a .csv or an .npz file"


def read_recording(
    path: str | Path,
    channels: Mapping[str, str] | None = None,
    *,
    table: TableFormat | None = None,
) -> Recording:
    """Read a recording and pair its channels.

    `channels` overrides the pairing: `{"VA": name, "IA": name, …}`, all phases that are wanted.
    `table` tells what a CSV file does not. Raises RecordingError naming the file, the reason and,
    where there is one, the line.
    """
    path = Path(path)
    try:
        # A gain beyond all bounds makes a sample infinite, which its analysis flags.
        with np.errstate(over="ignore", invalid="ignore"):
            return _read(path, channels, table)
    except OSError as error:
        raise RecordingError(f"{error.filename or path}: {error.strerror or error}") from error
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error


def _read(path: Path, channels: Mapping[str, str] | None, table: TableFormat | None) -> Recording:
    suffix = path.suffix.lower()
    if path.exists() and not path.is_file():
        raise RecordingError("not a regular file")
    if suffix in csv_file.SUFFIXES:
        return csv_file.read_csv(path, channels, table or TableFormat())
    if suffix in (*comtrade_file.SUFFIXES, *npz_file.SUFFIXES) and table not in (
        None,
        TableFormat(),
    ):
        raise RecordingError("a rate, delimiter or decimal sign is for CSV files alone")
    if suffix in comtrade_file.SUFFIXES:
        return comtrade_file.read_comtrade(path, channels)
    if suffix in npz_file.SUFFIXES:
        return npz_file.read_npz(path, channels)
    raise RecordingError(f"{suffix or 'a file without suffix'} is not read; give {_KINDS}")
