"""An app's folder, with real files and real git."""

import json
import os
import subprocess
from datetime import UTC, datetime

import pytest

from railiance.adapters import git, workspace
from railiance.domain.candidate import sha256_digest, tree_digest
from railiance.domain.errors import Broken, Conflict, Usage
from railiance.domain.result_parts import AppInfo, RunInfo, SourceInfo, TargetInfo, ToolInfo
from railiance.domain.results import RunResult
from railiance_schema import ContractError

DIGEST = f"sha256:{'1' * 64}"
COMMIT = "a" * 40
CONTRACT = """schema_version = "railiance.app.v1"
app = { id = "hello", name = "Hello", repo = "r/hello", owner = "o", criticality = "low", description = "d" }
source = { revision = "git:main", artifact = "image", image = "registry.example/hello" }
[rollback]
strategy = "helm-revision"
verification = "It answers."
[stages]
stage1 = { commands = ["true"] }
stage2 = { namespace = "hello" }
stage3 = { namespace = "hello" }
"""


def _git(folder, *arguments):
    config = ["-c", "user.email=ada@example.org", "-c", "user.name=Ada"]
    subprocess.run(["git", "-C", str(folder), *config, *arguments], check=True, capture_output=True)


def _commit(folder, message="one"):
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", message)
    return git.resolve(folder, "HEAD").sha


