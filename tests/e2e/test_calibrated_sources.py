"""Calibrated waveform sources through a real service: values, their uncertainty, and events."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import wait_for
from e2e.test_redundancy import certificate, feed, kinds, service, settled, source
from e2e.waveform_source import FREQUENCY_HZ, I_FIFTH, I_RMS, TRUE_W, V_FIFTH


def test_two_waveform_sources_of_one_feed(tmp_path: Path) -> None:
    """A transformer that leads by 20 mrad and shows 97 % agrees with a good one by certificate."""
    within = "{from: 1, to: 400, uncertainty: {pct_reading: 0.1, phase_rad: 5.0e-4}"
    for number in (1, 2):
        for channel in ("VA", "VB", "VC", "IA", "IB", "IC"):
            is_bad = number == 1 and channel.startswith("I")
            error = f", gain: {1 / 0.97}, phase_rad: 0.02" if is_bad else ""
            unit = "A" if channel.startswith("I") else "V"
            sensor = f"wave-{number}/{channel}"
            certificate(tmp_path / "calibrations", sensor, unit, f"{within}{error}}}")
    with source(0.02, 0.97) as bad, source(0.0, 1.0) as good:
        text = (
            "feeds:\n  - id: f\n    rated_power_w: 1.0e+5\n    nominal_hz: 50\n    members:\n"
            f"      - {{id: wave-1, waveform: {{type: stream, port: {bad}}}}}\n"
            f"      - {{id: wave-2, waveform: {{type: stream, port: {good}}}}}\n"
        )
        with service(tmp_path, text) as bmc:
            body = settled(lambda: feed(bmc), {"wave-1": "used", "wave-2": "used"})
            message = bmc.get("/dcpi/power/realtime")["feeds"][0]
    for member in body["Redundancy"]["Members"]:
        assert member["Reading"] == pytest.approx(TRUE_W, rel=2e-5)
    assert body["PowerWatts"] == pytest.approx(TRUE_W, rel=2e-5)
    # Per source: V and I 0.1 % and tan φ·√2·0.5 mrad, three phases; then the mean of two.
    one = (0.001**2 * 2 + (0.6197 * 0.5e-3) ** 2 * 2) ** 0.5 / 3**0.5
    assert body["PowerUncertaintyWatts"] / TRUE_W == pytest.approx(one / 2**0.5, rel=0.02)
    assert kinds(body) == set()
    assert len(body["Calibrations"]) == 12
    for phase in body["Phases"]:
        assert phase["VoltageUncertaintyVolts"] == pytest.approx(0.001 * phase["VoltageVolts"])
        assert phase["CurrentUncertaintyAmps"] == pytest.approx(0.001 * phase["CurrentAmps"])
        assert phase["PowerUncertaintyWatts"] == pytest.approx(one * TRUE_W / 3**0.5, rel=0.02)
    for phase, told_phase in zip(body["Phases"], message["phases"], strict=True):
        for name, word, scale in (
            ("PowerUncertaintyWatts", "power_uncertainty_mw", 1e6),
            ("ReactivePowerUncertaintyVAR", "reactive_power_uncertainty_mvar", 1e6),
            ("VoltageUncertaintyVolts", "voltage_uncertainty_v", 1.0),
            ("CurrentUncertaintyAmps", "current_uncertainty_a", 1.0),
            ("ApparentPowerUncertaintyVA", "apparent_power_uncertainty_mva", 1e6),
            ("PowerFactorUncertainty", "power_factor_uncertainty", 1.0),
            ("VoltageTHDUncertaintyPercent", "voltage_thd_uncertainty_percent", 1.0),
            ("CurrentTHDUncertaintyPercent", "current_thd_uncertainty_percent", 1.0),
        ):
            assert told_phase[word] * scale == pytest.approx(phase[name], rel=1e-3)
    for phase in body["Phases"]:
        expected = phase["ApparentPowerVA"] * 0.001 * 2**0.5
        assert phase["ApparentPowerUncertaintyVA"] == pytest.approx(expected)
    assert 0.7e-3 <= body["FrequencyUncertaintyHz"] < 0.1
    assert 0.7e-3 <= message["frequency_uncertainty_hz"] < 0.1
    # Of the mean of two only the active power's is known.
    assert (body["ApparentPowerUncertaintyVA"], body["PowerFactorUncertainty"]) == (None, None)


def test_energies_stand_while_the_source_is_lost(tmp_path: Path) -> None:
    """Both faces: power is null, energy reads on as of the last window, the gap is counted."""
    (tmp_path / "calibrations").mkdir()
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(source(0.0, 1.0))
        text = (
            "feeds:\n  - id: f\n    rated_power_w: 1.0e+5\n    nominal_hz: 50\n"
            f"    waveform: {{type: stream, port: {port}}}\n"
        )
        with service(tmp_path, text) as bmc:
            wait_for(lambda: feed(bmc).get("EnergyImportkWh"), 10.0, "energy")
            stack.close()
            wait_for(lambda: feed(bmc)["Quality"] == "comm-error", 5.0, "loss")
            body, message = feed(bmc), bmc.get("/dcpi/power/realtime")["feeds"][0]
            later = wait_for(
                lambda: (
                    now
                    if (now := feed(bmc))["EnergyRegisters"]["GapSeconds"]
                    > body["EnergyRegisters"]["GapSeconds"] + 0.5
                    else None
                ),
                5.0,
                "a longer gap",
            )
    assert (body["PowerWatts"], message["power_mw"]) == (None, None)
    assert body["EnergyImportkWh"] > 0.0
    assert message["energy_import_mwh"] * 1000 == pytest.approx(body["EnergyImportkWh"])
    assert later["EnergyImportkWh"] == body["EnergyImportkWh"]
    registers = body["EnergyRegisters"]
    assert registers["GapSeconds"] > 0.0
    assert registers["LastCounted"] == message["energy_registers"]["last_counted"]
    assert later["EnergyRegisters"]["LastCounted"] == registers["LastCounted"]
    counted = datetime.fromisoformat(registers["LastCounted"])
    measured = datetime.fromisoformat(body["MeasuredAt"])
    assert (counted - measured).total_seconds() == pytest.approx(0.1)


def test_cycles_of_a_calibrated_feed_are_the_truth(tmp_path: Path) -> None:
    """A transformer that leads by 20 mrad and shows 97 %: values over 10 cycles on both faces."""
    known = f"gain: {1 / 0.97}, phase_rad: 0.02, uncertainty: {{pct_reading: 0.1}}"
    within = f"{{from: 0, to: 400, {known}}}"
    for channel in ("IA", "IB", "IC"):
        certificate(tmp_path / "calibrations", f"f/{channel}", "A", within)
    with source(0.02, 0.97) as port:
        text = (
            "feeds:\n  - id: f\n    rated_power_w: 1.0e+5\n    nominal_hz: 50\n"
            f"    waveform: {{type: stream, port: {port}}}\n"
        )
        with service(tmp_path, text) as bmc:

            def settled_cycles() -> Any:
                body = feed(bmc)
                smoothed = body.get("SmoothedDistortion")
                return body if smoothed and smoothed["Settled"] else None

            body = wait_for(settled_cycles, 25.0, "values over cycles")
            message = bmc.get("/dcpi/power/realtime")["feeds"][0]
    cycles, told = body["TenTwelveCycle"], message["ten_twelve_cycle"]
    assert cycles["PowerWatts"] == pytest.approx(TRUE_W, rel=5e-5)
    assert told["power_mw"] * 1e6 == pytest.approx(TRUE_W, rel=5e-5)
    assert cycles["FrequencyHz"] == pytest.approx(FREQUENCY_HZ, rel=2e-4)
    for phase in cycles["Phases"]:
        assert phase["CurrentAmps"] == pytest.approx(I_RMS * (1 + I_FIFTH**2) ** 0.5, rel=5e-5)
        assert phase["CurrentTHDSPercent"] == pytest.approx(100 * I_FIFTH, rel=1e-3)
    smoothed, told = body["SmoothedDistortion"], message["smoothed_distortion"]
    assert (smoothed["TimeConstantSeconds"], told["time_constant_sec"]) == (1.5, 1.5)
    for phase, word in zip(smoothed["Phases"], told["phases"], strict=True):
        assert phase["CurrentTHDSPercent"] == pytest.approx(100 * I_FIFTH, rel=1e-3)
        assert word["thds_voltage_percent"] == pytest.approx(100 * V_FIFTH, rel=1e-3)


def test_an_event_has_the_corrected_power(tmp_path: Path) -> None:
    """A transformer shows half: a step of 30 kW, 15 kW as it shows it, passes 20 kW."""
    for channel in ("IA", "IB", "IC"):
        within = "{from: 0, to: 400, gain: 2.0, uncertainty: {pct_reading: 0.1}}"
        certificate(tmp_path / "calibrations", f"f/{channel}", "A", within)
    with source(0.0, 0.5, 1.5) as port:
        text = (
            "feeds:\n  - {id: f, rated_power_w: 1.0e+5, nominal_hz: 50, event_threshold_w: 2.0e+4,"
            f" waveform: {{type: stream, port: {port}}}}}\n"
        )
        with service(tmp_path, text) as bmc:

            def over() -> dict[str, Any] | None:
                events = bmc.get("/redfish/v1/dcpi/power/events?feed=f")["Events"]
                return next((event for event in events if event["EventState"] == "Over"), None)

            event = wait_for(over, 20, "a step of the load that is over")
    assert abs(event["PowerChangeWatts"]) == pytest.approx(0.5 * TRUE_W, rel=0.005)
    between = sorted((event["PowerBeforeWatts"], event["PowerAfterWatts"]))
    assert between == pytest.approx([TRUE_W, 1.5 * TRUE_W], rel=0.005)
