"""Stage 1: does the app build, render and pass its own checks on this machine?"""

from __future__ import annotations

from typing import Any

from prefect import flow

from railiance.adapters.workspace import only_one
from railiance.domain.local import command_ref, first_failure, not_asked, not_started, stage1_denial
from railiance.domain.result_parts import CommandInfo
from tasks.local import (
    check_contract_file,
    keep_result,
    read_folder,
    run_check,
    run_command,
    scan_for_secrets,
    served,
)


@flow(name="stage1-run", flow_run_name="stage1 {directory}")
def run_stage1(
    directory: str, run_id: str | None = None, requester: str = "", digest: str | None = None
) -> dict[str, Any]:
    """Check the candidate in its own folder and say what was seen; nothing outside the folder changes.

    Args:
        directory: The folder of the app, with railiance/app.toml, on the machine that runs this.
        run_id: Id of the run; by default that of the flow run.
        requester: Who asked for it; by default whoever runs it.
        digest: Digest of the image, where the contract does not hold it.

    Returns:
        The document railiance.run-result.v1.
    """
    run = read_folder(directory, run_id, requester, digest)
    if denial := stage1_denial(run.contract):
        return keep_result(run, [], [], None, denial)

    with only_one(run.app_dir, "run"):
        checks = [check_contract_file(run), scan_for_secrets(run)]
        commands: list[CommandInfo] = []
        for number in range(len(run.stage.commands)):
            failed = first_failure(commands)
            commands.append(not_started(command_ref(number)) if failed else run_command(run, number))
        failed = first_failure(commands)
        with served(run, wanted=failed is None) as outcome:
            checks += [not_asked(check, failed) if failed else run_check(run, check) for check in run.checks]
            serve = outcome()
        return keep_result(run, commands, checks, serve, None)
