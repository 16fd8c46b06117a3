"""sushy-tools' application, one of its own for each host, with our state and our timing."""

from __future__ import annotations

import importlib.util
import io
import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from sushy_tools.emulator import memoize
from sushy_tools.emulator.resources import vmedia
from sushy_tools.emulator.resources.systems import fakedriver
from sushy_tools.error import FishyError

from bmc_ext.errors import HostUnavailableError
from emulator.host import bios
from emulator.host.domains import DomainDriver
from emulator.host.machines import HostChassis, HostSystem
from emulator.host.routes import OFF_TYPES
from emulator.host.store import HostStore, Section

_LOADING = threading.Lock()
_NUMBERS: Final = itertools.count(1)

_NEVER_S: Final = float("inf")


class PowerDriver(fakedriver.FakeDriver):  # type: ignore[misc]  # sushy-tools has no types
    """The fake driver with a chosen delay of power changes and a boot override that is used up.

    Power changes take effect `delay_s` after the request, on the clock `now_s` (Unix seconds).
    """

    def __init__(
        self, config: dict[str, Any], logger: Any, delay_s: float, now_s: Callable[[], float]
    ) -> None:
        self._config = config
        self._logger = logger
        self._delay_s = delay_s
        self._now_s = now_s
        super().__init__()
        configured = {system["uuid"] for system in config["SUSHY_EMULATOR_FAKE_SYSTEMS"]}
        for uuid in set(self._systems) - configured:
            del self._systems[uuid]

    def set_power_state(self, identity: str, state: str) -> None:
        """Turn a system on or off after the delay; a restart is off until then."""
        system = self._get(identity)
        wanted = "Off" if state in OFF_TYPES else "On"
        if "Restart" in state:
            system["power_state"] = "Off"
        pending = None
        if system["power_state"] != wanted:
            pending = {"power_state": wanted, "apply_time": self._now_s() + self._delay_s}
        self._update(system, pending_power=pending)

    def set_boot_enabled(self, identity: str, enabled: str) -> None:
        """Whether the boot override holds for no, for one or for every boot."""
        self._update(identity, boot_enabled=enabled)

    def get_boot_enabled(self, identity: str) -> str:
        """Disabled, Once or Continuous."""
        return str(self._get(identity).get("boot_enabled", "Continuous"))

    def system(self, identity: str) -> dict[str, Any]:
        """All that is kept of a system."""
        found: dict[str, Any] = self._get(identity)
        return found

    def change(self, identity: str, changes: dict[str, Any]) -> None:
        """Keep something else of a system."""
        self._update(identity, **changes)

    def settle(self) -> float:
        """Apply the changes that are due; Unix seconds of the next one, infinite when none is."""
        pending = [self._get(uuid).get("pending_power") for uuid in self.systems]
        return min((change["apply_time"] for change in pending if change), default=_NEVER_S)

    def _update_if_needed(self, system: dict[str, Any]) -> dict[str, Any]:
        pending = system.get("pending_power")
        if pending and self._now_s() >= pending["apply_time"]:
            changes = {"power_state": pending["power_state"], "pending_power": None}
            if pending["power_state"] == "On":
                changes |= bios.applied(system, pending["apply_time"])
                if system.get("boot_enabled") == "Once":
                    changes["boot_enabled"] = "Disabled"  # one boot has used the override up
            self._update(system, **changes)
        return system


class UnfetchedMedia(vmedia.StaticDriver):  # type: ignore[misc]  # sushy-tools has no types
    """Virtual media that notes the image's URI and never fetches what a client names."""

    def _get_image(self, image_url: str, *_: object) -> tuple[str, None]:
        return urlsplit(image_url).path.rpartition("/")[2] or "image", None


