"""From the text of `railiance/app.toml` to a contract, or to everything that is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from railiance_schema.app import Contract
from railiance_schema.defaults import Filled, with_defaults
from railiance_schema.document import SourceMap, dotted
from railiance_schema.findings import ContractError, Finding, in_order
from railiance_schema.interpolate import interpolation_findings, resolve
from railiance_schema.messages import Translator
from railiance_schema.report import Reporter
from railiance_schema.rules import rule_findings
from railiance_schema.scalars import INTERPOLATION
from railiance_schema.secret_rules import secret_findings
from railiance_schema.secret_shapes import strings
from railiance_schema.syntax import decode, parse
from railiance_schema.versions import CURRENT, stops, version_finding
from railiance_schema.words import StageName

PATH = "railiance/app.toml"


@dataclass(frozen=True, slots=True)
class Examined:
    """All that can be said about one file.

    Attributes:
        findings: Errors and warnings in line order.
        contract: The contract; None when there is an error.
        filled: Its data with defaults and their origins; None when the file cannot be parsed.
        places: Where its keys are; None likewise.
    """

    findings: tuple[Finding, ...]
    contract: Contract | None = None
    filled: Filled | None = None
    places: SourceMap | None = None


def load_contract(text: str | bytes, *, path: str = PATH, env: Mapping[str, str] | None = None) -> Contract:
    """Read a contract and resolve its defaults.

    Args:
        text: The file as it is; the contract's digest is that of these bytes, so do not translate newlines.
        path: The file's name, for findings.
        env: Variables for `${{ env.NAME }}`, kept for `Contract.interpolated`.

    Raises:
        ContractError: The file is not a legal contract; warnings alone raise nothing.
    """
    examined = examine(text, path)
    if examined.contract is None:
        raise ContractError(examined.findings)
    examined.contract._env = dict(env) if env is not None else None  # noqa: SLF001 - the loader fills in what only it knows
    return examined.contract


def check_contract(text: str | bytes, path: str = PATH) -> list[Finding]:
    """Return everything that is wrong or risky in a contract, in line order; empty when it is fine."""
    return list(examine(text, path).findings)


def examine(data: str | bytes, path: str = PATH) -> Examined:
    """Read, parse, fill, build and judge one file; go on after a mistake wherever that makes sense."""
    text = decode(data, path)
    if isinstance(text, Finding):
        return Examined((text,))
    document, places, findings = parse(text, path)
    if document is None:
        return Examined(tuple(findings))
    reporter = Reporter(path, places)
    version = version_finding(document, reporter)
    findings += [version] if version is not None else []
    findings += secret_findings(document, reporter)
    if stops(version):
        return Examined(tuple(in_order(findings)), places=places)
    findings += interpolation_findings(document, reporter)
    filled = with_defaults({**document, "schema_version": CURRENT})
    translator = Translator(document, filled.origins, reporter)
    contract, wrong = _build(filled, translator)
    findings += wrong
    findings += [finding for finding in rule_findings(filled, reporter) if not translator.explains(finding)]
    if contract is None or any(finding.is_error for finding in findings):
        return Examined(tuple(in_order(findings)), None, filled, places)
    _know(contract, data, document, path)
    return Examined(tuple(in_order(findings)), contract, filled, places)


def _build(filled: Filled, translator: Translator) -> tuple[Contract | None, list[Finding]]:
    try:
        return Contract.model_validate(filled.document), []
    except ValidationError as error:
        return None, translator.findings(error.errors(include_url=False))


def _know(contract: Contract, data: str | bytes, document: Mapping[str, Any], path: str) -> None:
    """Tell the contract where it comes from."""
    raw = data.encode() if isinstance(data, str) else data
    contract._digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"  # noqa: SLF001 - the loader fills in what only it knows
    contract._document = document  # noqa: SLF001
    contract._path = path  # noqa: SLF001


def _veiled(finding: Finding, contract: Contract, read: tuple[str, ...]) -> Finding:
    """Keep what a variable held out of a finding about the value it was filled into."""
    plain = {dotted(path) for path, value in strings(contract._document) if INTERPOLATION not in value}  # noqa: SLF001
    if not read or finding.key_path in plain:
        return finding
    message = f"`{finding.key_path}` is not legal once its expression is filled in"
    return replace(finding, message=message, help=f"look at the variables {', '.join(read)}", labels=())


def interpolated(contract: Contract, stage: StageName, env: Mapping[str, str]) -> Contract:
    """Return the contract as one stage sees it, every `${{ … }}` of that stage replaced."""
    reporter = Reporter(contract._path, SourceMap(lines=[]))  # noqa: SLF001
    resolved = resolve(contract, contract._document, stage, env, reporter)  # noqa: SLF001
    filled = with_defaults(resolved.document)
    built, wrong = _build(filled, Translator(resolved.document, filled.origins, reporter))
    broken = [finding for finding in rule_findings(filled, reporter) if finding.is_error]
    findings = [
        *resolved.findings,
        *(_veiled(item, contract, resolved.env_read) for item in [*wrong, *broken]),
    ]
    if built is None or findings:
        raise ContractError(in_order(findings))
    built._digest, built._document, built._path = contract._digest, contract._document, contract._path  # noqa: SLF001
    built._env, built._env_read = dict(env), resolved.env_read  # noqa: SLF001
    return built
