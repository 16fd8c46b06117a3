"""A host BMC without what the standard has deprecated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bmc_ext.redfish.host import HostError
from emulator.host import SushyHost


def _read(host: SushyHost, path: str) -> dict[str, Any]:
    body = host.handle("GET", path, "", None).body
    assert body is not None
    return body


def test_without_legacy_nothing_deprecated_is_served_and_the_lamp_still_works(
    tmp_path: Path,
) -> None:
    """No Power, Thermal, IndicatorLED or media of the manager; the lamp is still written."""
    host = SushyHost(tmp_path / "modern", legacy=False)
    try:
        system = f"/redfish/v1/Systems/{host.members('Systems')[0]}"
        chassis = f"/redfish/v1/Chassis/{host.members('Chassis')[0]}"
        manager = f"/redfish/v1/Managers/{host.members('Managers')[0]}"
        for name in ("Power", "Thermal"):
            assert not host.methods(f"{chassis}/{name}")
        assert not [name for name in host.types if name.startswith(("Power.", "Thermal."))]
        assert {"Power", "Thermal", "IndicatorLED"}.isdisjoint(_read(host, chassis))
        assert "VirtualMedia" not in _read(host, manager)
        body = _read(host, system)
        assert "IndicatorLED" not in body
        assert "VirtualMedia" in body
        for active, uri in ((True, system), (False, system), (True, chassis), (False, chassis)):
            host.handle("PATCH", uri, "", {"LocationIndicatorActive": active})
            assert _read(host, uri)["LocationIndicatorActive"] is active
        with pytest.raises(HostError) as refused:
            host.handle("PATCH", system, "", {"IndicatorLED": "Lit"})
        assert refused.value.property_path == "/IndicatorLED"
    finally:
        host.close()