def _write(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.fixture
def app(tmp_path):
    """An app that is a git repository, with everything committed."""
    folder = tmp_path / "hello"
    folder.mkdir()
    _write(
        folder,
        {
            "railiance/app.toml": CONTRACT,
            "charts/hello/Chart.yaml": "name: hello\n",
            "charts/hello/templates/a.yaml": "a: 1\n",
            "values/stage1.yaml": "x: 1\n",
            "values/stage2-canary.yaml": "x: 2\n",
            "values/stage3-production.yaml": "x: 3\n",
        },
    )
    _git(folder, "init", "-q", "-b", "main")
    _commit(folder)
    return folder


def _candidate(folder, digest=None):
    return workspace.read_candidate(folder, workspace.read_contract(folder), digest)


def test_candidate(app):
    """The candidate is the commit, the image, the chart's tree, all three values files and the contract."""
    candidate = _candidate(app, DIGEST)
    assert candidate.resolved == git.resolve(app, "HEAD").sha
    assert (candidate.mutable, candidate.dirty) == (True, False)
    assert [(image.name, image.digest) for image in candidate.images] == [("registry.example/hello", DIGEST)]
    assert candidate.chart.digest == tree_digest(
        {"Chart.yaml": b"name: hello\n", "templates/a.yaml": b"a: 1\n"}
    )
    assert [file.path for file in candidate.values] == [
        "values/stage1.yaml",
        "values/stage2-canary.yaml",
        "values/stage3-production.yaml",
    ]
    assert candidate.contract_digest == sha256_digest(CONTRACT.encode())


@pytest.mark.parametrize(
    "path",
    [
        "charts/hello/templates/a.yaml",
        "charts/hello/new.txt",
        "values/stage3-production.yaml",
        "railiance/app.toml",
    ],
)
def test_an_edited_file_is_another_candidate(app, path):
    """Any change of a file that is deployed makes another candidate, and the work tree dirty."""
    before = _candidate(app)
    with (app / path).open("a") as file:
        file.write("# changed\n")
    after = _candidate(app)
    assert after.digest != before.digest
    assert after.dirty


def test_own_files_do_not_count(app):
    """What we keep in `.railiance/` makes neither another candidate nor a dirty work tree."""
    before = _candidate(app)
    workspace.state_dir(app, "logs")
    (app / ".railiance/logs/x.log").write_text("x")
    assert (_candidate(app).digest, _candidate(app).dirty) == (before.digest, False)


def test_own_files_are_ignored_by_git(app):
    """`git add -A` does not take our results, but does take the schemas for editors."""
    workspace.state_dir(app, "results")
    _write(app, {".railiance/results/run.json": "{}", ".railiance/schemas/app.json": "{}"})
    _git(app, "add", "-A")
    listed = subprocess.run(
        ["git", "-C", str(app), "ls-files"], check=True, capture_output=True, text=True
    ).stdout
    assert ".railiance/schemas/app.json" in listed
    assert "run.json" not in listed


def test_no_repository(app):
    """Without git no commit is known, and the work tree counts as dirty."""
    (app / ".git").rename(app.parent / "gone")
    candidate = _candidate(app)
    assert (candidate.resolved, candidate.dirty) == (None, True)
    assert workspace.repository_paths(app) == ("railiance/app.toml", ".")


def test_no_git(app, monkeypatch, tmp_path):
    """A machine without git can still run Stage 1; the candidate is dirty."""
    monkeypatch.setenv("PATH", str(tmp_path))
    candidate = _candidate(app)
    assert (candidate.resolved, candidate.dirty) == (None, True)


@pytest.mark.parametrize(
    ("revision", "moving"),
    [
        ("git:main", True),
        ("main", True),
        ("git:HEAD", True),
        ("v1", False),
        ("git:v1", False),
        ("refs/tags/v1", False),
    ],
)
def test_resolve(app, revision, moving):
    """Branches move and tags do not; both mean a commit."""
    _git(app, "tag", "-a", "v1", "-m", "v1")
    assert git.resolve(app, revision) == git.Commit(git.resolve(app, "HEAD").sha, moving)


@pytest.mark.parametrize("revision", ["v9", COMMIT, "git:no-such-branch", "--help", "a b"])
def test_unknown_revision(app, revision):
    """A revision that the repository does not know is no commit, and never an option of git."""
    assert git.resolve(app, revision) is None


def test_commit_is_itself(app):
    """A commit, whole or short, means itself."""
    head = git.resolve(app, "HEAD").sha
    assert git.resolve(app, head) == git.resolve(app, head[:10]) == git.Commit(head, moving=False)


def test_branch_of_the_origin(app, tmp_path):
    """A fresh clone on a detached commit still knows what the origin's branch means."""
    clone = tmp_path / "clone"
    _git(tmp_path, "clone", "-q", str(app), str(clone))
    _git(clone, "checkout", "-q", "--detach")
    _git(clone, "branch", "-D", "main")
    assert git.resolve(clone, "git:main") == git.resolve(app, "git:main")


def test_paths_in_a_larger_repository(app):
    """Paths in results are relative to the repository's root."""
    inner = app / "apps/inner"
    _write(inner, {"railiance/app.toml": CONTRACT})
    assert workspace.repository_paths(inner) == ("apps/inner/railiance/app.toml", "apps/inner")


UPSTREAM = f"""[upstream]
name = "hello"
revision = "{COMMIT}"
[[images]]
name = "registry.example/hello"
digest = "{DIGEST}"
[[images]]
name = "registry.example/sidecar"
digest = "{DIGEST}"
"""


@pytest.fixture
def overlay(app):
    """An overlay: the pins of its upstream are in a file of their own."""
    _write(app, {"railiance/upstream.toml": UPSTREAM, "railiance/app.toml": f"{CONTRACT}[upstream]\n"})
    _commit(app, "overlay")
    return app


def test_overlay(overlay):
    """In an overlay the commit and the images are those that the overlay pins."""
    candidate = _candidate(overlay)
    assert candidate.resolved == COMMIT
    assert [image.name for image in candidate.images] == [
        "registry.example/hello",
        "registry.example/sidecar",
    ]
    assert candidate.upstream_digest == sha256_digest(UPSTREAM.encode())


def test_overlay_that_disagrees(overlay):
    """A digest on the command line that differs from the pin is a conflict."""
    with pytest.raises(Conflict, match=r"upstream\.toml"):
        _candidate(overlay, f"sha256:{'2' * 64}")


@pytest.mark.parametrize("text", [None, "[[images]]\n", "images = 1\n", "= broken"])
def test_unreadable_pins(overlay, text):
    """Pins that are missing or make no sense are said to be so; nothing is guessed."""
    path = overlay / "railiance/upstream.toml"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(Usage, match="cannot be read"):
        _candidate(overlay)


def test_linked_folder(app):
    """A chart with a linked folder is refused: what it holds may change without the chart changing."""
    (app / "charts/hello/more").symlink_to("/usr")
    with pytest.raises(Usage, match="symbolic link"):
        _candidate(app)


@pytest.mark.parametrize("argument", ["hello", "./hello", "."])
def test_find_app(app, monkeypatch, argument):
    """An app is found by its folder, by its id one level below, and as the present folder."""
    monkeypatch.chdir(app if argument == "." else app.parent)
    assert workspace.find_app(argument) == app.resolve()


def test_find_app_by_id_in_its_own_folder(app, monkeypatch):
    """The id names the app also from inside its folder, as in `rollback.command`."""
    monkeypatch.chdir(app)
    assert workspace.find_app("hello") == app.resolve()


def test_find_no_app(app, monkeypatch):
    """A folder without a contract, an unknown id and an id that is there twice are usage errors (exit 2)."""
    monkeypatch.chdir(app.parent)
    for argument in (".", "other"):
        with pytest.raises(Usage, match=r"app\.toml|neither") as caught:
            workspace.find_app(argument)
        assert (caught.value.code, caught.value.exit_status) == ("RAIL001", 2)
    for name in ("one", "two"):
        _write(app.parent / name, {"railiance/app.toml": CONTRACT.replace('"hello", name', '"twin", name')})
    with pytest.raises(Usage, match="Several"):
        workspace.find_app("twin")


@pytest.mark.parametrize(
    ("text", "status"), [(b"\xff\xfe", 2), (b"\xef\xbb\xbfx = 1", 2), (b"x = ", 1), (None, 2)]
)
def test_unreadable_contract(app, text, status):
    """A missing contract and one that is no plain UTF-8 are exit 2; other findings are exit 1."""
    path = app / "railiance/app.toml"
    path.unlink() if text is None else path.write_bytes(text)
    with pytest.raises((Usage, ContractError)) as caught:
        workspace.read_contract(app)
    assert caught.value.exit_status == status


def _document():
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return RunResult(
        status="completed",
        verdict="PASS",
        exit_status=0,
        started_at=when,
        finished_at=when,
        duration_ms=0,
        tool=ToolInfo(version="0"),
        run=RunInfo(id="r"),
        contract_path="railiance/app.toml",
        contract_digest=DIGEST,
        app_dir=".",
        app=AppInfo(id="hello", name="H", repo="r", owner="o", criticality="low"),
        source=SourceInfo(
            revision="v1", resolved=None, mutable=False, dirty=True, artifact="image", digest=None
        ),
        target=TargetInfo(environment="local"),
    )


def test_results_are_kept(tmp_path):
    """The last document of a verb is read back as it was written; before the first there is none."""
    assert workspace.read_result(tmp_path, "run") is None
    path = workspace.write_result(tmp_path, _document())
    assert path == tmp_path / ".railiance/results/run.json"
    assert workspace.read_result(tmp_path, "run") == _document()
    assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]


