"""`dcpi-bmc watch`: the power stream of a running service, live in the terminal."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import urlunsplit

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from bmc_ext.commands.client import (
    FiniteRange,
    RefusedError,
    Target,
    plain_refusal,
    target_options,
)
from bmc_ext.commands.pipe import quiet_pipe
from bmc_ext.errors import MessageError
from bmc_ext.messages import strict_json
from bmc_ext.messages.validate import validate

STREAM = "/dcpi/power/stream"

SILENCE_S = 2.0
"""A stream of ten frames a second that says nothing for so long is lost."""

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0
_UNKNOWN = "–"

Frame = dict[str, Any]


class _View(Protocol):
    """Where frames and losses are shown."""

    def frame(self, frame: Frame) -> None:
        """Show a power_stream message."""

    def lost(self, reason: str) -> None:
        """Say that there is no connection, and show no value any more."""


@click.command()
@click.argument("url", metavar="URL")
@click.option("--seconds", type=FiniteRange(0, min_open=True), help="End after that long.")
@target_options
def watch(seconds: float | None, target: Target) -> None:
    """Show the power of all feeds live, ten times a second.

    URL is that of the service, such as https://127.0.0.1:8443. Where the output is no terminal,
    each window is one line. A lost connection is taken up again from the last frame seen; Ctrl-C
    ends it.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    console = Console()
    with contextlib.suppress(KeyboardInterrupt), quiet_pipe():
        if console.is_terminal:
            with Live(console=console, auto_refresh=False, transient=False) as live:
                _show(target, _Table(live), deadline)
        else:
            _show(target, _Lines(), deadline)


def _show(target: Target, view: _View, deadline: float | None) -> None:
    """Frames and losses to the view until the deadline (monotonic seconds)."""
    seq: int | None = None
    wait_s = _FIRST_WAIT_S
    while not _over(deadline):
        try:
            for frame in _frames(target, seq, deadline):
                seq, wait_s = frame["seq"], _FIRST_WAIT_S
                view.frame(frame)
            return
        except BrokenPipeError:
            raise  # of our own output: the websocket says ConnectionClosed
        except (OSError, WebSocketException) as error:
            refusal = _refusal(error)
            failure = refusal or target.unreachable(error)
            if seq is None or refusal is not None:
                raise failure from None
            view.lost(failure.message)
        remaining_s = wait_s if deadline is None else min(wait_s, deadline - time.monotonic())
        time.sleep(max(0.0, remaining_s))
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _frames(target: Target, since: int | None, deadline: float | None) -> Iterator[Frame]:
    """The frames of one connection, from behind `since` on, until the deadline."""
    parts = target.parts
    query = "" if since is None else f"since={since}"
    path = parts.path if parts.path not in ("", "/") else STREAM
    with connect(
        urlunsplit(("wss", parts.netloc, path, query, "")),
        ssl=target.tls(),
        additional_headers={"Authorization": target.authorization},
        proxy=None,
        close_timeout=1,
    ) as connection:
        while not _over(deadline):
            remaining_s = SILENCE_S if deadline is None else deadline - time.monotonic()
            try:
                message = connection.recv(timeout=max(0.0, min(SILENCE_S, remaining_s)))
            except TimeoutError:
                if remaining_s > SILENCE_S or deadline is None:
                    raise TimeoutError(f"no frame for {SILENCE_S:g} s") from None
                return
            yield _frame(target, message)


def _frame(target: Target, message: str | bytes) -> Frame:
    try:
        document = strict_json.loads(message.encode() if isinstance(message, str) else message)
        return validate(document, "power_stream")
    except MessageError as error:
        raise click.ClickException(f"{target.url} sends no power stream: {error}") from None


def _refusal(error: Exception) -> RefusedError | None:
    """What the service said against the stream; None where asking again may help."""
    if not isinstance(error, InvalidStatus) or error.response.status_code >= 500:
        return None
    try:
        document = json.loads(error.response.body or b"")
    except ValueError:
        document = None
    status = error.response.status_code
    return RefusedError(status, plain_refusal(document, error.response.reason_phrase))


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


class _Lines:
    """One line per window, for a file or a pipe."""

    def frame(self, frame: Frame) -> None:
        """Print the window, the total and the feeds."""
        feeds = [f"{feed['feed_id']}={_number(feed['power_mw'])}" for feed in frame["feeds"]]
        total = frame["total"]
        click.echo(
            f"{frame['window_start']} seq={frame['seq']} dropped={frame['dropped']} "
            f"quality={frame['quality']} total_mw={_number(total['power_mw'])} {' '.join(feeds)}"
        )

    def lost(self, reason: str) -> None:
        """Say so on stderr."""
        click.echo(f"dcpi-bmc: {reason}; reconnecting", err=True)


class _Table:
    """A table that is drawn anew for each window."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def frame(self, frame: Frame) -> None:
        """Draw the window."""
        table = Table(title=f"window {frame['window_start']}", min_width=60)
        table.add_column("feed")
        for name in ("MW", "Hz"):
            table.add_column(name, justify="right", min_width=10)
        table.add_column("quality", min_width=12)
        for feed in frame["feeds"]:
            table.add_row(
                feed["feed_id"],
                _number(feed["power_mw"]),
                _number(feed["frequency_hz"]),
                _quality(feed["quality"]),
            )
        total = frame["total"]
        table.add_section()
        table.add_row("total", _number(total["power_mw"]), "", _quality(total["quality"]))
        loss = f", {frame['dropped']} lost before it" if frame["dropped"] else ""
        note = Text(f"frame {frame['seq']}{loss} · Ctrl-C ends", style="dim")
        self._live.update(Group(table, note), refresh=True)

    def lost(self, reason: str) -> None:
        """Take the values away."""
        self._live.update(Text(f"{reason}; reconnecting", style="bold red"), refresh=True)


def _number(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.3f}"


def _quality(quality: str) -> Text:
    return Text(quality, style="green" if quality == "ok" else "bold red")
