"""Which channels of a recording are the voltage and the current of one phase of one circuit.

Recorders name channels freely. What is used, in this order: the unit tells voltage from current;
the phase field, or the letters that follow V, U or I in the name, tell the phase; the circuit
component, or the rest of the name, tells the circuit. Neutral, residual and phase-to-phase
channels are no phases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from drivers.errors import RecordingError

Quantity = Literal["V", "I"]

CONVENTIONS = (
    ("A", "B", "C"),
    ("L1", "L2", "L3"),
    ("R", "S", "T"),
    ("R", "Y", "B"),
    ("U", "V", "W"),
)
"""How recorders call the three phases; the numbers 1, 2, 3 count as L1, L2, L3."""

_PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6}
_UNIT = re.compile(r"(?P<prefix>[kKMmuµμ]?)(?P<base>v|volts?|a|amps?|amperes?)", re.IGNORECASE)
_PHASE_FIELD = re.compile(r"L?[123]|[ABCRSTYUVW]")
_PHASE_TOKEN = re.compile(r"(?P<quantity>[VUI])_?(?P<phase>L?[123]|[ABCRSTYUVW])E?(?P<rest>\d*)")
_BARE_PHASE = re.compile(r"L[123]|[ABCRSTY]")
_NO_PHASE_TOKEN = re.compile(r"(?P<quantity>[VUI])(N|G|0|DC|AB|BC|CA|RS|ST|TR|L?12|L?23|L?31)\d*")
_NOT_A_PHASE = re.compile(r"N|G|0|AB|BC|CA|RS|ST|TR|L?1-?L?2|L?2-?L?3|L?3-?L?1")
_SEPARATORS = re.compile(r"[\W_]+")  # "Süd" is one word, of which no "S" is left
_NOISE_WORDS = frozenset(
    {"PHASE", "PH", "CURRENT", "VOLTAGE", "VOLT", "AMP", "CUR", "VOL", "SPANNUNG", "STROM"}
)


@dataclass(frozen=True, slots=True)
class Channel:
    """An analog channel as its recording describes it.

    `index` counts from 0, `number` is the recording's own.
    """

    index: int
    number: int
    name: str
    phase: str
    circuit: str
    unit: str


@dataclass(frozen=True, slots=True)
class PhasePair:
    """One phase (`L1`, `L2` or `L3`) with its voltage and its current channel."""

    phase: str
    v_channel: Channel
    i_channel: Channel


@dataclass(frozen=True, slots=True)
class Pairing:
    """The chosen pairs, in phase order, and what else could have been chosen, in words."""

    pairs: tuple[PhasePair, ...]
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Identity:
    """What a channel measures: V or I, which phase letter, which circuit (component and name)."""

    quantity: Quantity
    phase: str
    component: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """The channels of one quantity of one circuit, by phase L1, L2, L3."""

    component: str
    words: tuple[str, ...]
    channels: Mapping[str, Channel]

    @property
    def names(self) -> str:
        return " ".join(channel.name for channel in self.channels.values())


def unit_of(text: str) -> tuple[Quantity, float] | None:
    """Quantity and factor to V or A of a unit (`kV`: V, 1000); None when it is neither."""
    match = _UNIT.fullmatch(text.strip())
    if match is None:
        return None
    quantity: Quantity = "V" if match["base"][0] in "vV" else "I"
    return quantity, _PREFIXES[match["prefix"]]


def pair_channels(channels: Sequence[Channel]) -> Pairing:
    """Find the voltage and the current of each phase of one circuit.

    Of several circuits the first that is complete in three phases is taken; otherwise the first
    with the most phases. Raises RecordingError with the list of channels when none fits.
    """
    voltages, currents = _groups(channels, "V"), _groups(channels, "I")
    candidates = sorted(_candidates(voltages, currents), key=lambda found: found[0])
    if not candidates:
        raise RecordingError(
            "no voltage and current of the same circuit found; name them, for example "
            f"VA=…,IA=…; the analog channels are: {_listing(channels)}"
        )
    _, voltage, current = candidates[0]
    phases = sorted(voltage.channels.keys() & current.channels.keys())
    pairs = tuple(PhasePair(p, voltage.channels[p], current.channels[p]) for p in phases)
    return Pairing(pairs, tuple(_alternatives(candidates, voltages, currents)))


def map_channels(channels: Sequence[Channel], mapping: Mapping[str, str]) -> Pairing:
    """Pair as told: `{"VA": name, "IA": name, …}`; phases A, B, C or L1, L2, L3 or 1, 2, 3.

    A channel is named by its name or by its number. Raises RecordingError for an unknown key or
    channel, a phase with only one of the two, a channel used twice or one of the wrong quantity.
    """
    chosen: dict[tuple[str, Quantity], Channel] = {}
    for key, name in mapping.items():
        match = re.fullmatch(r"([VI])([ABC]|L?[123])", key.strip().upper())
        if match is None:
            raise RecordingError(f"channel key {key!r} is none of VA, VB, VC, IA, IB, IC")
        quantity: Quantity = "V" if match[1] == "V" else "I"
        channel = _named(channels, name)
        unit = unit_of(channel.unit)
        if unit is None or unit[0] != quantity:
            raise RecordingError(
                f"{key}: channel {channel.name!r} has unit {channel.unit!r}, not "
                f"{'a voltage' if quantity == 'V' else 'a current'}"
            )
        if channel in chosen.values():
            raise RecordingError(f"{key}: channel {channel.name!r} is used twice")
        chosen[_line(match[2]), quantity] = channel
    pairs = []
    for phase in ("L1", "L2", "L3"):
        both = chosen.get((phase, "V")), chosen.get((phase, "I"))
        if both[0] is not None and both[1] is not None:
            pairs.append(PhasePair(phase, both[0], both[1]))
        elif both[0] is not None or both[1] is not None:
            missing = "current" if both[1] is None else "voltage"
            raise RecordingError(f"phase {phase} has no {missing} in the channel mapping")
    if not pairs:
        raise RecordingError("the channel mapping is empty")
    return Pairing(tuple(pairs))


def _line(phase: str) -> str:
    """The name L1, L2 or L3 of phase A, B, C or 1, 2, 3."""
    return "L" + str("ABC".index(phase) + 1) if phase in "ABC" else "L" + phase[-1]


def _named(channels: Sequence[Channel], name: str) -> Channel:
    wanted = name.strip()
    found = [channel for channel in channels if channel.name == wanted]
    found = found or [c for c in channels if c.name.casefold() == wanted.casefold()]
    found = found or [channel for channel in channels if str(channel.number) == wanted]
    if not found:
        raise RecordingError(
            f"no analog channel {wanted!r}; the analog channels are: {_listing(channels)}"
        )
    if len(found) > 1:
        numbers = ", ".join(str(channel.number) for channel in found)
        raise RecordingError(f"several channels are named {wanted!r}; give a number: {numbers}")
    return found[0]


def _listing(channels: Sequence[Channel]) -> str:
    return ", ".join(f"{c.number} {c.name!r} [{c.unit}]" for c in channels) or "none"


def _identify(channel: Channel) -> _Identity | None:
    """What the channel measures, or None when it is no phase voltage or phase current."""
    unit = unit_of(channel.unit)
    if unit is None:
        return None
    quantity = unit[0]
    field = channel.phase.strip().upper()
    if _NOT_A_PHASE.fullmatch(field):
        return None
    tokens = [token for token in _SEPARATORS.split(channel.name.upper()) if token]
    named, words = _phase_in_name(tokens, quantity)
    # "AN" and "A-N" are phase to neutral, "L1E" is phase to earth.
    field = re.sub(r"-?[NE]$", "", field)
    phase = field if _PHASE_FIELD.fullmatch(field) else named
    if phase is None:
        return None
    component = _SEPARATORS.sub("", channel.circuit.upper())
    # A name without a phase in it differs from phase to phase in ways that tell no circuit.
    return _Identity(quantity, phase, component, words if named else ())


def _phase_in_name(tokens: list[str], quantity: Quantity) -> tuple[str | None, tuple[str, ...]]:
    """The phase that a name tells, and its other words."""
    letters = "VU" if quantity == "V" else "I"
    for position in reversed(range(len(tokens))):
        none = _NO_PHASE_TOKEN.fullmatch(tokens[position])
        if none is not None and none["quantity"] in letters:
            return None, tuple(tokens)
        match = _PHASE_TOKEN.fullmatch(tokens[position])
        if match is not None and match["quantity"] in letters:
            rest = [match["rest"]] if match["rest"] else []
            words = tokens[:position] + rest + tokens[position + 1 :]
            return match["phase"], _without_noise(words)
    for position, token in enumerate(tokens):
        if _BARE_PHASE.fullmatch(token):
            words = tokens[:position] + tokens[position + 1 :]
            # "U_L1": a letter that only says what the unit says tells no circuit.
            return token, _without_noise([word for word in words if word not in letters])
    return None, _without_noise(tokens)


def _without_noise(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _NOISE_WORDS)


def _groups(channels: Sequence[Channel], quantity: Quantity) -> list[_Group]:
    """The circuits that this quantity is recorded of, in the recording's order."""
    gathered: dict[tuple[str, tuple[str, ...]], dict[str, Channel]] = {}
    for channel in channels:
        identity = _identify(channel)
        if identity is not None and identity.quantity == quantity:
            letters = gathered.setdefault((identity.component, identity.words), {})
            letters.setdefault(identity.phase, channel)
    return [
        _Group(component, words, _lines(letters))
        for (component, words), letters in gathered.items()
    ]


