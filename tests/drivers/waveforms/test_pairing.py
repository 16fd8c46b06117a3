"""Which channels are the voltage and the current of a phase, by unit, phase, circuit and name."""

from __future__ import annotations

import pytest

from drivers.errors import RecordingError
from drivers.waveforms.pairing import Channel, Pairing, map_channels, pair_channels, unit_of


def channels(*described: str) -> list[Channel]:
    """Channels from `name|phase|circuit|unit`."""
    result = []
    for index, text in enumerate(described):
        name, phase, circuit, unit = text.split("|")
        result.append(Channel(index, index + 1, name, phase, circuit, unit))
    return result


def names(pairing: Pairing) -> list[tuple[str, str, str]]:
    """Phase, voltage name, current name."""
    return [(pair.phase, pair.v_channel.name, pair.i_channel.name) for pair in pairing.pairs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kV", ("V", 1e3)), ("KV", ("V", 1e3)), ("V", ("V", 1.0)), (" mV ", ("V", 1e-3)),
        ("MV", ("V", 1e6)), ("A", ("I", 1.0)), ("kA", ("I", 1e3)), ("mA", ("I", 1e-3)),
        ("µA", ("I", 1e-6)), ("Volts", ("V", 1.0)), ("amps", ("I", 1.0)),
        ("none", None), ("", None), ("Hz", None), ("VA", None), ("W", None), ("kVA", None),
    ],
)  # fmt: skip
def test_units(text: str, expected: tuple[str, float] | None) -> None:
    """A unit tells voltage or current and its factor; anything else is neither."""
    assert unit_of(text) == expected


@pytest.mark.parametrize(
    "described",
    [
        ("VA|A||kV", "VB|B||kV", "VC|C||kV", "IA|A||A", "IB|B||A", "IC|C||A"),
        ("VA|||V", "VB|||V", "VC|||V", "IA|||A", "IB|||A", "IC|||A"),
        ("UL1|||V", "UL2|||V", "UL3|||V", "IL1|||A", "IL2|||A", "IL3|||A"),
        ("U1|||V", "U2|||V", "U3|||V", "I1|||A", "I2|||A", "I3|||A"),
        ("HV Bus VR|||V", "HV Bus VS|||V", "HV Bus VT|||V", "HV IR|||A", "HV IS|||A", "HV IT|||A"),
        ("VR|||V", "VY|||V", "VB|||V", "IR|||A", "IY|||A", "IB|||A"),
        ("Bus-1 Va|||kV", "Bus-1 Vb|||kV", "Bus-1 Vc|||kV", "Ia|A||A", "Ib|B||A", "Ic|C||A"),
        ("Voltage A|||V", "Voltage B|||V", "Voltage C|||V",
         "Current A|||A", "Current B|||A", "Current C|||A"),
        ("VA-N|AN|F1|V", "VB-N|BN|F1|V", "VC-N|CN|F1|V", "x|A|F1|A", "y|B|F1|A", "z|C|F1|A"),
        ("VA1|||V", "VB1|||V", "VC1|||V", "IA1|||A", "IB1|||A", "IC1|||A"),
        ("UL1E|||V", "UL2E|||V", "UL3E|||V", "IL1|||A", "IL2|||A", "IL3|||A"),
        ("u|L1E|F|V", "v|L2E|F|V", "w|L3E|F|V", "x|L1|F|A", "y|L2|F|A", "z|L3|F|A"),
        ("Spannung Süd A|||V", "Spannung Süd B|||V", "Spannung Süd C|||V",
         "Strom Süd A|||A", "Strom Süd B|||A", "Strom Süd C|||A"),
    ],
)  # fmt: skip
def test_three_phases_in_every_convention(described: tuple[str, ...]) -> None:
    """Recorders' ways to name a circuit all give its three phases in order."""
    listed = channels(*described)
    expected = [(f"L{i + 1}", listed[i].name, listed[i + 3].name) for i in range(3)]
    assert names(pair_channels(listed)) == expected
    assert names(pair_channels(listed[::-1])) == expected


def test_neutral_residual_and_direct_current_are_no_phases() -> None:
    """N, 3I0, DC and phase-to-phase channels never become a phase, whatever their unit."""
    listed = channels(
        "VN|N|G|V", "IN|N|G|A", "3I0|||A", "3U0|||V", "VDC| |G|V", "IDC| |G|A", "VAB|AB|G|V",
        "VBC|||V", "IDL1|||A", "IBIAS|||A", "IA|A|G|A", "VA|A|G|V",
    )  # fmt: skip
    assert names(pair_channels(listed)) == [("L1", "VA", "IA")]