def _spoil(text, how):
    document = json.loads(text)
    return {
        "truncated": text[:-20],
        "unknown key": json.dumps({**document, "verdikt": 1}),
        "missing key": json.dumps({key: value for key, value in document.items() if key != "checks"}),
        "no object": "[]",
        "other document": json.dumps({**document, "schema_version": "railiance.stage2-deploy-result.v1"}),
        "key twice": text.replace('"verdict"', '"verdict": "FAIL", "verdict"', 1),
        "too large": text + " " * (1 << 20) + "x",
        "empty": "",
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "unknown key",
        "missing key",
        "no object",
        "other document",
        "key twice",
        "too large",
        "empty",
    ],
)
def test_spoilt_result(tmp_path, how):
    """A result that is not exactly such a document is refused, never half-believed."""
    path = workspace.write_result(tmp_path, _document())
    path.write_text(_spoil(path.read_text(), how))
    with pytest.raises(Broken, match="RESULT_UNREADABLE"):
        workspace.read_result(tmp_path, "run")


def test_write_is_whole_or_nothing(tmp_path, monkeypatch):
    """A write that breaks off leaves the earlier file as it was."""
    path = tmp_path / "x"
    workspace.write_file(path, b"old")

    def full(_descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        workspace.write_file(path, b"new")
    assert path.read_bytes() == b"old"


def test_only_one(tmp_path):
    """Two runs in one folder at a time are a conflict; afterwards the folder is free again."""
    with (
        workspace.only_one(tmp_path, "run"),
        pytest.raises(Conflict, match="Another"),
        workspace.only_one(tmp_path, "run"),
    ):
        pass
    with workspace.only_one(tmp_path, "run"):
        pass
