"""`marquee doctor`: everything that could be wrong, with what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams.commands.options import broker_options, json_option, print_json, settings_of

if TYPE_CHECKING:
    from streams.doctor import Finding

MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failed": "[red]failed[/]"}


@click.command(epilog="Example: marquee doctor --broker 127.0.0.1:9092")
@broker_options
@click.option("--no-broker", is_flag=True, help="Leave out the broker and its topics.")
@json_option
def doctor(config: Path | None, broker: str | None, prefix: str | None, no_broker: bool, as_json: bool) -> int:
    """Check versions, devices, the snapshot directory, the broker and its topics; changes nothing.

    Exits with 0 when nothing failed, 3 when the only failure is that no broker answers, 1 otherwise.
    """
    from streams import doctor as checks
    from streams.cli import FAILED, NO_BROKER

    settings, finding = checks.check_settings(lambda: settings_of(config=config, broker=broker, prefix=prefix))
    findings = [finding]
    findings += checks.check_this_machine(checks.installed_versions(), settings)
    if settings is not None and not no_broker:
        findings += checks.check_broker(settings)
        findings += checks.check_registry(settings)
    failed = [one.what for one in findings if one.verdict == "failed"]
    if as_json:
        print_json({"ok": not failed, "findings": findings})
    else:
        _print_table(findings)
    if failed == [checks.BROKER]:
        return NO_BROKER
    return FAILED if failed else 0


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "", "", box=None, show_header=False)
    for one in findings:
        remedy = f"\n[bold]{escape(one.remedy)}[/]" if one.remedy else ""
        table.add_row(MARKS[one.verdict], one.what, f"{escape(one.found)}{remedy}")
    Console().print(table)
