"""The demo application's repository: complete, accepted by the contract, one commit and tag a version."""

import json
from datetime import timedelta

import pytest
import yaml

from railiance.adapters import process
from railiance.adapters.helm import helm_binary
from railiance.demo_app import create
from railiance.demo_app.chart import chart_for, template_files
from railiance.domain.candidate import tree_digest
from railiance_schema import load_contract

IMAGE = "registry.example:5000/demoapp"
DIGESTS = ["sha256:" + digit * 64 for digit in "ab"]


def contract(folder):
    """Return the repository's contract as the schema reads it."""
    return load_contract((folder / "railiance" / "app.toml").read_text())


def git(folder, *arguments):
    """Return what git says about the repository."""
    return process.run(["git", *arguments], cwd=folder).stdout.strip()


def render(folder, name, values):
    """Return the objects that the repository's chart renders from one of its values files."""
    (chart,) = (folder / "charts").iterdir()
    argv = [str(helm_binary()), "template", name, str(chart), "--values", str(folder / "values" / values)]
    return [document for document in yaml.safe_load_all(process.run(argv).stdout) if document]


@pytest.fixture
def folder(tmp_path):
    """A fresh demo repository."""
    create(tmp_path / "hello", image=IMAGE, digest=DIGESTS[0], serve="PORT=8080 demoapp")
    return tmp_path / "hello"


def test_version_is_commit_and_tag(folder):
    """Each changed call is one commit and one tag, and the contract's source_revision is that tag."""
    assert create(folder, image=IMAGE, digest=DIGESTS[1], serve="PORT=8080 demoapp") == "v2"
    assert git(folder, "log", "--format=%s", "--reverse").split("\n") == ["Release v1", "Release v2"]
    assert git(folder, "rev-parse", "v2^{commit}") == git(folder, "rev-parse", "HEAD")
    assert git(folder, "status", "--porcelain") == ""
    assert contract(folder).source.revision == "v2"
    assert contract(folder).source.digest == DIGESTS[1]


def test_unchanged_call_makes_no_version(folder):
    """The same call again changes nothing and names the version that is there."""
    head = git(folder, "rev-parse", "HEAD")
    assert create(folder, image=IMAGE, digest=DIGESTS[0], serve="PORT=8080 demoapp") == "v1"
    assert git(folder, "rev-parse", "HEAD") == head


def test_broken_off_call_is_finished(folder):
    """A call that ended between its commit and its tag is finished by the next one."""
    git(folder, "tag", "--delete", "v1")
    assert create(folder, image=IMAGE, digest=DIGESTS[0], serve="PORT=8080 demoapp") == "v1"
    assert git(folder, "tag") == "v1"
    assert git(folder, "rev-list", "--count", "HEAD") == "1"


def test_contract_is_the_story_in_minutes(folder):
    """A low application goes 20 % and 50 %, for 20 s each, is judged by samples and bakes for 20 s."""
    app = contract(folder)
    short = timedelta(seconds=20)
    assert [(step.weight, step.window) for step in app.traffic.steps] == [(20, short), (50, short)]
    assert (app.analysis.earliest, app.analysis.interval) == (short, timedelta(seconds=2))
    assert app.analysis.pass_rule == "samples"
    assert app.bake.duration == short
    assert app.traffic.host == "hello.localhost"
    assert [check.id for check in app.checks_of("stage1")] == ["template", "local-health"]


@pytest.mark.parametrize("criticality", ["low", "medium", "high", "critical"])
@pytest.mark.parametrize("provider", ["traefik", "gateway-api"])
def test_every_variant_is_a_legal_contract(tmp_path, criticality, provider):
    """Whatever criticality and provider, the contract has no finding, and only allowed times are shortened."""
    gateway = "lab/public" if provider == "gateway-api" else None
    create(
        tmp_path / "app",
        image=IMAGE,
        digest=DIGESTS[0],
        criticality=criticality,
        provider=provider,
        gateway=gateway,
    )
    app = contract(tmp_path / "app")
    assert (app.bake.duration < timedelta(minutes=1)) == (criticality == "low")
    assert (app.analysis.pass_rule == "samples") == (criticality in {"low", "medium"})
    (route,) = [
        item
        for item in render(tmp_path / "app", "hello", "stage3-production.yaml")
        if item["kind"] in {"IngressRoute", "HTTPRoute"}
    ]
    assert route["kind"] == ("HTTPRoute" if gateway else "IngressRoute")


def test_stage1_script_checks_the_digest(folder):
    """The repository's own Stage 1 command passes, and fails when a values file names another image."""
    script = ["sh", "tests/stage1.sh"]
    process.run(script, cwd=folder)
    values = folder / "values" / "stage2-canary.yaml"
    values.write_text(values.read_text().replace(DIGESTS[0], DIGESTS[1]))
    done = process.run(script, cwd=folder, check=False)
    assert done.exit_code == 1
    assert "values/stage2-canary.yaml" in done.stderr


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("hello-local", "stage1.yaml"),
        ("hello-canary", "stage2-canary.yaml"),
        ("hello-canary", "stage3-production.yaml"),
        ("hello", "stage3-production.yaml"),
    ],
)
def test_every_stage_renders_the_image(folder, name, values):
    """Each stage's values render with the image by digest, under the stage's helm_release."""
    (deployment,) = [item for item in render(folder, name, values) if item["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["metadata"]["name"] == name
    assert container["image"] == f"{IMAGE}@{DIGESTS[0]}"


def test_names_that_yaml_takes_for_something_else(tmp_path):
    """An app called `no` or `123` stays a name in every file and object."""
    for app_id in ("no", "123"):
        folder = tmp_path / app_id
        create(folder, app_id=app_id, namespace=app_id, image=IMAGE, digest=DIGESTS[0])
        assert contract(folder).stages.stage2.release == f"{app_id}-canary"
        for item in render(folder, app_id, "stage3-production.yaml"):
            assert item["metadata"]["name"] == app_id
            assert all(isinstance(value, str) for value in item["metadata"]["labels"].values())


def test_environment_reaches_the_container(tmp_path):
    """A fault given as environment is part of the values, so it is part of the candidate."""
    create(tmp_path / "a", image=IMAGE, digest=DIGESTS[0], env={"FAIL_RATIO": "0.5", "READY": "true"})
    (deployment,) = [
        item
        for item in render(tmp_path / "a", "hello", "stage3-production.yaml")
        if item["kind"] == "Deployment"
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "FAIL_RATIO", "value": "0.5"}, {"name": "READY", "value": "true"}]


def test_chart_notes_its_template():
    """A copied chart carries the app's name, and the version and digest of the template it came from."""
    about = yaml.safe_load(chart_for("hello")["Chart.yaml"])
    assert about["name"] == "hello"
    assert about["annotations"] == {
        "railiance.dev/template": "canary",
        "railiance.dev/template-version": yaml.safe_load(template_files()["Chart.yaml"])["version"],
        "railiance.dev/template-digest": tree_digest(template_files()),
    }


def test_no_token_is_left(folder):
    """No placeholder of the template survives, and no schema is broken by what replaced it."""
    for path in (folder / name for name in git(folder, "ls-files").split("\n")):
        assert not any(
            f"@{word}@" in path.read_text() for word in ("app_id", "image", "host", "env", "version")
        )
    assert json.loads((folder / "charts" / "hello" / "values.schema.json").read_text())
