"""Stage 1 as a whole: a real flow on the session's Prefect server, real processes, real sockets, real Helm."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from railiance.adapters import clock, helm, local_target, process, workspace
from railiance.adapters.local_checks import Place
from railiance.domain.errors import Conflict
from railiance_schema import ContractError

pytestmark = pytest.mark.prefect
ROOT = Path(__file__).parents[2]
SERVER = f"{sys.executable} -m http.server %d --bind 127.0.0.1"
PAGE = '{{ id = "page", type = "http", url = "http://127.0.0.1:{port}/page.txt", contains = "hello" }}'


@pytest.fixture
def port():
    """A port that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def app(tmp_path):
    """Write the contract of an app with this stage1 table and these checks; return its folder."""

    def write(stage1: str, *checks: str, folder: Path = tmp_path) -> Path:
        (folder / "railiance").mkdir(exist_ok=True)
        listed = "".join(f"{check},\n" for check in checks)
        ids = ", ".join(check.split('"')[1].join('""') for check in checks)
        (folder / "railiance/app.toml").write_text(
            'schema_version = "railiance.app.v1"\n'
            'app = { id = "hello", name = "Hello", repo = "r", owner = "o", criticality = "low", description = "d" }\n'
            'source = { revision = "v1", artifact = "image", image = "registry.example/hello" }\n'
            f"checks = [\n{listed}]\n[stages.stage1]\n{stage1}\nchecks = [{ids}]\n"
        )
        (folder / "page.txt").write_text("hello\n")
        return folder

    return write


@pytest.fixture
def stage1(prefect_server):
    """Run the flow in a folder and return its document, as the command line would get it."""
    from flows.stage1_run import run_stage1

    def run(folder: Path, **options: str) -> dict:
        document = run_stage1(directory=str(folder), **options)
        assert document == workspace.read_result(folder, "run").document()
        return document

    return run


def _check(document, name):
    return next(check for check in document["checks"] if check["id"] == name)


def _listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_good_app_passes(app, stage1, port):
    """Commands run in order, then the local target is started, waited for, checked and ended."""
    folder = app(
        f'commands = ["echo one > log", "echo two >> log"]\nserve = "{SERVER % port}"\nevidence = ["report"]',
        PAGE.format(port=port),
        '{ id = "order", type = "command", run = "test \\"$(cat log | tr -d \'\\\\n\')\\" = onetwo" }',
        f'{{ id = "open", type = "tcp", address = "127.0.0.1", port = {port} }}',
    )
    document = stage1(folder, run_id="run-1", requester="ada@example.org")
    assert (document["status"], document["verdict"], document["exit_status"]) == ("completed", "PASS", 0)
    assert [check["verdict"] for check in document["checks"]] == ["PASS"] * 5
    assert [command["ref"] for command in document["commands"]] == [
        "stages.stage1.commands[0]",
        "stages.stage1.commands[1]",
    ]
    assert document["serve"]["ready_after_ms"] > 0
    assert document["run"]["id"] == "run-1"
    assert document["run"]["requester"] == "ada@example.org"
    assert document["run"]["flow_run_id"]
    assert document["expected_evidence"] == ["report"]
    assert not _listening(port)


def test_a_failed_command_ends_it(app, stage1, port):
    """After a failed command nothing more is run or started, and the answer is no (exit 1)."""
    folder = app(
        f'commands = ["true", "exit 3", "touch never"]\nserve = "touch served; {SERVER % port}"',
        PAGE.format(port=port),
    )
    document = stage1(folder)
    assert (document["verdict"], document["exit_status"]) == ("FAIL", 1)
    assert [(command["exit_code"], command["verdict"]) for command in document["commands"]] == [
        (0, "PASS"),
        (3, "FAIL"),
        (None, "UNKNOWN"),
    ]
    assert "commands[1] failed" in _check(document, "page")["skipped"]
    assert not (folder / "never").exists()
    assert not (folder / "served").exists()


def test_output_is_never_kept(app, stage1):
    """What commands print is counted, and kept in a file that only its owner can read; no document holds it."""
    folder = app(
        'commands = ["echo hunter2; echo hunter2 >&2"]',
        '{ id = "loud", type = "command", run = "echo hunter2; exit 1", required = false }',
    )
    document = stage1(folder)
    assert document["commands"][0]["stdout_bytes"] == document["commands"][0]["stderr_bytes"] == 8
    assert _check(document, "loud")["stdout_bytes"] == 8
    assert "hunter2" not in json.dumps(document)
    log = folder / ".railiance/logs/command-0.log"
    assert log.read_text().count("hunter2") == 2
    assert log.stat().st_mode & 0o077 == 0


