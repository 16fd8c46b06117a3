"""The host BMC of the emulator: sushy-tools' fake driver in this process, behind the host port."""

from emulator.host.bmc import SushyHost
from emulator.host.machines import HostChassis, HostSystem

__all__ = ["HostChassis", "HostSystem", "SushyHost"]
