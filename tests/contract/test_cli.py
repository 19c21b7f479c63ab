"""The command line's frame: what is loaded, what is printed where, and the exit status."""

import json
import os
import subprocess
import sys
import types
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from railiance import cli as frame
from railiance.commands import output as output_module
from railiance.commands.output import Output, Reporter, if_interrupted, output_options, refuse_inside_run
from railiance.domain.errors import Broken, Conflict, Unavailable, Usage
from railiance.domain.result_parts import AppInfo, RunInfo, SourceInfo, TargetInfo, ToolInfo
from railiance.domain.results import RunResult
from railiance_schema import load_contract

ROOT = Path(__file__).parents[2]
HEAVY = ("prefect", "kubernetes", "requests", "rich", "pandas", "cryptography")


def _modules_after(*arguments: str, cwd: Path | None = None) -> tuple[set[str], int]:
    code = (
        "import sys, json\n"
        "from railiance.cli import cli\n"
        "status = 0\n"
        "try: cli(sys.argv[1:], prog_name='railiance')\n"
        "except SystemExit as end: status = end.code or 0\n"
        "print(json.dumps([sorted(sys.modules), status]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, cwd=cwd or ROOT
    )
    modules, status = json.loads(done.stderr.splitlines()[-1])
    return set(modules), status


def test_help_loads_no_verb():
    """`railiance --help` imports no verb and nothing heavy."""
    modules, status = _modules_after("--help")
    assert status == 0
    assert not modules & {*HEAVY, "pydantic", "railiance_schema"}
    assert [name for name in modules if name.startswith("railiance.commands.")] == [
        "railiance.commands.output"
    ]


def test_verbs_load_light():
    """No verb imports Prefect or the Kubernetes client before it is used."""
    code = (
        "import sys\n"
        "from railiance.cli import Verbs\n"
        "group = Verbs()\n"
        "for verb in group.list_commands(None): group.get_command(None, verb)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert not set(done.stdout.split()) & {"prefect", "kubernetes", "pandas"}


@pytest.mark.parametrize(
    "arguments",
    [("contract", "check"), ("contract", "explain"), ("explain", "RAIL021"), ("contract", "schema")],
)
def test_contract_commands_do_not_load_prefect(arguments, tmp_path):
    """Everything about contracts works without Prefect, Kubernetes client or probes."""
    folder = tmp_path / "railiance"
    folder.mkdir()
    (folder / "app.toml").write_text(
        'schema_version = "railiance.app.v1"\n'
        'app = { id = "a", name = "A", repo = "r", owner = "o", criticality = "low", description = "d" }\n'
        'source = { revision = "v1", artifact = "image" }\n'
    )
    modules, status = _modules_after(*arguments, cwd=tmp_path)
    assert status == 0
    assert not modules & {"prefect", "kubernetes", "requests", "pandas"}


def test_every_verb_is_a_command_with_help():
    """Each mounted verb is a command, has a help text of its own, and a sentence in the list."""
    group = frame.Verbs()
    for verb in group.list_commands(None):
        command = group.get_command(None, verb)
        assert isinstance(command, click.Command)
        assert command.help, verb
        assert frame.VERBS[verb][1].endswith("."), verb


@pytest.fixture
def verb(monkeypatch):
    """Mount a function as the verb `try`; returns a function that runs it and gives the result."""

    def run(function, *arguments, **options):
        module = types.ModuleType("railiance_try")
        command = function if isinstance(function, click.Command) else click.command("try")(function)
        module.try_ = command
        monkeypatch.setitem(sys.modules, "railiance_try", module)
        monkeypatch.setattr(frame, "VERBS", {"try": ("railiance_try:try_", "Try.")})
        monkeypatch.setattr(frame.importlib.util, "find_spec", lambda _name: True)
        return CliRunner().invoke(frame.cli, [*options.pop("before", []), "try", *arguments], **options)

    return run


def _raises(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("CLUSTER_UNREACHABLE", "No answer from x.", "Try again."), 4),
        (Conflict("DENY_LOCKED", "Locked by y.", "Wait."), 5),
        (Usage("RAIL001", "No file.", "Write it."), 2),
        (Broken("TOOL_FAILED", "helm said no.", "Look."), 3),
    ],
)
def test_errors(verb, error, status):
    """An error says code, message and help on stderr, nothing on stdout, and sets the exit status."""
    result = verb(_raises(error))
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr == f"error[{error.code}]: {error.message}\n  = help: {error.help}\n"


def test_contract_error(verb):
    """A contract with findings prints them all and is exit 1."""

    def command():
        load_contract('schema_version = "railiance.app.v1"\nx = 1')

    result = verb(command)
    assert result.exit_code == 1
    assert "RAIL020" in result.stderr or "RAIL021" in result.stderr
    assert "Nothing was run." in result.stderr