def test_commands_know_their_run(app, stage1):
    """Commands and checks see the id of the run, by which our own command line refuses to recurse."""
    folder = app(
        'commands = ["test \\"$RAILIANCE_RUN_ID\\" = r7"]',
        '{ id = "env", type = "command", argv = ["sh", "-c", "test \\"$RAILIANCE_RUN_ID\\" = r7"] }',
    )
    assert stage1(folder, run_id="r7")["verdict"] == "PASS"


@pytest.mark.parametrize(("required", "verdict"), [("true", "FAIL"), ("false", "PASS")])
def test_absent_server(app, stage1, port, required, verdict):
    """Without `serve` what is there is validated: an absent server fails a required check, skips an optional one."""
    page = PAGE.format(port=port).replace("type", f"required = {required}, type", 1)
    document = stage1(app('commands = ["true"]', page))
    assert document["verdict"] == verdict
    page = _check(document, "page")
    assert page["verdict"] == ("FAIL" if required == "true" else None)
    assert "refused" in (page["skipped"] or page["reason"])


def test_a_target_that_never_gets_ready(app, stage1, port):
    """A target that does not answer in time fails the stage, and is ended all the same."""
    folder = app('serve = "echo $$ > pid; exec sleep 60"\ntimeout = "1s"', PAGE.format(port=port))
    document = stage1(folder)
    assert document["verdict"] == "FAIL"
    assert document["serve"]["ready_after_ms"] is None
    assert process.start_time(int((folder / "pid").read_text())) is None


def test_a_target_that_ends_by_itself(app, stage1, port):
    """A target that ends with an error fails the stage at once, not after the whole timeout."""
    started = clock.monotonic()
    document = stage1(app('serve = "exit 7"\ntimeout = "10m"', PAGE.format(port=port)))
    assert document["serve"]["exit_code"] == 7
    assert document["verdict"] == "FAIL"
    assert clock.monotonic() - started < 60


