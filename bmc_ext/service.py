"""The composition root: builds every part once, starts them in order, stops them in reverse."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import ssl
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from socket import socket

from bmc_ext.clock import Clock, SystemClock
from bmc_ext.config import equipment_points
from bmc_ext.control.commands import Commands, WorkloadSink
from bmc_ext.errors import ConfigurationError, HostUnavailableError
from bmc_ext.host_name import HostName, MachineName
from bmc_ext.lifecycle import Lifecycle
from bmc_ext.measuring import Measuring, instruments_of
from bmc_ext.pauses import short_pauses
from bmc_ext.redfish.access_audit import AccessAudit
from bmc_ext.redfish.app import create_app
from bmc_ext.redfish.context import Context
from bmc_ext.redfish.cooling import check_fluids
from bmc_ext.redfish.dispatch import Dispatcher
from bmc_ext.redfish.equipment_book import EquipmentBook
from bmc_ext.redfish.events.client_changes import tell_of_people
from bmc_ext.redfish.events.eventing import Eventing
from bmc_ext.redfish.events.watch import Watch
from bmc_ext.redfish.firmware import Firmware
from bmc_ext.redfish.host import PREFIX, HostBMC
from bmc_ext.redfish.privilege_map import privilege_mappings
from bmc_ext.redfish.reports.definition import DefinitionStore
from bmc_ext.redfish.reports.metrics import Catalogue
from bmc_ext.redfish.reports.reporter import Reporter
from bmc_ext.redfish.reports.trigger import TriggerStore
from bmc_ext.redfish.reports.trigger_watch import TriggerWatch
from bmc_ext.redfish.resources import all_resources
from bmc_ext.redfish.resources.rack_pdu_chassis import chassis_routes
from bmc_ext.redfish.resources.session import recall_timeout
from bmc_ext.redfish.sensor_catalogue import Devices, DeviceSensors, SensorList, facility_sensors
from bmc_ext.security.accounts import Accounts
from bmc_ext.security.audit import AuditLog
from bmc_ext.security.lockout import LockoutRule
from bmc_ext.security.served_certificate import ServedCertificate
from bmc_ext.security.sessions import Sessions
from bmc_ext.service_identification import ServiceIdentification
from bmc_ext.serving.aggregated import NoAuthentication, ReadOnly
from bmc_ext.serving.authentication import Authenticator
from bmc_ext.serving.bridge import AsgiApp
from bmc_ext.serving.event_stream import EventStream
from bmc_ext.serving.front import Front
from bmc_ext.serving.health import Health
from bmc_ext.serving.lanes import Lane
from bmc_ext.serving.mdns import MdnsAnnouncer
from bmc_ext.serving.server import Aside, bind, run
from bmc_ext.serving.ssdp import SsdpResponder
from bmc_ext.serving.streams import PowerStream
from bmc_ext.serving.tls import ReplaceableCertificate
from bmc_ext.settings import Config, ListenConfig
from bmc_ext.state import StateDirectory
from bmc_ext.tasks import Tasks
from bmc_ext.timekeeping import Timekeeper
from bmc_ext.upstream.bmc import upstream_bmc
from bmc_ext.upstream.push import inbox_of, subscription

_LOG = logging.getLogger(__name__)
_TICK_S = 1.0
_THREADS = 8
_WAITING = 256
_WAITING_LOGINS = 64  # at 47 ms each and two at a time: 1.5 s
_LOGIN_THREADS = 2  # as many argon2 runs as Accounts lets through at once


class Service:
    """One BMC extension over one configuration; owns its state directory while it lives.

    It measures itself unless it is given a `measuring` to show, which then outlives it. `clock` and
    `timekeeper` are for what is measured, controlled and told; security keeps the machine's time.
    """

    def __init__(
        self,
        config: Config,
        *,
        host: HostBMC | None = None,
        firmware: Firmware | None = None,
        host_name: HostName | None = None,
        sink: WorkloadSink | None = None,
        clock: Clock | None = None,
        timekeeper: Timekeeper | None = None,
        state: StateDirectory | None = None,
        measuring: Measuring | None = None,
    ) -> None:
        self.config = config
        self.clock = clock or SystemClock()
        self.lifecycle = Lifecycle(self.clock)
        instruments = measuring.instruments if measuring else instruments_of(config, self.clock)
        device_sensors = _checked(config, instruments.devices)
        sensors = facility_sensors(config)
        _check_chassis(config, host)
        self.state = state or StateDirectory(config.state_dir)
        self._measures_itself = measuring is None
        self.measuring = measuring or Measuring(
            config, instruments, self.state, self.clock, timekeeper or Timekeeper(self.clock)
        )
        self.snapshots = self.measuring.collector.store
        real = SystemClock()
        self.accounts = Accounts(
            self.state, clock=real, lockout=LockoutRule(config.listen.lockout_threshold)
        )
        self.sessions = Sessions(
            config.listen.session_timeout_s, real, is_current=self.accounts.is_current
        )
        self.accounts.observe(self.sessions.close_of)
        self.audit = AuditLog(config.state_dir / "audit", clock=real)
        self.access = AccessAudit(self.audit, real)
        self.certificate = _certificate(config, real)
        self.tasks = Tasks(self.clock)
        self.commands = Commands(
            config=config,
            clock=self.clock,
            state=self.state,
            audit=self.audit,
            snapshots=self.snapshots,
            engine=instruments.devices,
            sink=sink,
        )
        self.eventing = Eventing(config.events, self.state, self.clock, self.accounts.privileges_of)
        self.reporter = Reporter(
            DefinitionStore(self.state),
            Catalogue(sensors, device_sensors),
            self.snapshots,
            self.eventing,
        )
        self.equipment = EquipmentBook(self.state)
        recall_timeout(self.sessions, self.equipment)
        self.triggers = TriggerWatch(
            TriggerStore(self.state),
            self.reporter.catalogue,
            self.reporter,
            self.eventing,
            self.clock,
        )
        self.reporter.observe(self.triggers.follow)
        inbox = inbox_of(config)
        configured = [*chassis_routes(config), *([] if inbox is None else [inbox.routes])]
        self.registry = all_resources(configured, legacy=config.legacy)
        identity = _identity(config.state_dir)
        pushed = subscription(config, inbox, identity, self.lifecycle)
        self.upstream = upstream_bmc(config, self.registry, self.eventing.publish, pushed)
        if inbox is not None and self.upstream is not None:
            inbox.take = self.upstream.take
        host = host or self.upstream
        self.discovery = _discovery(config, identity, self.lifecycle)
        self._host_name = host_name or MachineName()
        self.announcer = _announcer(config, identity, self._host_name, self.lifecycle)
        self.context = Context(
            config=config,
            clock=self.clock,
            uuid=identity,
            types=self.registry.types,
            snapshots=self.snapshots,
            history=self.measuring.collector.history,
            events=self.measuring.events,
            eventing=self.eventing,
            reporter=self.reporter,
            triggers=self.triggers,
            windows=self.measuring.collector.windows,
            commands=self.commands,
            accounts=self.accounts,
            sessions=self.sessions,
            audit=self.audit,
            access=self.access,
            lifecycle=self.lifecycle,
            host_name=self._host_name,
            identification=ServiceIdentification(config.state_dir / "service_identification"),
            certificate=self.certificate,
            tasks=self.tasks,
            firmware=firmware,
            discovery=self.discovery,
            privilege_mappings=lambda: privilege_mappings(
                self.registry, () if host is None else host.types
            ),
            facility_sensors=sensors,
            device_sensors=device_sensors,
            sensor_list=SensorList(sensors, device_sensors),
            equipment=self.equipment,
            peaks=self.measuring.peaks,
            feed_places={feed.id: place for place, feed in enumerate(config.feeds)},
            loop_places={loop.id: place for place, loop in enumerate(config.loops)},
            host=host,
        )
        tell_of_people(self.context)
        self._dispatcher = Dispatcher(self.registry, self.context)
        self.eventing.read = self._dispatcher.read_as
        self.watch = Watch(self.context)
        self._stopping = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="control-tick", daemon=True)

    def start(self) -> None:
        """Start measuring and controlling."""
        self.eventing.start()
        if self._measures_itself:
            self.measuring.start()
        self._ticker.start()
        if self.discovery is not None:
            self.discovery.start()
        if self.announcer is not None:
            self.announcer.start()
        if self.upstream is not None:
            self.upstream.start()
        self.watch.start()
        self.reporter.start()

    def stop(self) -> None:
        """Stop in reverse order; everything measured until now is kept."""
        if self.discovery is not None:
            self.discovery.stop()
        if self.announcer is not None:
            self.announcer.stop()
        self._stopping.set()
        self._ticker.join()
        self.watch.stop()
        if self.upstream is not None:
            self.upstream.stop()
        self.reporter.stop()
        self.triggers.store.close()
        if self._measures_itself:
            self.measuring.stop()
        self.tasks.close()
        self.commands.close()
        self.eventing.stop()
        self.equipment.close()
        self.access.close()
        self.audit.close()
        self.accounts.close()
        self.state.close()

    def serve(self, on_ready: Callable[[Config, int], None]) -> bool:
        """Measure and answer requests until SIGINT or SIGTERM; `on_ready` is told the port.

        True where a client asked for a restart: make another Service on the same state then.
        """
        listen = self.config.listen
        with contextlib.ExitStack() as held:
            listener = held.enter_context(bind(listen.host, listen.port))
            port = self.lifecycle.port = listener.getsockname()[1]
            also = held.enter_context(_bind_aggregated(listen))
            self.start()
            held.callback(self.stop)
            held.enter_context(short_pauses())
            requests = held.enter_context(Lane("request", threads=_THREADS, waiting=_WAITING))
            passwords = held.enter_context(
                Lane("password", threads=_LOGIN_THREADS, waiting=_WAITING_LOGINS)
            )
            hosts = held.enter_context(Lane("upstream", threads=_THREADS, waiting=_WAITING_LOGINS))
            # A lane of its own: whoever needs no identity keeps nobody waiting who has one.
            strangers = held.enter_context(Lane("aggregated", threads=1, waiting=_WAITING))
            run(
                self.front(requests, passwords, hosts),
                listener,
                self.tls(),
                lambda: on_ready(self.config, port),
                self.lifecycle.serve_until,
                self.eventing.end_streams,
                None if also is None else Aside(self.aggregated(strangers), also),
            )
        return self.lifecycle.restarting

    def tls(self) -> ssl.SSLContext:
        """What to listen with: it follows the certificate when that is replaced."""
        pair = ReplaceableCertificate(*self.certificate.paths)
        self.certificate.observe(pair.use)
        return pair.context

    def front(self, requests: Lane, passwords: Lane, hosts: Lane) -> AsgiApp:
        """The ASGI application over these parts."""
        who = Authenticator(self.accounts, self.sessions, self.access, passwords)
        return self._front(self._dispatcher, who, requests, passwords, hosts)

    def aggregated(self, requests: Lane) -> ReadOnly:
        """What is ours, for who asks without identity: a BMC behind asks that of its clients."""
        ours = Dispatcher(self.registry, dataclasses.replace(self.context, host=None))
        return ReadOnly(self._front(ours, NoAuthentication(), requests, requests, requests))

    def _front(
        self,
        dispatcher: Dispatcher,
        who: Authenticator | NoAuthentication,
        requests: Lane,
        passwords: Lane,
        hosts: Lane,
    ) -> Front:
        return Front(
            dispatcher,
            create_app(dispatcher),
            who,
            PowerStream(self.snapshots, self.config.facility.id, self.clock),
            EventStream(self.eventing),
            Health(self.snapshots, self.clock),
            requests=requests,
            passwords=passwords,
            hosts=hosts,
            max_body_bytes=self.config.listen.max_body_bytes,
        )

    def _tick(self) -> None:
        """Let workloads and grid events begin and end at their time."""
        while not self._stopping.wait(_TICK_S):
            try:
                self.commands.tick(self.clock.unix_ns() / 1e9)
            except Exception:
                _LOG.exception("the control tick failed; it goes on with the next")


def on_same_port(ended: Service) -> Config:
    """The configuration with which the successor of a service is found where it was."""
    port, config = ended.lifecycle.port, ended.config
    assert port is not None
    return dataclasses.replace(config, listen=dataclasses.replace(config.listen, port=port))


def _bind_aggregated(listen: ListenConfig) -> contextlib.AbstractContextManager[socket | None]:
    at = listen.aggregated
    if at is None:
        return contextlib.nullcontext()
    return bind(at.host, at.port, "choose another in listen.aggregated")


def _discovery(config: Config, identity: str, lifecycle: Lifecycle) -> SsdpResponder | None:
    listen = config.listen
    if not listen.discovery:
        return None
    return SsdpResponder(listen.discovery, listen.host, identity, lifecycle, config.state_dir)


def _announcer(
    config: Config, identity: str, name: HostName, lifecycle: Lifecycle
) -> MdnsAnnouncer | None:
    listen = config.listen
    if not listen.mdns:
        return None
    return MdnsAnnouncer(listen.mdns, listen.host, identity, name(), lifecycle)


def _certificate(config: Config, clock: Clock) -> ServedCertificate:
    listen = config.listen
    configured = None
    if listen.certificate is not None and listen.private_key is not None:
        configured = listen.certificate, listen.private_key
    return ServedCertificate(config.state_dir / "tls", [listen.host], clock, configured)


def _checked(config: Config, devices: Devices) -> DeviceSensors:
    """The devices' sensors; ConfigurationError where cooling or distribution point nowhere."""
    sensors = DeviceSensors(devices)
    sensors.check(equipment_points(config))
    check_fluids(config)
    return sensors


def _check_chassis(config: Config, host: HostBMC | None) -> None:
    """ConfigurationError where a rack PDU has the id of a chassis of the host, or may have it."""
    taken: tuple[str, ...] = ()
    if host is not None and config.rack_pdus:
        with contextlib.suppress(HostUnavailableError):  # then nobody can tell
            taken = host.members("Chassis")
    for pdu in config.rack_pdus:
        if config.upstream is not None and pdu.id.lower().startswith(PREFIX.lower()):
            reason = f"begins with {PREFIX}, as ids of the BMC behind do"
            raise ConfigurationError(f"rack_pdus: the id {pdu.id!r} {reason}; choose another")
        if pdu.id in taken:
            raise ConfigurationError(f"rack_pdus: the host has a chassis {pdu.id!r} already")


def _identity(state_dir: Path) -> str:
    """The service's UUID, made once and kept."""
    file = state_dir / "uuid"
    if not file.exists():
        file.write_text(f"{uuid.uuid4()}\n", encoding="ascii")
    return file.read_text(encoding="ascii").strip()
