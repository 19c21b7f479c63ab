"""`railiance explain CODE`: the page of a code."""

from __future__ import annotations

import click


@click.command()
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain an error code such as RAIL021; without one, list them all."""
    from railiance.commands.codes import GROUPS, meaning
    from railiance_schema.codes import PAGES, nearest_code, page

    if code is None:
        for name, entry in PAGES.items():
            click.echo(f"{name}  {entry.title}")
        for _, _, codes in GROUPS:
            for name, told in codes.items():
                click.echo(f"{name}  {told}")
        return
    text = page(code) or meaning(code.upper())
    if text is None:
        guess = nearest_code(code)
        hint = f"did you mean {guess}?" if guess else "`railiance explain` lists all codes"
        raise click.UsageError(f"there is no page for {code!r}; {hint}")
    click.echo(text)
