"""sushy-tools as the host BMC: validated requests in, mended bodies out, reads from memory."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from bmc_ext.clock import Clock, SystemClock
from bmc_ext.errors import DcpiError, NotFoundError
from bmc_ext.host_name import OwnName
from bmc_ext.redfish.context import Request
from bmc_ext.redfish.firmware import Software
from bmc_ext.redfish.host import HostError, HostResponse
from bmc_ext.redfish.resources import ethernet_interface
from bmc_ext.redfish.resources.manager import services
from bmc_ext.state import StateDirectory
from emulator.host import bios, legacy, power_supplies, standard
from emulator.host.firmware import version_of
from emulator.host.machines import (
    STOCK_CHASSIS,
    STOCK_SYSTEM,
    HostChassis,
    HostSystem,
    check_machines,
)
from emulator.host.manager_time import ManagerTime
from emulator.host.mending import TYPES, indicator, mend, message_of, without_secret
from emulator.host.routes import COLLECTIONS, MEDIA_ROUTES, OFF_TYPES, ROOT, Route, find
from emulator.host.store import HostStore, Section
from emulator.host.sushy import PowerDriver, SushyApp

_LOG = logging.getLogger(__name__)

_TAGGED: Final = ("system", "chassis")
_TAG_KEY: Final = "asset tag"
_NAME_KEY: Final = "host name"
_VERSION_KEY: Final = "firmware version"
_INSTALL_STEP_S: Final = 0.25  # four of them, so that a client can watch the task proceed


class SushyHost:
    """A mock host BMC (the port `bmc_ext.redfish.host.HostBMC`); all methods are thread-safe.

    Its state lives in `directory`, which it alone uses until `close`, and power changes take
    effect `power_delay_s` after they were asked for. Without `legacy` it serves nothing that the
    standard has deprecated. Each instance is a BMC of its own, also
    within one process. A GET is answered from memory until anything in the state changes, by
    whatever way, so that the next GET shows it. ValueError for machines without a canonical UUID
    of their own, StateError for a directory that cannot be used, ConfigurationError for libvirt
    that cannot.

    With `libvirt_uri` its systems are libvirt's domains, whoever makes and changes them: then
    nothing is remembered, and there is no virtual media, for no image is ever fetched.
    """

    def __init__(
        self,
        directory: Path,
        *,
        systems: Sequence[HostSystem] = (STOCK_SYSTEM,),
        chassis: Sequence[HostChassis] = (STOCK_CHASSIS,),
        power_delay_s: float = 0.0,
        legacy: bool = True,
        clock: Clock | None = None,
        libvirt_uri: str | None = None,
    ) -> None:
        check_machines("systems", [system.uuid for system in systems])
        check_machines("chassis", [one.uuid for one in chassis])
        self._clock = clock or SystemClock()
        self._legacy = legacy
        self._lock = threading.Lock()
        self._bodies: dict[str, tuple[int, bytes]] = {}
        self._state = StateDirectory(directory)
        self._store = HostStore(self._state)
        try:
            self._app = SushyApp(
                self._store,
                str(directory),
                systems,
                chassis,
                power_delay_s,
                self._now_s,
                libvirt_uri,
            )
        except DcpiError:
            self.close()
            raise
        self._is_libvirt = libvirt_uri is not None
        self._machines = self._app.machines
        self._chassis = tuple(one.uuid for one in chassis)
        self._supplies = power_supplies.PowerSupplies(self._chassis)
        self._settings = Section(self._store)
        self._settings.make_permanent(None, "manager")
        self._time = ManagerTime(self._settings, self._now_s)
        self._next_power_change_s = self._app.power.settle()
        self.name = OwnName(
            lambda: self._settings.get(_NAME_KEY), lambda name: self._keep(_NAME_KEY, name)
        )

    @property
    def types(self) -> tuple[str, ...]:
        """The types of what it serves."""
        of_bios = () if self._is_libvirt else bios.TYPES
        served = (*TYPES, *standard.TYPES, *power_supplies.TYPES, *of_bios)
        return served if self._legacy else tuple(t for t in served if t not in legacy.TYPES)

    @property
    def runs_here(self) -> bool:
        """The emulated manager is this process."""
        return True

    @property
    def may_wait(self) -> bool:
        """It is asked in this process."""
        return False

    @property
    def root(self) -> Mapping[str, Any]:
        """Its systems: the rest of what it has is ours too."""
        return {"Systems": {"@odata.id": f"{ROOT}Systems"}}

    @property
    def schemas(self) -> Mapping[str, tuple[str, ...]]:
        """None beside those of its types."""
        return {}

    def members(self, collection: str) -> tuple[str, ...]:
        """Ids of the members of `Systems`, `Chassis` or `Managers`; none of any other."""
        if collection == "Chassis":
            return self._chassis
        if collection == "Registries" and not self._is_libvirt:
            return (bios.REGISTRY,)
        if collection not in COLLECTIONS:
            return ()
        return self._app.machines if self._is_libvirt else self._machines

    def power_states(self) -> Mapping[str, str]:
        """PowerState of its systems by their id."""
        found = {}
        for system in self.members("Systems"):
            body = self.handle("GET", f"{ROOT}Systems/{system}", "", None).body
            assert isinstance(body, dict)
            found[system] = str(body.get("PowerState"))
        return found

    def claims(self, path: str) -> bool:
        """The registry of its BIOS; what else is ours stays so."""
        return path == f"{ROOT}{bios.FILE}" and not self._is_libvirt

    def inventory(self) -> tuple[Software, ...]:
        """The firmware of the emulated BMC."""
        managers = self.members("Managers")
        if not managers:
            return ()
        uri = f"{ROOT}Managers/{managers[0]}"
        version = self.handle("GET", uri, "", None).body
        assert isinstance(version, dict)
        software = Software("BMC", "Emulated BMC", version["FirmwareVersion"], None, True, (uri,))
        return (software,)

    def install(self, image: bytes, progress: Callable[[int], None]) -> str:
        """Check an image of emulator.host.firmware and run as its version from now on."""
        version = version_of(image)
        for percent in range(60, 100, 10):
            progress(percent)
            self._clock.sleep(_INSTALL_STEP_S)
        self._keep(_VERSION_KEY, version)
        return f"version {version} is installed"

    def lose_supply(self, key: str, chassis: str | None, supply: str, cause: str) -> None:
        """Let a power supply deliver nothing until `restore_supply`; LookupError names what is not.

        Systems whose chassis has none left are off at once, and stay off.
        """
        with self._lock:
            self._supplies.lose(key, chassis, supply, cause)
            if not self._is_supplied():
                for system in self._machines:
                    self._app.power.set_power_state(system, "ForceOff")
            self._store.changed()
            self._next_power_change_s = self._app.power.settle()

    def check_supply(self, chassis: str | None, supply: str) -> None:
        """LookupError when there is no such power supply."""
        self._supplies.place(chassis, supply)

    def restore_supply(self, key: str) -> None:
        """Undo `lose_supply`. Unknown: KeyError."""
        with self._lock:
            self._supplies.restore(key)
            self._store.changed()

    def _is_supplied(self) -> bool:
        """Whether the chassis that holds the systems has power."""
        return self._supplies.deliver(min(self._chassis))

    def warm_up(self) -> None:
        """Render what a client asks for first, once."""
        for collection in COLLECTIONS:
            for member in self.members(collection):
                self.handle("GET", f"{ROOT}{collection}/{member}", "", None)

    def close(self) -> None:
        """Close the state and leave its directory to others."""
        self._store.close()
        self._state.close()

    def takes_query(self, query: Mapping[str, str]) -> bool:  # noqa: ARG002
        """All queries are answered from its whole bodies."""
        return False

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that the resource at `path` takes; none where nothing lives there."""
        found = self._find(path.rstrip("/"))
        return found[0].methods if found is not None else ()

    def version(self, path: str) -> int | None:
        """The state's version where a GET shows nothing but that; a manager shows the time."""
        if self._is_libvirt or path.startswith(f"{ROOT}Managers/"):
            return None
        return None if self._now_s() >= self._next_power_change_s else self._store.version

    def handle(
        self,
        method: str,
        path: str,
        query: str,  # noqa: ARG002
        body: object | None,
        request: Request | None = None,  # noqa: ARG002
    ) -> HostResponse:
        """Answer one request; `path` starts with /redfish/v1/, a query is ignored.

        HostError with 404 where nothing lives, 405 for a method that the resource does not take,
        400 naming the property that is wrong, 500 where sushy-tools fails all the same.
        """
        path = path.rstrip("/")
        route, ids = self._route(path)
        if method not in route.methods:
            allowed = ", ".join(route.methods)
            raise HostError(405, f"{path} does not take {method}, only {allowed}")
        if method == "GET" and route.name.startswith("own "):
            return HostResponse(200, self._own_interface(path, route, ids), {})
        if method == "GET":
            return HostResponse(200, self._now_in(route, self._read(route, path)), {})
        content: object = {} if body is None else body
        route.writes[method](content, "")
        assert isinstance(content, dict)
        if not self._legacy:
            legacy.refuse_legacy(content)
        if route.name == "own interface":
            self._own_interface(path, route, ids)
            self._set_name(content["HostName"])
            return HostResponse(204, None, {})
        with self._lock:
            try:
                self._write(method, route, path, ids, content)
            finally:
                self._next_power_change_s = self._app.power.settle()
        return HostResponse(204, None, {})

    def _keep(self, key: str, value: str) -> None:
        with self._lock:
            self._settings[key] = value

    def _now_s(self) -> float:
        return self._clock.unix_ns() / 1e9

    def _route(self, path: str) -> tuple[Route, dict[str, Any]]:
        found = self._find(path)
        if found is None:
            raise HostError(404, f"nothing lives at {path}")
        return found

    def _find(self, path: str) -> tuple[Route, dict[str, Any]] | None:
        found = find(path)
        if found is None or not self._exist(found[1]):
            return None
        return None if self._is_absent(found[0].name) else found

    def _is_absent(self, route: str) -> bool:
        if self._is_libvirt and route in (*MEDIA_ROUTES, *bios.ROUTES):
            return True
        return not self._legacy and route in legacy.ROUTES

    def _exist(self, ids: dict[str, Any]) -> bool:
        return all(ids[name] in self.members(name) for name in COLLECTIONS if name in ids)

    def _is_served(self, path: str) -> bool:
        found = self._find(path.rstrip("/"))
        return found is not None and found[0].reads

    def _read(self, route: Route, path: str) -> dict[str, Any]:
        if self._now_s() >= self._next_power_change_s:
            with self._lock:
                self._next_power_change_s = self._app.power.settle()
        version = self._store.version
        known, data = self._bodies.get(path, (None, b""))
        if known != version or self._is_libvirt:
            with self._lock:
                data = orjson.dumps(self._render(route, path))
            self._bodies[path] = version, data
        body: dict[str, Any] = orjson.loads(data)
        return body

    def _render(self, route: Route, path: str) -> dict[str, Any]:
        if route.name in power_supplies.ROUTES:
            return self._supplies.body(route.name, path)
        if route.name in bios.ROUTES:
            return self._bios(route.name, path)
        if route.name in standard.DERIVED:
            thermal = mend(self._ask("GET", standard.thermal_path(path), None), self._is_served)
            return standard.derived(route.name, path, thermal)
        body = mend(self._ask("GET", path, None), self._is_served, legacy=self._legacy)
        if route.name == "chassis":
            body["Status"]["HealthRollup"] = self._supplies.health(body["Id"])
        if route.name == "manager":
            body |= services(body["Id"])
            body["FirmwareVersion"] = self._settings.get(_VERSION_KEY, body["FirmwareVersion"])
        if route.name in _TAGGED:
            body["AssetTag"] = self._settings.get((_TAG_KEY, path), body.get("AssetTag"))
        if route.name == "system":
            boot_enabled = self._app.power.get_boot_enabled(body["Id"])
            body["Boot"]["BootSourceOverrideEnabled"] = boot_enabled
        return body

    def _bios(self, route: str, path: str) -> dict[str, Any]:
        if route in ("bios registry", "bios attributes"):
            return bios.registry_body(route, path)
        return bios.body(route, path, self._fake.system(_system_of(path)))

    @property
    def _fake(self) -> PowerDriver:
        """sushy-tools' fake machines; libvirt's have no BIOS that could be set."""
        assert isinstance(self._app.power, PowerDriver)
        return self._app.power

    def _own_interface(self, path: str, route: Route, ids: dict[str, Any]) -> dict[str, Any]:
        """The network of the emulated manager is that of this process: it is never remembered."""
        if route.name == "own interfaces":
            return {
                "@odata.type": f"#{ethernet_interface.COLLECTION}",
                "@odata.id": path,
                **ethernet_interface.collection_body(path),
            }
        try:
            body = ethernet_interface.interface_body(ids["id"], self.name())
        except NotFoundError as error:
            raise HostError(404, str(error)) from error
        return {"@odata.type": f"#{ethernet_interface.INTERFACE}", "@odata.id": path, **body}

    def _write(
        self, method: str, route: Route, path: str, ids: dict[str, Any], body: dict[str, Any]
    ) -> None:
        """Do a checked write; the caller holds the lock."""
        if route.name == "manager":
            self._time.set(body)
            return
        if route.name in _TAGGED and "AssetTag" in body:
            self._settings[_TAG_KEY, path] = body["AssetTag"]
        if route.name == "system":
            self._set_system(path, ids["Systems"], body)
        elif route.name == "chassis":
            lamp = indicator(body)
            if lamp:
                self._ask(method, path, lamp)
        elif route.name == "bios settings":
            system = self._fake.system(ids["Systems"])
            self._fake.change(ids["Systems"], bios.with_pending(system, body["Attributes"]))
        elif route.name == "reset bios":
            self._fake.change(ids["Systems"], bios.with_defaults_pending())
        elif route.name == "insert media":
            self._ask(method, path, without_secret(body))
        elif route.name == "reset" and not (self._is_supplied() or body["ResetType"] in OFF_TYPES):
            raise HostError(409, "no power supply of the chassis delivers power")
        else:
            self._ask(method, path, body)

    def _now_in(self, route: Route, body: dict[str, Any]) -> dict[str, Any]:
        """A manager's body with the time of now: it is the one thing that is never remembered."""
        return {**body, **self._time.now()} if route.name == "manager" else body

    def _set_name(self, name: str) -> None:
        try:
            self.name.change(name)
        except ValueError as error:
            wrong = "PropertyValueFormatError"
            args = (name[:64], "HostName")
            raise HostError(400, str(error), "/HostName", message=wrong, args=args) from error

    def _set_system(self, path: str, system: str, body: dict[str, Any]) -> None:
        """Change a system; sushy-tools does not know for how many boots an override holds."""
        boot = dict(body.get("Boot", {}))
        enabled = boot.pop("BootSourceOverrideEnabled", None)
        lamp = indicator(body)
        if boot or lamp:
            self._ask("PATCH", path, {**lamp, **({"Boot": boot} if boot else {})})
        if enabled is not None:
            self._app.power.set_boot_enabled(system, enabled)

    def _ask(self, method: str, path: str, body: object | None) -> dict[str, Any]:
        """What sushy-tools answers; its refusals become HostError, a redirect is nothing there."""
        status, data = self._app.request(method, path, body)
        if status < 300:
            answer: dict[str, Any] = json.loads(data) if data else {}
            return answer
        if status < 400 or status == 404:
            raise HostError(404, f"nothing lives at {path}")
        _LOG.warning("host BMC: %s %s: %d %s", method, path, status, data.decode(errors="replace"))
        raise HostError(status, message_of(data))


def _system_of(path: str) -> str:
    """The id in a path below a system."""
    return path.removeprefix(f"{ROOT}Systems/").partition("/")[0]
