"""`dcpi-bmc device check`: does a device meet the standard, and what is not proven."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from drivers import cli_tables
from drivers.check import (
    BENCH,
    LIMITS,
    PARTS,
    Bench,
    CheckSettings,
    DeviceReference,
    Finding,
    Observations,
    TableReference,
    Verdict,
    counts,
    judge,
    overall,
    sentence,
    write_files,
)
from drivers.cli_options import Failure, clear_errors, profile_dirs_option, quiet
from drivers.profile import load_profile


@click.command()
@click.argument("profile")
@click.argument("target")
@click.option("--unit", type=click.IntRange(0, 255), help="The unit; the profile's if not given.")
@click.option(
    "--reference",
    metavar="CSV|PROFILE@TARGET",
    help="What is true: a table of a reference instrument, or a reference device read beside it.",
)
@click.option("--reference-unit", type=click.IntRange(0, 255), help="The reference device's unit.")
@click.option(
    "--pair",
    "pairs",
    multiple=True,
    metavar="POINT=NAME",
    help="What the reference calls a point, when it is not the same.",
)
@click.option(
    "--as",
    "quantities",
    multiple=True,
    metavar="POINT=QUANTITY",
    help=f"Judge a point as another quantity: {', '.join(LIMITS)} or none.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(2.0, 7 * 86400.0),
    default=60.0,
    show_default=True,
    help="How many seconds the device is watched in service; all takes about twice as long.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for report.html, report.json, junit.xml, samples.csv and bus-trace.jsonl.",
)
@click.option(
    "--allow-writes",
    is_flag=True,
    help="Write to each writable point what it holds already; without it nothing is written.",
)
@profile_dirs_option
def check(
    profile: str,
    target: str,
    unit: int | None,
    reference: str | None,
    reference_unit: int | None,
    pairs: Sequence[str],
    quantities: Sequence[str],
    duration_s: float,
    output: Path | None,
    allow_writes: bool,
    profile_dirs: Sequence[Path],
) -> None:
    """Check the device of PROFILE at TARGET against the limits of the DCPI standard.

    TARGET is tcp://HOST:PORT or serial:///dev/NAME?baud=9600, or what else the profile's protocol
    knows. The device must be free: nobody else may use its bus meanwhile. Exit status 1 when
    anything fails; what is not proven is said, and is no failure.
    """
    with clear_errors():
        loaded = load_profile(profile, profile_dirs)
        settings = CheckSettings(
            profile=loaded,
            target=target,
            unit=loaded.transport.unit if unit is None else unit,
            duration_s=duration_s,
            reference=_reference(reference, reference_unit, profile_dirs),
            pairs=_assignments("--pair", pairs),
            quantities=_assignments("--as", quantities),
            allow_writes=allow_writes,
        )
        if output is not None:
            # What cannot be written is better said before the check than after it.
            output.mkdir(parents=True, exist_ok=True)
        with quiet():
            bench, seen = _run(settings)
        findings = judge(seen)
        # Shown first: what cannot be written must not take what was found with it.
        _show(seen, findings)
        if output is not None:
            write_files(output, seen, findings, bench.records)
            cli_tables.console().print(f"The report is {escape(str(output / 'report.html'))}.")
    if overall(findings) is Verdict.FAIL:
        sys.exit(1)


def _reference(
    text: str | None, unit: int | None, profile_dirs: Sequence[Path]
) -> TableReference | DeviceReference | None:
    """A device when there is an @ with a target behind it, else a file."""
    if text is None:
        return None
    name, at, target = text.partition("@")
    if at and "://" in target:
        profile = load_profile(name, profile_dirs)
        return DeviceReference(profile, target, profile.transport.unit if unit is None else unit)
    return TableReference(Path(text))


def _assignments(option: str, texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise Failure(f"{option} {text}: not POINT=NAME", 2)
        found[name] = value
    return found


def _run(settings: CheckSettings) -> tuple[Bench, Observations]:
    """Measure, with a bar on a terminal."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description:15}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=float(len(PARTS)))
        bench = Bench(settings, _reporter(progress, task))
        return bench, bench.run()


def _reporter(progress: Progress, task: object) -> Callable[[str, float], None]:
    def report(part: str, share: float) -> None:
        done = PARTS.index(part) + min(1.0, share)
        progress.update(task, completed=done, description=part)  # type: ignore[arg-type]  # TaskID

    return report


def _show(seen: Observations, findings: Sequence[Finding]) -> None:
    console = cli_tables.console()
    shown = [finding for finding in findings if _worth_a_line(finding)]
    title = f"{seen.profile.vendor} {seen.profile.model} at {seen.target}"
    console.print(cli_tables.findings(title, shown))
    if len(shown) < len(findings):
        console.print(f"and {len(findings) - len(shown)} more that pass or do not apply")
    for suspicion in seen.suspicions:
        console.print(f"[bold]{escape(suspicion.text)}[/]: {escape(suspicion.evidence)}")
    if seen.simulated:
        console.print("The device says that it is a simulation: this proves nothing of a real one.")
    for note in seen.notes:
        console.print(escape(note))
    tally = ", ".join(f"{n} {verdict.value}" for verdict, n in counts(findings).items())
    whole = f"{cli_tables.verdict(overall(findings))} ({tally})"
    console.print(f"{whole}. {escape(sentence(findings))}")


def _worth_a_line(finding: Finding) -> bool:
    """What the standard asks of a point, and whatever is not plainly good."""
    asked = finding.clause != BENCH and finding.point is not None
    return asked or finding.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)