class SushyApp:
    """One isolated sushy-tools application; not thread-safe, its owner serialises the calls."""

    def __init__(
        self,
        store: HostStore,
        state_path: str,
        systems: Sequence[HostSystem],
        chassis: Sequence[HostChassis],
        power_delay_s: float,
        now_s: Callable[[], float],
        libvirt_uri: str | None = None,
    ) -> None:
        def build(config: dict[str, Any], logger: Any) -> PowerDriver | DomainDriver:
            if libvirt_uri is None:
                return PowerDriver(config, logger, power_delay_s, now_s)
            overrides = Section(store)
            overrides.make_permanent(None, "boot overrides")
            return DomainDriver(config, logger, libvirt_uri, overrides)

        config = {
            "SUSHY_EMULATOR_STATE_DIR": state_path,
            "SUSHY_EMULATOR_FAKE_DRIVER": True,
            "SUSHY_EMULATOR_FAKE_SYSTEMS": [_seed(system) for system in systems],
            "SUSHY_EMULATOR_CHASSIS": [
                {"Id": one.uuid, "Name": one.name, "UUID": one.uuid} for one in chassis
            ],
        }
        with _LOADING:
            module = _load()
            application = module.__dict__["app"]
            application.configure(extra_config=config)
            self.power = self._build_drivers(module, store, build)
        self._application = application

    @property
    def machines(self) -> tuple[str, ...]:
        """Ids of the systems that are there now; each has a manager of the same id.

        HostUnavailableError where libvirt does not answer.
        """
        try:
            return tuple(self.power.systems)
        except FishyError as error:
            raise HostUnavailableError(str(error)) from error

    def request(self, method: str, path: str, body: object | None) -> tuple[int, bytes]:
        """Status and body of one request."""
        data = b"" if body is None else orjson.dumps(body)
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path.encode("utf-8", "surrogatepass").decode("latin-1"),  # PEP 3333
            "QUERY_STRING": "",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(data)),
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        statuses: list[str] = []
        chunks = self._application(environ, lambda status, *_: statuses.append(status))
        try:
            answer = b"".join(chunks)
        finally:
            chunks.close()
        return int(statuses[0].partition(" ")[0]), answer

    @staticmethod
    def _build_drivers(
        module: ModuleType,
        store: HostStore,
        build: Callable[[dict[str, Any], Any], PowerDriver | DomainDriver],
    ) -> PowerDriver | DomainDriver:
        """Build all drivers now, over our store: sushy's lazy building is not locked."""

        def initialize(
            config: dict[str, Any], logger: Any
        ) -> Callable[[], PowerDriver | DomainDriver]:
            return lambda: build(config, logger)

        names: dict[str, Any] = module.__dict__
        names["fakedriver"] = SimpleNamespace(FakeDriver=SimpleNamespace(initialize=initialize))
        names["vmddriver"] = SimpleNamespace(StaticDriver=UnfetchedMedia)
        original = memoize.PersistentDict
        memoize.PersistentDict = lambda: Section(store)
        try:
            application = names["app"]
            for driver in ("chassis", "managers", "indicators", "vmedia", "storage", "drives"):
                getattr(application, driver)
            power: PowerDriver | DomainDriver = application.systems
        finally:
            memoize.PersistentDict = original
        return power


def _load() -> ModuleType:
    """A fresh copy of sushy's main module: its application is a module global."""
    origin = importlib.util.find_spec("sushy_tools.emulator.main")
    assert origin is not None
    assert origin.origin is not None
    name = f"{__name__}_{next(_NUMBERS)}"
    spec = importlib.util.spec_from_file_location(name, origin.origin)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Flask looks there for the folder of its templates, once
    # This names the configuration of sushy's own command, which may ask for a second login.
    theirs = os.environ.pop("SUSHY_EMULATOR_CONFIG", None)
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
        if theirs is not None:
            os.environ["SUSHY_EMULATOR_CONFIG"] = theirs
    return module


def _seed(system: HostSystem) -> dict[str, Any]:
    return {
        "uuid": system.uuid,
        "name": system.name,
        "power_state": "Off",
        "external_notifier": False,
        "nics": [{"mac": mac} for mac in system.mac_addresses],
    }
