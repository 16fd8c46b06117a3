"""The arithmetic of a serial bus: how long a poll takes on the wire, and whether all fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.errors import BusOverloadError

# Modbus over Serial Line V1.02, 2.5.1: request 8 bytes, response 5 bytes around the registers.
_REQUEST_BYTES = 8
_READ_OVERHEAD_BYTES = 5
# 2.5.1.1: frames are set apart by 3.5 characters, fixed at 1.75 ms above 19200 Bd.
_SILENCE_CHARACTERS = 3.5
_FAST_SILENCE_S = 0.00175
_FAST_BAUD = 19200


def character_s(baud: int, framing: str = "8N1") -> float:
    """Seconds that one byte takes on the wire."""
    bits = 1 + int(framing[0]) + (framing[1] != "N") + int(framing[2])
    return bits / baud


def silence_s(baud: int, framing: str = "8N1") -> float:
    """Seconds of silence that set two frames apart."""
    if baud > _FAST_BAUD:
        return _FAST_SILENCE_S
    return _SILENCE_CHARACTERS * character_s(baud, framing)


def wire_time_s(registers: int, baud: int, framing: str = "8N1") -> float:
    """Seconds that one read of so many registers keeps the line busy, the device itself apart."""
    characters = _REQUEST_BYTES + _READ_OVERHEAD_BYTES + 2 * registers
    return characters * character_s(baud, framing) + 2 * silence_s(baud, framing)


@dataclass(frozen=True, slots=True)
class PollLoad:
    """One device's group on a serial bus; `reads` are the register counts of its reads."""

    device: str
    group: str
    reads: tuple[int, ...]
    every_s: float
    turnaround_s: float

    def duration_s(self, baud: int, framing: str) -> float:
        """How long one poll keeps the bus."""
        return sum(wire_time_s(count, baud, framing) + self.turnaround_s for count in self.reads)


def check_device_fits(bus: str, device: str, rest_s: float, loads: Sequence[PollLoad]) -> None:
    """Raise BusOverloadError, with the arithmetic, when the rests of a device do not fit.

    `rest_s` is what the device needs between an answer and the next request.
    """
    share = sum(len(load.reads) * rest_s / load.every_s for load in loads)
    if share <= 1.0:
        return
    terms = "; ".join(
        f"{load.group}: {len(load.reads)} reads with {1000 * rest_s:g} ms after each take "
        f"{1000 * rest_s * len(load.reads):g} ms of every {1000 * load.every_s:g} ms"
        for load in loads
    )
    raise BusOverloadError(
        f"{bus}: {device} cannot be asked so often, its rests take {100 * share:.0f} % of the "
        f"time: {terms}. Lengthen the groups' intervals."
    )


def bus_utilisation(loads: Sequence[PollLoad], baud: int, framing: str) -> float:
    """The share of the bus that the polls take; above 1 they do not fit."""
    return sum(load.duration_s(baud, framing) / load.every_s for load in loads)


def check_bus_fits(bus: str, baud: int, framing: str, loads: Sequence[PollLoad]) -> None:
    """Raise BusOverloadError, with the arithmetic, when the polls do not fit the bus."""
    total = bus_utilisation(loads, baud, framing)
    if total <= 1.0:
        return
    terms = "; ".join(
        f"{load.device} {load.group}: {sum(load.reads)} registers in {len(load.reads)} reads take "
        f"{1000 * load.duration_s(baud, framing):.0f} ms of every {1000 * load.every_s:.0f} ms"
        for load in loads
    )
    raise BusOverloadError(
        f"{bus} at {baud} Bd {framing} cannot carry its polls, they take {100 * total:.0f} % of "
        f"its time: {terms}. Raise the baud rate, lengthen the groups' intervals or split the bus."
    )
