"""`railiance contract`: check, explain and describe `railiance/app.toml`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from railiance_schema import Finding

CONTRACT = Path("railiance/app.toml")
MAX_BYTES = 1 << 20


@click.group()
def contract() -> None:
    """Check and explain railiance/app.toml."""


@contract.command()
@click.argument("places", nargs=-1, type=click.Path(path_type=Path), metavar="[DIR|FILE]...")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def check(context: click.Context, places: tuple[Path, ...], form: str) -> None:
    """Say everything that is wrong or risky in one or more contracts.

    Exit status: 0 fine (warnings allowed), 1 findings, 2 a file that cannot be read.
    """
    from railiance_schema.findings import exit_status, render_json, render_text

    findings = [finding for place in places or (Path(),) for finding in findings_of(place)]
    click.echo(render_json(findings) if form == "json" else render_text(findings))
    context.exit(exit_status(findings))


@contract.command()
@click.argument("place", type=click.Path(path_type=Path), default=Path(), metavar="[DIR|FILE]")
@click.option(
    "--stage", type=click.Choice(["stage1", "stage2", "stage3"]), help="Fill in this stage's expressions."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def explain(place: Path, stage: str | None, as_json: bool) -> None:
    """Show every resolved value and where it comes from."""
    from railiance_schema import ContractError, StageName
    from railiance_schema.load import examine
    from railiance_schema.resolved import resolved_values

    file = contract_file(place)
    data = read(file)
    if not isinstance(data, bytes):
        raise ContractError([data])
    examined = examine(data, str(file))
    if examined.contract is None:
        raise ContractError(examined.findings)
    values = resolved_values(examined, str(file), StageName(stage) if stage else None, os.environ)
    if as_json:
        document = {
            "schema_version": "railiance.contract-explain.v1",
            "contract_path": str(file),
            "contract_digest": examined.contract.digest,
            "stage": stage,
            "values": [asdict(value) for value in values],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    width = max(len(value.key) for value in values)
    for value in values:
        shown = "-" if value.value is None else json.dumps(value.value, ensure_ascii=False)
        click.echo(f"{value.key:<{width}}  {shown}  # {value.origin}")


@contract.command()
def schema() -> None:
    """Print the JSON Schema of railiance/app.toml, for editors."""
    from railiance_schema.json_schema import json_schema_text

    click.echo(json_schema_text(), nl=False)


def contract_file(place: Path) -> Path:
    """Return the contract's path for a folder; a path that is no folder is the file itself."""
    return place / CONTRACT if place.is_dir() else place


def findings_of(place: Path) -> list[Finding]:
    """Return the findings about one contract, a missing file among them."""
    from railiance_schema import check_contract

    file = contract_file(place)
    data = read(file)
    return check_contract(data, str(file)) if isinstance(data, bytes) else [data]


def read(file: Path) -> bytes | Finding:
    """Read a contract, or say why that cannot be done."""
    from railiance_schema.findings import Finding, Severity

    try:
        data = file.read_bytes()
    except FileNotFoundError:
        message = f"there is no contract: `{file}` does not exist"
        help_text = (
            "start one with `railiance contract init`, or an overlay with `railiance overlay create NAME`"
        )
        return Finding("RAIL001", Severity.ERROR, message, str(file), help=help_text)
    except OSError as error:
        message = f"the contract cannot be read: {error.strerror or type(error).__name__}"
        return Finding(
            "RAIL001", Severity.ERROR, message, str(file), help="give a folder with railiance/app.toml"
        )
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data)} bytes; a contract has at most {MAX_BYTES}"
        return Finding("RAIL002", Severity.ERROR, message, str(file), help="is this the right file?")
    return data
