"""The commands around stored reports: `unwrite validate`, `compare` and `schema`. They need no database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from audit.schema import Report

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
BROKEN = 1


@click.command()
@click.argument("report", type=FILE)
def validate(report: Path) -> None:
    """Check a report.json: its schema, and that its figures, verdict and words follow from its own counts.

    Exit status: 0 it is valid, 1 it is not, 2 it cannot be read. Whether somebody signed it is checked by
    `unwrite verify`.
    """
    from audit.errors import ReportInvalid
    from audit.schema import SCHEMA_VERSION

    try:
        found = _read(report)
    except ReportInvalid as error:
        click.echo(f"INVALID  {error}")
        raise SystemExit(BROKEN) from None
    click.echo(f"valid  schema {found.schema_version}, verdict {found.verdict}")
    if found.schema_version != SCHEMA_VERSION:
        click.echo(
            "Its sentences are those of an older version and were not compared; figures and verdict were."
        )


@click.command()
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("comparison"),
              show_default=True, help="Where comparison.html and comparison.json go.")  # fmt: skip
def compare(a: Path, b: Path, out: Path) -> None:
    """Put two reports (report.json) side by side: what changed from A to B, and what cannot be compared.

    Exit status: 0 done, 1 one of the reports is not valid, 2 one cannot be read, or the folder not written.
    """
    from audit.compare import compare as compared
    from audit.compare_page import sentence
    from audit.errors import ReportInvalid
    from audit.files import write_atomically

    reports = []
    for path in (a, b):
        try:
            reports.append(_read(path))
        except ReportInvalid as error:
            click.echo(f"{path.name}: {error}", err=True)
            raise SystemExit(BROKEN) from None
    found = compared(*reports)
    files = {"comparison.html": found.to_html(), "comparison.json": found.to_json()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_atomically(out / name, data)
    except OSError as error:
        raise click.UsageError(f"{out} cannot be written: {error.strerror}") from None
    for line in (*map(sentence, found.groups), *found.not_comparable):
        click.echo(line)
    click.echo(f"{out / 'comparison.html'}  {out / 'comparison.json'}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of reports."""
    from audit.schema import schema_document

    click.echo(schema_document().decode(), nl=False)


def _read(path: Path) -> Report:
    from audit.report import validate as validated

    try:
        data = path.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from None
    return validated(data)


COMMANDS = (validate, compare, schema)
