"""`dcpi-bmc mockup`: the tree of a running Redfish service, in DMTF's mockup layout.

The resource at `/redfish/v1/Systems` becomes the file `redfish/v1/Systems/index.json`, a CSDL
document `index.xml`: what DMTF's Redfish-Mockup-Server serves, and the validators read with their
option `--mockup`.
"""

from __future__ import annotations

import errno
import json
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import click

from bmc_ext.commands.client import (
    Client,
    RefusedError,
    Response,
    Target,
    UnreachableError,
    target_options,
)
from bmc_ext.commands.mockup_stable import stable
from bmc_ext.commands.progress import bar_when_slow

MAX_RESOURCES = 50_000
"""What one capture takes at most: a service may name new resources for ever."""

_START = ("/redfish/v1/", "/redfish", "/redfish/v1/odata", "/redfish/v1/$metadata")
_LINKS = ("@odata.id", "@Redfish.ActionInfo", "DataSourceUri", "Uri")
_NEXT = "Members@odata.nextLink"
_ENTRIES = "#LogEntryCollection.LogEntryCollection"
_SAFE = "/%!$&'()*+,;=:@~"
"""Characters of a path that stand for themselves (RFC 3986 3.3)."""

_OF_THE_NAME = (errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG, errno.ENOTDIR)
_LOST_IN_A_ROW = 3
_PATIENCE_S = 1.0


@click.command()
@click.argument("url", metavar="URL")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Where to put it: a new or an empty folder.",
)
@click.option(
    "--stable",
    "neutral",
    is_flag=True,
    help="Neutral times, addresses and serial numbers, readings of one digit, logs of one entry.",
)
@target_options
@click.pass_context
def mockup(context: click.Context, output: Path, neutral: bool, target: Target) -> None:
    """Capture all resources of a Redfish service as files in DMTF's mockup layout.

    URL is that of the service, such as https://127.0.0.1:8443. What links lead to is read, and
    nothing is written to the service. Resources that could not be captured are named, and the exit
    status is 1 then. A capture that is broken off leaves nothing behind.
    """
    if output.is_dir() and any(output.iterdir()):
        raise click.BadParameter(f"{output} is not empty", param_hint="'--output'")
    # Other vendors' services are captured too, and many speak TLS 1.2 only.
    target = replace(target, oldest_tls=ssl.TLSVersion.TLSv1_2)
    with (
        Client(target) as client,
        bar_when_slow("capturing", time.monotonic() + _PATIENCE_S) as tell,
    ):
        capture = Capture(client, output, neutral=neutral)
        with _gone_if_broken_off(output):
            output.mkdir(parents=True, exist_ok=True)
            capture.run(tell)
            if not capture.count:
                raise click.ClickException(f"{target.url} serves nothing of Redfish")
    for failure in capture.failures:
        click.echo(f"dcpi-bmc: {_printable(failure)}", err=True)
    click.echo(f"{capture.count} resources in {output}")
    if capture.failures:
        context.exit(1)


