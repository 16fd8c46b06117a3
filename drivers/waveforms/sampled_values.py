"""Which sampled values are wanted, and what their channels mean.

The data set of UCA's 9-2LE guideline is Ia Ib Ic In Va Vb Vc Vn. IEC 61869-9:2016 names data sets
`I4U4` by their numbers of currents and voltages; currents come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.errors import RecordingError
from drivers.waveforms.pairing import Channel, Pairing, map_channels, pair_channels

QUALITIES = {
    "questionable": 0x3,
    "overflow": 0x4,
    "out-of-range": 0x8,
    "bad-reference": 0x10,
    "oscillatory": 0x20,
    "failure": 0x40,
    "old-data": 0x80,
    "inconsistent": 0x100,
    "inaccurate": 0x200,
    "substituted": 0x400,
    "test": 0x800,
    "operator-blocked": 0x1000,
}
"""Quality of a sample (IEC 61850-8-1:2011 8.2) by its bits; validity is one field of two bits."""
SIMULATED = "simulated"

_DATA_SETS = {
    6: ("Ia", "Ib", "Ic", "Va", "Vb", "Vc"),
    8: ("Ia", "Ib", "Ic", "In", "Va", "Vb", "Vc", "Vn"),
}


@dataclass(frozen=True, slots=True)
class SampledValues:
    """Which stream on the wire, at which rate, in which units; None is any, or as it is found.

    `stream` is the svID; `source` and `destination` are MAC addresses. `channels` is
    `{"VA": name, "IA": name, …}`, each a name or a number of the data set, counted from 1.
    `current_scale_a` and `voltage_scale_v` are A and V of one step. `accept` names what is used
    although it is not good: `simulated` frames and `QUALITIES`.
    """

    stream: str | None = None
    appid: int | None = None
    source: str | None = None
    destination: str | None = None
    vlan: int | None = None
    conf_rev: int | None = None
    rate_hz: int | None = None
    channels: Mapping[str, str] | None = None
    current_scale_a: float = 0.001
    voltage_scale_v: float = 0.01
    accept: tuple[str, ...] = ()


def pair_data_set(count: int, mapping: Mapping[str, str] | None) -> Pairing:
    """The voltage and the current of each phase in a data set of `count` channels.

    A mapping by numbers also tells which channels are voltages. Raises RecordingError when the data
    set is neither of the usual ones nor mapped, or when the mapping does not fit it.
    """
    names = _DATA_SETS.get(count)
    if mapping and all(name.isdecimal() for name in mapping.values()):
        return map_channels(_numbered(count, mapping), mapping)
    if names is None:
        raise RecordingError(
            f"a data set of {count} channels is none of the usual ones (8: Ia Ib Ic In Va Vb Vc Vn,"
            " 6: Ia Ib Ic Va Vb Vc); name its channels by number, for example VA=5,IA=1"
        )
    channels = [_channel(index, name) for index, name in enumerate(names)]
    if mapping:
        return map_channels(channels, mapping)
    found = pair_channels(channels)
    neutrals = [name for name in names if name.endswith("n")]
    return Pairing(found.pairs, (f"{' '.join(neutrals)} (neutral)",) if neutrals else ())


def _channel(index: int, name: str) -> Channel:
    return Channel(index, index + 1, name, name[1:].upper(), "", "A" if name[0] == "I" else "V")


def _numbered(count: int, mapping: Mapping[str, str]) -> list[Channel]:
    voltages = {name for key, name in mapping.items() if key.strip().upper().startswith("V")}
    return [
        Channel(
            index, index + 1, f"channel {index + 1}", "", "", "V" if number in voltages else "A"
        )
        for index in range(count)
        for number in [str(index + 1)]
    ]