def test_somebody_else_answers(app, stage1, port):
    """A server that answers before the target is started does not pass for it."""
    folder = app(f'serve = "{SERVER % port}"', PAGE.format(port=port))
    other = process.spawn([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"], cwd=folder)
    try:
        while not _listening(port):
            clock.sleep(0.05)
        document = stage1(folder)
    finally:
        other.end()
    assert _check(document, "page")["verdict"] == "PASS"
    assert (document["verdict"], document["serve"]["ready_after_ms"]) == ("FAIL", None)


def test_what_needs_a_cluster(app, stage1):
    """A check that Stage 1 cannot run fails if it is required, and is skipped if not."""
    folder = app(
        'commands = ["true"]',
        '{ id = "pods", type = "kubernetes", required = true }',
        '{ id = "load", type = "promql", query = "x", compare = "<", threshold = 1, required = false }',
    )
    document = stage1(folder)
    assert (_check(document, "pods")["verdict"], document["verdict"]) == ("FAIL", "FAIL")
    assert "metrics server" in _check(document, "load")["skipped"]


def _chart(folder: Path, template: str) -> None:
    (folder / "charts/hello/templates").mkdir(parents=True)
    (folder / "charts/hello/Chart.yaml").write_text("apiVersion: v2\nname: hello\nversion: 1.0.0\n")
    (folder / "charts/hello/templates/a.yaml").write_text(template)
    (folder / "values").mkdir()
    (folder / "values/stage1.yaml").write_text("word: hello\n")


CONFIG = (
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {word: {{ required "word" .Values.word }}}\n'
)


def test_helm(app, stage1):
    """A chart is rendered with the stage's values and named by a digest; lint is strict."""
    helm.helm_binary()  # fails here, not by a skipped check, where there is no Helm
    folder = app(
        'commands = ["true"]',
        '{ id = "template", type = "helm" }',
        '{ id = "lint", type = "helm", mode = "lint" }',
    )
    _chart(folder, CONFIG)
    document = stage1(folder)
    assert _check(document, "template")["verdict"] == "PASS"
    assert _check(document, "template")["rendered_digest"].startswith("sha256:")
    assert document["tool"]["helm"].startswith("v")
    assert document["candidate"]["chart"]["path"] == "charts/hello"


def test_a_chart_that_does_not_render(app, stage1):
    """What Helm says about a broken chart is for the terminal and the log, not for the document."""
    folder = app('commands = ["true"]', '{ id = "template", type = "helm" }')
    _chart(folder, '{{ fail "hunter2" }}')
    document = stage1(folder)
    assert _check(document, "template")["verdict"] == "FAIL"
    assert "hunter2" not in json.dumps(document)
    assert "hunter2" in (folder / ".railiance/logs/check-template.log").read_text()


@pytest.mark.parametrize(("required", "verdict"), [("true", "FAIL"), ("false", "PASS")])
def test_helm_is_missing(app, stage1, monkeypatch, required, verdict):
    """Without Helm a required helm check fails, an optional one is skipped."""
    monkeypatch.setenv("RAILIANCE_HELM", "/no/such/helm")
    folder = app('commands = ["true"]', f'{{ id = "template", type = "helm", required = {required} }}')
    _chart(folder, CONFIG)
    document = stage1(folder)
    assert document["verdict"] == verdict
    assert "no Helm" in (_check(document, "template")["skipped"] or _check(document, "template")["reason"])


def test_a_plaintext_secret_fails(app, stage1):
    """A token in the files beside the contract fails the stage, and is not repeated."""
    token = "ghp_" + "a1B2" * 9
    folder = app('commands = ["true"]')
    (folder / "README.md").write_text(f"token: {token}\n")
    document = stage1(folder)
    assert _check(document, "railiance.secrets-scan")["verdict"] == "FAIL"
    assert (document["verdict"], token in json.dumps(document)) == ("FAIL", False)


def test_not_enabled(app, stage1):
    """A contract without an enabled Stage 1 is denied by name; nothing is run."""
    document = stage1(app('enabled = false\ncommands = ["touch never"]'))
    assert (document["status"], document["verdict"], document["exit_status"]) == ("denied", None, 1)
    assert document["denials"][0]["code"] == "DENY_STAGE"


def test_a_bad_contract(app, stage1):
    """A contract with findings stops the run before anything; there is no document."""
    folder = app("comands = []")
    with pytest.raises(ContractError, match="commands"):
        stage1(folder)
    assert not (folder / ".railiance").exists()


def test_one_run_at_a_time(app, stage1):
    """A second run in the same folder is a conflict (exit 5)."""
    folder = app('commands = ["true"]')
    with workspace.only_one(folder, "run"), pytest.raises(Conflict, match="Another"):
        stage1(folder)


def test_retries(app, stage1):
    """A check is tried again as often as the contract says, and the attempts are counted."""
    folder = app(
        'commands = ["true"]',
        '{ id = "third", type = "command", run = "echo x >> n; test $(wc -l < n) = 3", retries = 5, interval = "10ms" }',
    )
    assert _check(stage1(folder), "third")["attempts"] == 3


HOLD = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from railiance.adapters import local_target
    from railiance.adapters.local_checks import Place
    folder = Path(sys.argv[1])
    with local_target.serving("sh -c 'echo $$ > pid; sleep 300; true'", Place(folder, None, {}, folder)):
        print("started", flush=True)
        time.sleep(300)
    """
)


def _started(folder: Path) -> tuple[subprocess.Popen, int]:
    """Start a program that holds a local target, and return it with the pid of a process of the target."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        process_group=0,
    )
    assert holder.stdout.readline() == "started\n"
    holder.stdout.close()
    while not ((folder / "pid").exists() and (folder / "pid").read_text().strip()):
        clock.sleep(0.02)
    return holder, int((folder / "pid").read_text())


def test_interrupted(tmp_path):
    """Ctrl-C ends the whole process group of the local target."""
    holder, pid = _started(tmp_path)
    holder.send_signal(signal.SIGINT)
    holder.wait(30)
    assert process.start_time(pid) is None
    assert not (tmp_path / "serve.json").exists()


def test_killed(tmp_path):
    """What a killed run left behind is ended by the next; a process that only has its pid is left alone."""
    holder, pid = _started(tmp_path)
    holder.kill()
    holder.wait(30)
    assert process.start_time(pid) is not None
    place = Place(tmp_path, None, {}, tmp_path)
    local_target.end_leftover(place)
    while process.start_time(pid) is not None:  # reaped by init
        clock.sleep(0.02)
    (tmp_path / "serve.json").write_text(json.dumps({"pid": os.getpid(), "start_time": "1"}))
    local_target.end_leftover(place)


@pytest.mark.parametrize("note", ["", "[]", '{"pid": "x", "start_time": ""}'])
def test_unreadable_note(tmp_path, note):
    """A note of an earlier run that cannot be read stops nothing."""
    (tmp_path / "serve.json").write_text(note)
    local_target.end_leftover(Place(tmp_path, None, {}, tmp_path))