def _lines(letters: Mapping[str, Channel]) -> dict[str, Channel]:
    """Name the phases L1, L2, L3 after the convention that explains most of the letters."""
    plain = {("L" + letter if letter in "123" else letter): c for letter, c in letters.items()}
    convention = max(CONVENTIONS, key=lambda names: sum(name in plain for name in names))
    return {
        f"L{number}": plain[name]
        for number, name in enumerate(convention, start=1)
        if name in plain
    }


_Candidate = tuple[tuple[int, int], _Group, _Group]


def _candidates(voltages: Sequence[_Group], currents: Sequence[_Group]) -> Iterator[_Candidate]:
    """Pairs of groups that may be one circuit, with their rank (lower is better)."""
    for voltage in voltages:
        for current in currents:
            common = len(voltage.channels.keys() & current.channels.keys())
            kinship = _kinship(voltage, current)
            if common and kinship is not None:
                yield (3 - common, kinship), voltage, current


def _kinship(voltage: _Group, current: _Group) -> int | None:
    """How surely two groups are one circuit: 0 surely, 2 perhaps, None not at all."""
    if voltage.component and voltage.component == current.component:
        return 0
    if set(voltage.words) == set(current.words) and voltage.words:
        return 0
    if voltage.words and current.words:
        contained = set(voltage.words) <= set(current.words)
        return 1 if contained or set(current.words) <= set(voltage.words) else None
    if voltage.component and current.component and voltage.words != current.words:
        return None
    # One bus voltage and a feeder's current: nothing in the names speaks against it.
    return 2


def _alternatives(
    candidates: Sequence[_Candidate], voltages: Sequence[_Group], currents: Sequence[_Group]
) -> Iterator[str]:
    """The circuits that were not taken, and the groups that lack a partner."""
    for _, voltage, current in candidates[1:]:
        yield f"{voltage.names} with {current.names}"
    partnered = [group for _, *groups in candidates for group in groups]
    for group in voltages:
        if group not in partnered:
            yield f"{group.names} (no current of that circuit)"
    for group in currents:
        if group not in partnered:
            yield f"{group.names} (no voltage of that circuit)"
