"""Plaintext secrets in the files around a contract. The samples are put together so that they are none themselves."""

import pytest

from railiance.domain.secret_scan import leaks_in

TOKEN = "ghp_" + "a1B2" * 9
PEM = "-----BEGIN " + "PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        ("README.md", f"one\nuse {TOKEN}\n", "line 2"),
        ("charts/a/templates/secret.yaml", f"data: {PEM}", "line 1"),
        ("values/stage1.yaml", "db:\n  password: hunter2\n", "db.password"),
        (
            "values/stage1.yaml",
            f"# railiance: allow-secret-shape\nkey: {TOKEN}  # railiance: allow-secret-shape\n",
            "line 2",
        ),
        ("a.yaml", f"key: {PEM}  # railiance: allow-secret-shape tests only", "line 1"),
    ],
)
def test_found(path, text, place):
    """Secrets are found by shape in any file, and by the name of their key in values; keys cannot be waived."""
    leaks = leaks_in(path, text)
    assert place in [leak.place for leak in leaks]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("values/stage1.yaml", "image:\n  digest: sha256:" + "a" * 64),
        ("values/stage1.yaml", "existingSecret: hello\npassword: ''\n"),
        ("values/stage1.yaml", "password: example  # railiance: allow-secret-shape documented example\n"),
        ("charts/a/templates/secret.yaml", "password: {{ .Values.password }}"),
        ("README.md", "export TOKEN=$(cat token); PASSWORD=… ./start"),
        ("README.md", f"{TOKEN}  # railiance: allow-secret-shape a revoked sample"),
        ("values/broken.yaml", "a: [b"),
    ],
)
def test_not_flagged(path, text):
    """Digests, references, templates, shell expansions and waived samples are no secrets."""
    assert leaks_in(path, text) == []


def test_never_shown():
    """What is said about a secret never holds it."""
    leaks = [*leaks_in("README.md", TOKEN), *leaks_in("values/x.yaml", "password: hunter2")]
    assert len(leaks) == 2
    assert TOKEN not in str(leaks)
    assert "hunter2" not in str(leaks)
