"""What a handler is given: the parts of the service that it renders, and the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmc_ext.clock import Clock
from bmc_ext.control.commands import Commands
from bmc_ext.host_name import HostName
from bmc_ext.lifecycle import Lifecycle
from bmc_ext.messages import strict_json
from bmc_ext.redfish.access_audit import AccessAudit
from bmc_ext.redfish.discovery import Discovery
from bmc_ext.redfish.equipment_book import EquipmentBook
from bmc_ext.redfish.events.eventing import Eventing
from bmc_ext.redfish.firmware import Firmware
from bmc_ext.redfish.host import HostBMC
from bmc_ext.redfish.reports.reporter import Reporter
from bmc_ext.redfish.reports.trigger_watch import TriggerWatch
from bmc_ext.redfish.sensor_catalogue import DeviceSensors, SensorList
from bmc_ext.redfish.sensor_values import FacilitySensor
from bmc_ext.security.accounts import Accounts
from bmc_ext.security.audit import AuditLog
from bmc_ext.security.identity import Identity
from bmc_ext.security.served_certificate import ServedCertificate
from bmc_ext.security.sessions import Sessions
from bmc_ext.service_identification import ServiceIdentification
from bmc_ext.settings import Config
from bmc_ext.tasks import Tasks
from bmc_ext.telemetry.history import History
from bmc_ext.telemetry.peaks import PowerPeaks
from bmc_ext.telemetry.power_events import PowerEvents
from bmc_ext.telemetry.snapshot import SnapshotStore


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of the service that the Redfish face shows and commands.

    `windows` gives the ring's records of a feed from a window on. `types` are those of our own
    resources, such as `Sensor.v1_13_0.Sensor`. Feeds and loops have the same places
    in the configuration and in every snapshot.
    """

    config: Config
    clock: Clock
    uuid: str
    types: tuple[str, ...]
    snapshots: SnapshotStore
    history: History
    events: PowerEvents
    eventing: Eventing
    reporter: Reporter
    triggers: TriggerWatch
    windows: Callable[[str, int], NDArray[np.void]]
    commands: Commands
    accounts: Accounts
    sessions: Sessions
    audit: AuditLog
    access: AccessAudit
    facility_sensors: Mapping[str, FacilitySensor]
    device_sensors: DeviceSensors
    sensor_list: SensorList
    lifecycle: Lifecycle
    host_name: HostName
    identification: ServiceIdentification
    certificate: ServedCertificate
    tasks: Tasks
    privilege_mappings: Callable[[], list[dict[str, Any]]]
    equipment: EquipmentBook
    peaks: PowerPeaks
    feed_places: Mapping[str, int]
    loop_places: Mapping[str, int]
    firmware: Firmware | None = None
    discovery: Discovery | None = None
    host: HostBMC | None = None


class Request(NamedTuple):
    """One request after authentication. Header names are lower case; `client` is an address."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    identity: Identity | None
    correlation_id: str
    params: Mapping[str, str] = MappingProxyType({})
    raw_query: str = ""
    client: str = ""

    def json(self) -> object:
        """The body as strict JSON; MessageError where it is none."""
        return strict_json.loads(self.body)

    @property
    def who(self) -> Identity:
        """The caller; only an open resource may be asked without one."""
        if self.identity is None:
            raise AssertionError("a privileged handler was reached without an identity")
        return self.identity


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `body` is a JSON object, ready bytes, or nothing."""

    status: int
    body: dict[str, Any] | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
