"""libvirt's domains as the host's systems, through sushy-tools' own driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from sushy_tools.emulator.resources.systems import libvirtdriver
from sushy_tools.error import FishyError

from bmc_ext.errors import ConfigurationError
from emulator.host.store import Section

_NEVER_S: Final = float("inf")
_STARTS: Final = ("On", "ForceOn", "ForceRestart")


class DomainDriver(libvirtdriver.LibvirtDriver):  # type: ignore[misc]  # sushy-tools has no types
    """The domains at a libvirt URI, which others may change at any time.

    A boot override is the domain's first boot device until it is disabled; one for a single boot
    is taken back once a start has used it. `overrides` keeps what is to be put back.
    ConfigurationError where Python's libvirt is missing or nothing answers at the URI.
    """

    def __init__(self, config: dict[str, Any], logger: Any, uri: str, overrides: Section) -> None:
        if not libvirtdriver.is_loaded:
            raise ConfigurationError(
                "--libvirt-uri needs Python's libvirt: apt install python3-libvirt, or "
                "pip install 'dcpi-bmc[libvirt]'"
            )
        self._config = config
        self._logger = logger
        self._uri = uri
        self._overrides = overrides
        self._http_boot_uri = None
        self.SUSHY_EMULATOR_IGNORE_BOOT_DEVICE = False
        libvirtdriver.libvirt.registerErrorHandler(_no_second_voice, None)
        try:
            # Kept: the state of libvirt's test driver ends with its last connection.
            self._connection = libvirtdriver.libvirt.open(uri)
        except libvirtdriver.libvirt.libvirtError as error:
            raise ConfigurationError(f"--libvirt-uri {uri}: {error}") from error

    def settle(self) -> float:
        """Nothing is ever pending: libvirt changes at once."""
        return _NEVER_S

    def set_power_state(self, identity: str, state: str) -> None:
        """Start or stop the domain; a start uses up an override for one boot."""
        was_on = self.get_power_state(identity) == "On"
        super().set_power_state(identity, state)
        starts = state in _STARTS and was_on == (state == "ForceRestart")
        if starts and self.get_boot_enabled(identity) == "Once":
            self._put_back(identity)

    def set_boot_device(self, identity: str, boot_source: str) -> None:
        """Boot from there first, until further notice; from where it was for `None`."""
        if boot_source == "None":
            self._put_back(identity)
            return
        before = self._overrides.get(identity, {}).get("before", self.get_boot_device(identity))
        with _asked_too_much():
            super().set_boot_device(identity, boot_source)
        self._overrides[identity] = {"before": before, "enabled": "Continuous"}

    def set_boot_mode(self, identity: str, boot_mode: str) -> None:
        """UEFI or Legacy, where the domain has the firmware for it."""
        with _asked_too_much():
            super().set_boot_mode(identity, boot_mode)

    def set_boot_enabled(self, identity: str, enabled: str) -> None:
        """Whether the override holds for no, for one or for every boot."""
        if enabled == "Disabled":
            self._put_back(identity)
        elif identity in self._overrides:
            self._overrides[identity] = {**self._overrides[identity], "enabled": enabled}

    def get_boot_enabled(self, identity: str) -> str:
        """Disabled, Once or Continuous."""
        return str(self._overrides.get(identity, {}).get("enabled", "Disabled"))

    def _put_back(self, identity: str) -> None:
        before = self._overrides.pop(identity, {}).get("before")
        if before is not None:
            super().set_boot_device(identity, before)


def _no_second_voice(context: object, error: object) -> None:
    """Every error comes as an exception: libvirt need not print it as well."""
    del context, error


@contextlib.contextmanager
def _asked_too_much() -> Iterator[None]:
    """What a domain has no device or firmware for is the client's error."""
    try:
        yield
    except FishyError as error:
        raise FishyError(str(error), code=400) from error
