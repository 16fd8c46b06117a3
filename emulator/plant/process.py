"""The plant as a process: arguments, the ready line, signals and a clean end."""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from drivers.errors import DriverError
from emulator.control_socket import ControlServer
from emulator.plant.control import perform
from emulator.plant.errors import PlantError
from emulator.plant.facility import load_facility
from emulator.plant.plant import Plant
from emulator.plant.socket_path import control_socket

_STANDARD_INPUT = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a plant until SIGTERM or SIGINT; returns the exit status (0 stopped, 2 cannot run)."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.exit_with_stdin:
        threading.Thread(target=_wait_for_end_of_input, args=(stop,), daemon=True).start()
    try:
        _run(options, stop)
    except (PlantError, DriverError, OSError) as error:
        print(f"plant: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emulator.plant",
        description="A simulated campus: devices speak Modbus, feeds stream waveforms.",
    )
    parser.add_argument("--facility", default="campus-250mw", help="a shipped name or a file")
    parser.add_argument("--seed", type=int, default=1, help="of the plant's true constants")
    parser.add_argument(
        "--ahead-ns", type=int, default=0, help="how far its clock is ahead of the system's"
    )
    parser.add_argument("--state-dir", type=Path, required=True, help="sockets and meter readings")
    parser.add_argument(
        "--exit-with-stdin", action="store_true", help="stop when standard input ends"
    )
    return parser


def _run(options: argparse.Namespace, stop: threading.Event) -> None:
    options.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    state_dir = options.state_dir.resolve()
    socket = control_socket(state_dir)
    plant = Plant(
        load_facility(options.facility),
        options.seed,
        state_dir,
        unix_ns=lambda: time.time_ns() + options.ahead_ns,
    )
    try:
        fragment = plant.start()
        control = ControlServer(socket, functools.partial(perform, plant))
        control.start()
        try:
            ready = {
                "ready": True,
                "control": str(socket),
                "config": fragment,
            }
            print(json.dumps(ready), flush=True)
            plant.run(stop)
        finally:
            control.stop()
    finally:
        plant.stop()


def _wait_for_end_of_input(stop: threading.Event) -> None:
    """A parent that dies closes our standard input: no plant outlives its emulator."""
    while os.read(_STANDARD_INPUT, 4096):
        pass
    stop.set()
