"""Expressions: filled in for the stage in use, and only there."""

from __future__ import annotations

import pytest

from railiance_schema import ContractError, HttpCheck, load_contract

TEXT = """schema_version = "railiance.app.v1"
app = { id = "web", name = "Web", repo = "a/web", owner = "us", criticality = "low", description = "not ${{ filled }}" }
source = { revision = "v1", artifact = "image" }
rollback = { strategy = "helm-revision", verification = "look" }
checks = [
  { id = "used", type = "http", url = "http://${{ stage.release }}.${{ stage.namespace }}.svc/${{source.revision}}" },
  { id = "other", type = "http", url = "http://${{ env.NOT_SET }}/" },
]
[stages]
stage1 = { commands = ["echo ${{ app.id }} ${{ stage.name }} ${{ env.CI }} ${HOME} $(date)"] }
stage2 = { namespace = "web-${{ env.WHERE }}", checks = ["used"] }
stage3 = { namespace = "web", checks = ["other"] }
"""


def test_commands_are_filled_in_and_the_shells_own_signs_stay() -> None:
    """`${{ }}` is ours; `${VAR}` and `$(…)` belong to the shell."""
    filled = load_contract(TEXT).interpolated("stage1", {"CI": "yes"})
    assert filled.stages.stage1 is not None
    assert filled.stages.stage1.commands == ("echo web stage1 yes ${HOME} $(date)",)
    assert filled.env_read == ("CI",)


def test_only_the_stage_in_use_is_filled_in() -> None:
    """Variables of other stages and of unused checks need not be set."""
    filled = load_contract(TEXT).interpolated("stage2", {"WHERE": "eu"})
    assert filled.stages.stage2 is not None
    assert filled.stages.stage2.namespace == "web-eu"
    (check,) = filled.checks_of("stage2")
    assert isinstance(check, HttpCheck)
    assert check.url == "http://web-canary.web-eu.svc/v1"
    assert filled.env_read == ("WHERE",)
    assert filled.digest == load_contract(TEXT).digest


def test_a_variable_that_is_not_set_is_an_error() -> None:
    """No variable ever becomes an empty string by itself."""
    with pytest.raises(ContractError) as caught:
        load_contract(TEXT).interpolated("stage3", {})
    assert "RAIL047" in [finding.code for finding in caught.value.findings]
    assert "NOT_SET" in str(caught.value)


def test_a_filled_in_value_must_be_legal() -> None:
    """Formats and rules are checked again after filling in."""
    with pytest.raises(ContractError) as caught:
        load_contract(TEXT).interpolated("stage2", {"WHERE": "Not A Label"})
    assert {finding.code for finding in caught.value.findings} == {"RAIL025"}
    assert "label" not in str(caught.value).lower().replace("dns label", "")
    assert "WHERE" in str(caught.value)
    same = TEXT.replace("web-${{ env.WHERE }}", "${{ env.WHERE }}").replace(
        'checks = ["used"] }', 'release = "web" }'
    )
    with pytest.raises(ContractError) as caught:
        load_contract(same).interpolated("stage2", {"WHERE": "web"})
    assert [finding.code for finding in caught.value.findings] == ["RAIL032"]


def test_the_loader_keeps_the_variables_it_was_given() -> None:
    """`load_contract(env=…)` is the default of `interpolated`."""
    filled = load_contract(TEXT, env={"CI": "kept"}).interpolated("stage1")
    assert filled.stages.stage1 is not None
    assert "kept" in filled.stages.stage1.commands[0]
