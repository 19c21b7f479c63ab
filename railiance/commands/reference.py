"""The reference of the command line as a page, made from the commands themselves.

A test compares `docs/reference/cli.md` with it, and writes the page anew with RAILIANCE_GOLDEN=write.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

_HEAD = """# The command line

This page is made from the commands themselves; a test keeps it true.

The result document goes to stdout, everything for people to stderr.
On a terminal the document is printed only with `--pretty` or `--json`.

| Exit status | Meaning |
|---|---|
| 0 | yes |
| 1 | the answer is no: findings, FAIL, denied, rejected |
| 2 | usage error, or a file that cannot be read |
| 3 | a bug of ours |
| 4 | no answer: unreachable, UNKNOWN, interrupted |
| 5 | conflict: the world is not the one the plan was made for; make a new plan |
"""


def page(group: click.Group) -> str:
    """Return the whole page as Markdown, for the group of all verbs."""
    with click.Context(group, info_name="railiance") as context:
        parts = [_HEAD, *_sections(group, context)]
    return "\n".join(parts)


def _sections(group: click.Group, context: click.Context) -> Iterator[str]:
    """Yield the section of each command below a group, in the group's order."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        with click.Context(command, info_name=name, parent=context) as inner:
            yield _section(command, inner)
            if isinstance(command, click.Group):
                yield from _sections(command, inner)


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [f"## {context.command_path}", "", f"`{usage}`", "", inspect.cleandoc(command.help or "")]
    options = [record for parameter in command.get_params(context) if (record := _option(parameter, context))]
    if options:
        lines += ["", "| Option | Meaning |", "|---|---|", *options]
    return "\n".join([*lines, ""])


def _option(parameter: click.Parameter, context: click.Context) -> str | None:
    record = parameter.get_help_record(context)
    if record is None or not isinstance(parameter, click.Option) or "--help" in parameter.opts:
        return None
    names, meaning = (text.replace("|", "\\|") for text in record)
    return f"| `{names}` | {meaning} |"