@contextmanager
def _gone_if_broken_off(output: Path) -> Iterator[None]:
    """Take away what is in the folder, and the folders made for it, when the capture is broken off.

    What is left would look like a whole service.
    """
    made = [folder for folder in (output, *output.parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        if output.is_dir():
            for entry in output.iterdir():
                shutil.rmtree(entry, ignore_errors=True)
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


class Capture:
    """One walk along all links; `failures` are lines that each name a resource and what ailed."""

    def __init__(
        self, client: Client, output: Path, *, neutral: bool = False, limit: int = MAX_RESOURCES
    ) -> None:
        self._client = client
        self._output = output
        self._neutral = neutral
        self._limit = limit
        self._known: set[tuple[str, ...]] = set()
        self._waiting: list[str] = []
        self.count = 0
        self.failures: list[str] = []

    def run(self, tell: Callable[[int, int], None]) -> None:
        """Take all that links lead to; `tell` gets how many are done, of how many are known.

        RefusedError where the service does not know the user, UnreachableError where it is gone,
        OSError where nothing can be written.
        """
        for uri in reversed(_START):
            self._add(uri)
        done = lost = 0
        while self._waiting:
            uri = self._waiting.pop()
            try:
                self._take(uri)
                lost = 0
            except UnreachableError as error:
                lost += 1
                if not self.count or lost == _LOST_IN_A_ROW:
                    raise
                self.failures.append(f"{uri}: {error.message}")
            except RefusedError as error:
                if error.status == 401:  # each further one could lock the account
                    raise
                self.failures.append(f"{uri}: {error.message}")
            except (ValueError, RecursionError) as error:
                self.failures.append(f"{uri}: {error}")
            done += 1
            tell(done, len(self._known))

    def _add(self, uri: str) -> None:
        """Remember to visit it; what is elsewhere on the network is not of this service."""
        if not uri.startswith("/") or self._path_of(uri) in self._known:
            return
        if len(self._known) == self._limit:
            failure = f"there are more than {self._limit} resources: the rest is left out"
            if failure not in self.failures:
                self.failures.append(failure)
            return
        self._known.add(self._path_of(uri))
        self._waiting.append(uri)

    @staticmethod
    def _path_of(uri: str) -> tuple[str, ...]:
        """Folders below the output, percent-encoded as in a request."""
        path = uri.partition("#")[0].partition("?")[0]
        return tuple(quote(path, safe=_SAFE, errors="replace").strip("/").split("/"))

    def _take(self, uri: str) -> None:
        """Read and write one resource; ValueError where its URI or content is none."""
        parts = self._path_of(uri)
        if any(part in ("", ".", "..") for part in parts):
            raise ValueError("this is no path of a resource")
        response = self._client.fetch("/" + "/".join(parts) + "/" * uri.endswith("/"))
        if _is_csdl(response):
            links = list(_references(response.content))
            self._write(parts, "index.xml", response.content)
        else:
            document = response.answer().body
            self._gather_pages(document)
            if self._neutral:
                document = _shortened(stable(document))
            links = list(_links(document))
            text = json.dumps(document, indent=2)  # ASCII: readers may open it in any encoding
            self._write(parts, "index.json", f"{text}\n".encode())
        for link in links:
            self._add(link)

    def _write(self, parts: tuple[str, ...], name: str, content: bytes) -> None:
        """ValueError where the name is too long, or that of another resource's file."""
        folder = self._output.joinpath(*parts)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        except OSError as error:
            if error.errno not in _OF_THE_NAME:
                raise OSError(error.errno, error.strerror, str(folder / name)) from None
            raise ValueError(f"no file can have its name: {error.strerror}") from None
        self.count += 1

    def _gather_pages(self, document: dict[str, Any]) -> None:
        """All members of a collection into its first page: files know no query."""
        seen: set[str] = set()
        while isinstance(uri := document.pop(_NEXT, None), str):
            members = document.get("Members")
            if uri in seen or not uri.startswith("/") or not isinstance(members, list):
                raise ValueError(f"its next page {uri} leads nowhere")
            if len(members) + len(seen) > self._limit:
                raise ValueError(f"it has more than {self._limit} members")
            seen.add(uri)
            page = self._client.get(quote(uri, safe=f"{_SAFE}?")).body
            more = page.get("Members")
            if not isinstance(more, list):
                raise ValueError(f"its next page {uri} has no members")
            members += more
            if _NEXT in page:
                document[_NEXT] = page[_NEXT]


def _printable(text: str) -> str:
    """A line without what a service could do to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _is_csdl(response: Response) -> bool:
    return response.status == 200 and response.content.lstrip()[:1] == b"<"


def _references(csdl: bytes) -> Iterator[str]:
    """The documents on the same service that a CSDL document refers to; ValueError for no XML."""
    try:
        root = ElementTree.fromstring(csdl)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is neither JSON nor XML: {error}") from None
    for element in root:
        if element.tag.endswith("}Reference"):
            yield element.get("Uri", "")


def _links(document: dict[str, Any]) -> Iterator[str]:
    """Where a resource leads to; in a JSON Schema these names belong to objects."""
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
            yield from (value[name] for name in _LINKS if isinstance(value.get(name), str))


def _shortened(document: dict[str, Any]) -> dict[str, Any]:
    """A log's entries become the last of them; all else stays."""
    members = document.get("Members")
    if document.get("@odata.type") == _ENTRIES and isinstance(members, list) and members:
        document |= {"Members": members[-1:], "Members@odata.count": 1}
    return document
