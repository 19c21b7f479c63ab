"""Plaintext secrets: found wherever they stand, shown nowhere."""

from __future__ import annotations

import time

import pytest

from railiance_schema import ContractError, check_contract, load_contract, render_json, render_text

PEM = "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\\n-----END PRIVATE KEY-----"
# Built from pieces, so that no scanner of this repository takes them for real ones.
SECRETS = {
    "pem": (PEM, "MIIEvQIBADANBgkqhkiG9w0"),
    "kubeconfig": ("users: client-key-data: Q0FOQVJZLVNFQ1JFVA", "Q0FOQVJZ"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJjYW5hcnkifQ." + "c2lnbmF0dXJl", "c2lnbmF0dXJl"),
    "aws": ("AKIA" + "ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
    "github": ("ghp_" + "canarycanarycanarycanary1234", "canarycanary"),
    "vault": ("hvs." + "CAESIcanarycanarycanary", "CAESIcanary"),
    "old vault": ("s." + "abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx"),
    "age": ("AGE-SECRET-KEY-" + "1CANARYCANARYCANARY", "CANARYCANARY"),
    "bearer": ("curl -H 'Authorization: Bearer " + "canary-token-value'", "canary-token"),
    "url": ("https://user:" + "canary-password@host/path", "canary-password"),
    "user": ("curl -u admin:" + "canary-password http://host", "canary-password"),
    "set": ("helm upgrade --set db.password=" + "canary-password x", "canary-password"),
    "variable": ("API_TOKEN=" + "canary-password make", "canary-password"),
}
HEAD = """schema_version = "railiance.app.v1"
app = { id = "web", name = "Web", repo = "a/web", owner = "us", criticality = "low", description = "x" }
source = { revision = "v1", artifact = "image" }
[stages.stage1]
commands = ["true"]
"""
PLACES = {
    "command": 'commands = ["{0}"]',
    "evidence": 'commands = ["true"]\nevidence = ["{0}"]',
    "unknown key": 'commands = ["true"]\nunknown = "{0}"',
    "wrong format": 'commands = ["true"]\nnamespace = "{0}"',
    "wrong word": 'commands = ["true"]\n[promotion]\nstrategy = "{0}"',
    "unknown table": 'commands = ["true"]\n[other.{{}}]\nkey = "{0}"'.replace("{{}}", "deep"),
    "broken line": 'commands = ["true"]\nkey = "{0}" x',
    "no quotes": 'commands = ["true"]\npassword = {0}',
    "key": 'commands = ["true"]\n[x-more]\n"{0}" = 1',
    "unknown key's name": 'commands = ["true"]\n"{0}" = 1',
    "extension": 'commands = ["true"]\n[x-more]\nschema = "{0}"',
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SECRETS)
def test_no_formatter_shows_a_secret(kind: str, place: str) -> None:
    """A secret is refused wherever it stands, and neither text, JSON nor exception repeats it."""
    value, telltale = SECRETS[kind]
    text = HEAD.replace('commands = ["true"]', PLACES[place].replace("{0}", value))
    findings = check_contract(text)
    assert any(finding.is_error for finding in findings)
    printed = render_text(findings) + render_json(findings) + str(ContractError(findings)) + repr(findings)
    assert telltale not in printed
    if place not in {"broken line", "no quotes"}:
        assert {"RAIL050", "RAIL051"} & {finding.code for finding in findings}


@pytest.mark.parametrize(
    "line",
    [
        'password = "hunter2"',
        'x-db = { api_key = "plain" }',
        'x-db = { name = "db-token", value = "Zx9$kQ2!vB7@mN4#pL6%tR8^" }',
    ],
)
def test_literal_values_of_secret_names_are_refused(line: str) -> None:
    """A key called like a secret must not hold a literal; a random value beside such a name neither."""
    assert "RAIL050" in {finding.code for finding in check_contract(HEAD + line + "\n")}


@pytest.mark.parametrize(
    "value",
    [
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "7f9c2ba4-e88f-427d-9c35-2d8b9a4f1e2d",
        "ExternalSecret/web-token",
        "TOKEN=$TOKEN make",
        "curl -u $USER:$PASS http://host",
        "make TOKEN=$(cat token)",
        "helm --set db.password=$PASSWORD x",
        "curl -H 'Authorization: Bearer $TOKEN'",
        "https://${USER}:${PASS}@host/",
        "helm upgrade --set auth.existingSecret=web-auth x",
        "TOKEN_FILE=/run/token run --max-tokens=100",
        "echo tokens and passwords and secret words",
    ],
)
def test_what_is_no_secret_is_not_flagged(value: str) -> None:
    """Digests, commits, UUIDs, names of objects and variables are no secrets."""
    assert check_contract(HEAD + f'evidence = ["{value}"]\n') == []
    assert (
        check_contract(HEAD + f'x-db = {{ password = "$VAR", tls_secret = "name", note = "{value}" }}\n')
        == []
    )


def test_a_waiver_needs_a_reason_and_stays_visible() -> None:
    """A comment on the line allows a shape, with a reason, and is counted as a warning."""
    line = 'evidence = ["TOKEN=dummy"]'
    assert [f.code for f in check_contract(f"{HEAD}{line}\n")] == ["RAIL050"]
    assert [f.code for f in check_contract(f"{HEAD}{line}  # railiance: allow-secret-shape\n")] == ["RAIL052"]
    allowed = f"{HEAD}{line}  # railiance: allow-secret-shape the test's own dummy\n"
    assert [finding.code for finding in check_contract(allowed)] == ["RAIL106"]
    assert load_contract(allowed).app.id == "web"


def test_keys_cannot_be_waived() -> None:
    """No reason makes a private key belong into a contract."""
    text = f'{HEAD}evidence = ["{PEM}"]  # railiance: allow-secret-shape please\n'
    assert [finding.code for finding in check_contract(text)] == ["RAIL051"]


@pytest.mark.parametrize(
    "piece", ["TOKEN", "A_", "--set ", "-u a:", "a://", "eyJaaaaaaaaa.", "-----BEGIN ", "Aa0"]
)
def test_long_values_are_searched_in_time(piece: str) -> None:
    """No value makes the search slow: its time grows with the length, not with its square."""
    before = time.process_time()
    check_contract(f'{HEAD}x-note = "{piece * (50_000 // len(piece))}"\n')
    assert time.process_time() - before < 5