def test_the_first_complete_circuit_is_taken_and_the_others_named() -> None:
    """Voltage and current of one circuit go together; others are listed as alternatives."""
    listed = channels(
        "IA_T|A|T|A", "IB_T|B|T|A", "IC_T|C|T|A",
        "IA_1|A|G 1|A", "IB_1|B|G 1|A",
        "VA_1|A|G 1|kV", "VB_1|B|G 1|kV", "VC_1|C|G 1|kV",
        "VA_2|A|G 2|kV", "VB_2|B|G 2|kV", "VC_2|C|G 2|kV",
        "IA_2|A|G 2|A", "IB_2|B|G 2|A", "IC_2|C|G 2|A",
    )  # fmt: skip
    pairing = pair_channels(listed)
    assert names(pairing) == [(f"L{i}", f"V{p}_2", f"I{p}_2") for i, p in enumerate("ABC", 1)]
    assert pairing.alternatives == (
        "VA_1 VB_1 VC_1 with IA_1 IB_1",
        "IA_T IB_T IC_T (no voltage of that circuit)",
    )


def test_one_bus_voltage_serves_a_feeder() -> None:
    """A voltage whose name tells no circuit is taken for the feeders; the second is named."""
    listed = channels(
        "VA|A||V", "VB|B||V", "VC|C||V",
        "IA_F1|A||A", "IB_F1|B||A", "IC_F1|C||A", "IA_F2|A||A", "IB_F2|B||A", "IC_F2|C||A",
    )  # fmt: skip
    pairing = pair_channels(listed)
    assert names(pairing) == [(f"L{i}", f"V{p}", f"I{p}_F1") for i, p in enumerate("ABC", 1)]
    assert pairing.alternatives == ("VA VB VC with IA_F2 IB_F2 IC_F2",)


def test_different_circuits_are_not_paired() -> None:
    """High-voltage volts and low-voltage amperes are refused, with the list of channels."""
    listed = channels("HV VA|||V", "HV VB|||V", "HV VC|||V", "LV IA|||A", "LV IB|||A", "LV IC|||A")
    with pytest.raises(RecordingError, match=r"same circuit.*1 'HV VA' \[V\].*6 'LV IC' \[A\]"):
        pair_channels(listed)


def test_nothing_to_pair() -> None:
    """A recording without analog channels says so."""
    with pytest.raises(RecordingError, match="the analog channels are: none"):
        pair_channels([])


PLAIN = ("VA|A||kV", "VB|B||kV", "IA|A||A", "IB|B||A", "IX|A||A", "F|||Hz", "D|||V", "D|||V")


def test_a_mapping_decides_alone() -> None:
    """Names, case and numbers select channels; phases that are not named are left out."""
    listed = channels(*PLAIN)
    assert names(map_channels(listed, {"VA": "vb", "IA": "IX"})) == [("L1", "VB", "IX")]
    assert names(map_channels(listed, {"v2": "1", "IL2": "IB"})) == [("L2", "VA", "IB")]
    assert map_channels(listed, {"VA": "8", "IA": "IA"}).pairs[0].v_channel.number == 8


@pytest.mark.parametrize(
    ("mapping", "reason"),
    [
        ({"VA": "VZ", "IA": "IA"}, "no analog channel 'VZ'"),
        ({"VD": "VA", "IA": "IA"}, "'VD' is none of"),
        ({"VA": "IA", "IA": "IB"}, "VA: channel 'IA' has unit 'A', not a voltage"),
        ({"VA": "VA", "IA": "F"}, "IA: channel 'F' has unit 'Hz', not a current"),
        ({"VA": "VA", "VB": "VA"}, "VB: channel 'VA' is used twice"),
        ({"VA": "VA"}, "phase L1 has no current"),
        ({"IB": "IB"}, "phase L2 has no voltage"),
        ({"VA": "D", "IA": "IA"}, "several channels are named 'D'; give a number: 7, 8"),
        ({}, "mapping is empty"),
    ],
)
def test_a_wrong_mapping_is_named(mapping: dict[str, str], reason: str) -> None:
    """Each mistake in a mapping names the key or the channel."""
    with pytest.raises(RecordingError) as caught:
        map_channels(channels(*PLAIN), mapping)
    assert reason in str(caught.value)
