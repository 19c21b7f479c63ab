"""`railiance server`: look at, start and stop the local Prefect server and its worker."""

from __future__ import annotations

import click


@click.group()
def server() -> None:
    """Look at, start and stop the local Prefect server."""


@server.command()
def status() -> None:
    """Say where Prefect is and what of it runs."""
    from railiance.commands import local_server

    found = local_server.status()
    kind = "local" if found.local else "configured by PREFECT_API_URL"
    click.echo(f"API     {found.url or 'none'} ({kind}, {'healthy' if found.healthy else 'not answering'})")
    if found.url:
        click.echo(f"UI      {found.url.removesuffix('/api')}")
    click.echo(f"server  {_process(found.server_pid)}")
    click.echo(f"worker  {_process(found.worker_pid)}")
    click.echo(f"state   {found.folder}")


@server.command()
def start() -> None:
    """Start the server and the worker if they do not run, and tell Prefect about the flows."""
    from railiance.commands import local_server

    url = local_server.ensure_server(_say)
    local_server.ensure_worker(_say)
    local_server.ensure_deployments(_say)
    click.echo(url.removesuffix("/api"))


@server.command()
@click.option("--force", is_flag=True, help="Also when a run is being executed.")
def stop(force: bool) -> None:
    """Stop the worker and the server; runs that wait for a person go on waiting."""
    from railiance.commands import local_server

    ended = local_server.stop(force=force)
    click.echo(f"stopped {' and '.join(ended)}" if ended else "nothing was running")


def _say(line: str) -> None:
    click.echo(line, err=True)


def _process(pid: int | None) -> str:
    return f"process {pid}" if pid else "not running"


if __name__ == "__main__":
    server()