def test_bug(verb, tmp_path, monkeypatch):
    """A bug of ours is exit 3, names where it is, keeps the traceback in a file, and shows no value."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    result = verb(_raises(KeyError("s3cret")))
    assert result.exit_code == 3
    assert "a bug of railiance" in result.stderr
    assert "s3cret" not in result.stderr
    assert "s3cret" in (tmp_path / "railiance/bug.txt").read_text()
    assert "Traceback" in verb(_raises(KeyError("x")), before=["--debug"]).stderr


@pytest.mark.parametrize(
    ("sentence", "said"), [(None, "Nothing was changed."), ("The canary stays.", "The canary stays.")]
)
def test_interrupted(verb, sentence, said):
    """Ctrl-C is exit 4, and says what state is left."""

    def command():
        if sentence:
            if_interrupted(sentence)
        raise KeyboardInterrupt

    result = verb(command)
    assert result.exit_code == 4
    assert said in result.stderr


def test_usage():
    """An unknown verb or option is exit 2."""
    assert CliRunner().invoke(frame.cli, ["no-such-verb"]).exit_code == 2
    assert CliRunner().invoke(frame.cli, ["--no-such-option"]).exit_code == 2


def test_run_inside_run(verb, monkeypatch):
    """A stage is not started from inside a stage's own command."""
    assert verb(refuse_inside_run).exit_code == 0
    monkeypatch.setenv("RAILIANCE_RUN_ID", "r1")
    result = verb(refuse_inside_run)
    assert result.exit_code == 2
    assert "RUN_RECURSION" in result.stderr


def _document(exit_status):
    when = datetime(2026, 1, 1, tzinfo=UTC)
    return RunResult(
        status="completed",
        verdict="FAIL",
        exit_status=exit_status,
        started_at=when,
        finished_at=when,
        duration_ms=0,
        tool=ToolInfo(version="0"),
        run=RunInfo(id="r"),
        contract_path="railiance/app.toml",
        contract_digest="d",
        app_dir=".",
        app=AppInfo(id="a", name="Ä", repo="r", owner="o", criticality="low"),
        source=SourceInfo(
            revision="v1", resolved=None, mutable=False, dirty=True, artifact="image", digest=None
        ),
        target=TargetInfo(environment="local"),
    )


@click.command()
@output_options
def _finishing(output: Output) -> None:
    output.reporter.say("for people")
    output.finish(_document(1))


@pytest.mark.parametrize(
    ("terminal", "options", "on_stdout"),
    [
        (False, [], "compact"),
        (False, ["--pretty"], "indented"),
        (False, ["--json"], "compact"),
        (False, ["--json", "--pretty"], "indented"),
        (True, [], "nothing"),
        (True, ["--pretty"], "indented"),
        (True, ["--json"], "compact"),
    ],
)
def test_where_things_are_printed(verb, monkeypatch, terminal, options, on_stdout):
    """The document goes to stdout unless a person reads there; human text goes to stderr unless `--json`."""

    class Stdout:
        def isatty(self):
            return terminal

    monkeypatch.setattr(output_module, "sys", types.SimpleNamespace(stdout=Stdout(), stderr=sys.stderr))
    result = verb(_finishing, *options)
    assert result.exit_code == 1
    lines = {"nothing": 0, "compact": 1}.get(on_stdout)
    assert len(result.stdout.splitlines()) == lines if lines is not None else result.stdout.count("\n") > 20
    if on_stdout != "nothing":
        assert json.loads(result.stdout)["app"]["name"] == "Ä"
    assert result.stderr == ("" if "--json" in options else "for people\n")


def test_json_out(verb, tmp_path):
    """`--json-out` writes the document also when the answer is no, and is refused early where it cannot."""
    path = tmp_path / "out.json"
    assert verb(_finishing, "--json-out", str(path)).exit_code == 1
    assert json.loads(path.read_text())["verdict"] == "FAIL"
    result = verb(_finishing, "--json-out", str(tmp_path / "none/out.json"))
    assert result.exit_code == 2
    assert "for people" not in result.stderr


def test_progress_is_printed_while_listening(capsys):
    """What tasks tell is printed while a command listens, verdicts first; output of others is indented."""
    from railiance.adapters import progress

    progress.say("before")
    with Reporter().listening():
        progress.say("doing")
        progress.answer("PASS", "page: ok")
        progress.output("\x1b[31mred\x1b[0m")
    progress.say("after")
    assert capsys.readouterr().err == "doing\nPASS    page: ok\n  red\n"


def test_silent_reporter(capsys):
    """A silent reporter prints nothing."""
    with Reporter(silent=True).listening():
        from railiance.adapters import progress

        progress.answer("FAIL", "x")
        progress.output("y")
    assert capsys.readouterr().err == ""


def test_shim(tmp_path):
    """`bin/railiance` works from any folder, through a link, and finds our modules before those of the folder."""
    (tmp_path / "railiance").mkdir()
    (tmp_path / "railiance/__init__.py").write_text("raise RuntimeError('the wrong railiance')")
    link = tmp_path / "rail"
    link.symlink_to(ROOT / "bin/railiance")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [link, "--version"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("railiance ")


def test_reference_page():
    """The page about the command line is what the commands say; RAILIANCE_GOLDEN=write writes it anew."""
    from railiance.commands.reference import page

    path = ROOT / "docs/reference/cli.md"
    if os.environ.get("RAILIANCE_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(frame.cli), "utf-8")
    assert path.read_text("utf-8") == page(frame.cli)
