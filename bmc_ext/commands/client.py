"""The HTTPS client of the commands that talk to a running service, and their common options."""

from __future__ import annotations

import base64
import functools
import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import click

__all__ = [
    "Answer",
    "Client",
    "RefusedError",
    "Target",
    "UnreachableError",
    "plain_refusal",
    "target_options",
    "url_option",
]

DEFAULT_URL = "https://127.0.0.1:8443"
TIMEOUT_S = 10.0

_R = TypeVar("_R")


class UnreachableError(click.ClickException):
    """The service did not answer, or its certificate is not trusted."""


class RefusedError(click.ClickException):
    """The service answered with an error; `status` is its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    """A service and who asks it; `ca` is the PEM file of the authority that it is trusted by.

    The scheme of `url` is https or wss.
    """

    url: str
    user: str
    password: str
    ca: Path | None = None
    insecure: bool = False

    @property
    def parts(self) -> SplitResult:
        """The URL in parts; click.UsageError where it is none, or not of an encrypted scheme."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "wss") or not parts.hostname:
            raise click.UsageError(f"{self.url!r} is no https URL")
        try:
            parts.port  # noqa: B018 - reading it checks it
        except ValueError:
            raise click.UsageError(f"{self.url!r} has no valid port") from None
        return parts

    @property
    def authorization(self) -> str:
        """The value of the Authorization header."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    def tls(self) -> ssl.SSLContext:
        """What the service must prove; click.UsageError where the authority cannot be read."""
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except OSError as error:
            raise click.UsageError(f"--ca {self.ca}: {error.strerror or error}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def unreachable(self, error: Exception) -> UnreachableError:
        """One clear line for a connection that failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return UnreachableError(
                f"the certificate of {self.url} is not trusted ({error.verify_message}): "
                "give --ca FILE, or --insecure in a lab"
            )
        reason = (isinstance(error, OSError) and error.strerror) or error or type(error).__name__
        return UnreachableError(f"{self.url} does not answer: {reason}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its headers, names in lower case, and its JSON object."""

    headers: Mapping[str, str]
    body: dict[str, Any]


class Client:
    """One kept connection; UnreachableError and RefusedError are all that its calls raise."""

    def __init__(self, target: Target) -> None:
        self._target = target
        parts = target.parts
        self._connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=target.tls()
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> Answer:
        """The resource at that path; asked again once where the kept connection had ended."""
        kept = self._connection.sock is not None
        try:
            return self._ask("GET", path, None)
        except UnreachableError:
            if not kept:
                raise
            return self._ask("GET", path, None)

    def post(self, path: str, body: bytes) -> Answer:
        """The answer to that JSON body."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {"Authorization": self._target.authorization, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise self._target.unreachable(error) from None
        document = _object(content)
        if response.status >= 300 or document is None:
            raise RefusedError(response.status, plain_refusal(document, response.reason))
        return Answer({name.lower(): value for name, value in response.getheaders()}, document)


def plain_refusal(document: object, otherwise: str) -> str:
    """The text of a Redfish error body (DSP0266 8.6) with the member it names, or `otherwise`."""
    try:
        error: Any = document["error"]  # type: ignore[index] # whatever it is, it may lack this
        text, extended = str(error["message"]), error.get("@Message.ExtendedInfo", [])
    except (KeyError, TypeError, AttributeError):
        return otherwise or "no JSON object came back"
    places = [place for info in extended for place in info.get("RelatedProperties", [])]
    return f"{text} ({', '.join(places)})" if places else text


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def target_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command --user, --password, --ca and --insecure; it gets a Target as `target`.

    The command brings `url` itself, as an option or an argument.
    """

    @click.option("--user", envvar="DCPI_USER", show_envvar=True, help="Who asks.")
    @click.option("--password", envvar="DCPI_PASSWORD", show_envvar=True, help="Their password.")
    @click.option(
        "--ca",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="PEM file of the authority that issued the service's certificate.",
    )
    @click.option("--insecure", is_flag=True, help="Take any certificate: for a lab only.")
    @functools.wraps(command)
    def with_target(
        *args: Any,
        url: str,
        user: str | None,
        password: str | None,
        ca: Path | None,
        insecure: bool,
        **kwargs: Any,
    ) -> _R:
        if not user or password is None:
            raise click.UsageError("give --user and --password, or set DCPI_USER and DCPI_PASSWORD")
        if ca is not None and insecure:
            raise click.UsageError("--ca and --insecure exclude each other")
        target = Target(url, user, password, ca, insecure)
        _ = target.parts
        return command(*args, target=target, **kwargs)

    return with_target


def url_option(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command --url."""
    return click.option(
        "--url",
        envvar="DCPI_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="Where the service is.",
    )(command)
