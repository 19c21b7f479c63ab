"""The demo's own rules: what is counted as lost, what is said to be short, and when it is all as told."""

from __future__ import annotations

import io
import json

import pytest

from railiance.demo_app.driver import _pass_lines, command_line
from railiance.demo_app.load import Tally
from railiance.demo_app.screen import Row, Screen
from railiance.demo_app.story import shorter_than_default

CONTRACT = """
schema_version = "railiance.app.v1"
app = { id = "hello", name = "Hello", repo = "r", owner = "o", criticality = "low", description = "d" }
source = { revision = "v1", artifact = "image", image = "registry.example/hello" }
stages.stage1 = { commands = ["true"] }
stages.stage2 = { namespace = "hello", release = "hello-canary" }
stages.stage3 = { namespace = "hello", release = "hello" }
rollback = { strategy = "known-good", verification = "The page is back." }

[traffic]
host = "hello.localhost"
DRAIN
[[traffic.steps]]
weight = 20
window = "20s"
"""


@pytest.mark.parametrize(
    ("version", "what", "group"),
    [
        ("v1", "200", "ok"),
        ("v1", "500", "faulty"),
        ("v1", "503", "faulty"),
        (None, "gateway 503", "lost"),
        (None, "gateway 404", "lost"),
        (None, "connection", "lost"),
        (None, "timeout", "lost"),
    ],
)
def test_what_is_lost(version: str | None, what: str, group: str) -> None:
    """A request is lost if the application did not answer it; its own errors are counted apart."""
    tally = Tally(sent=1)
    tally.count(version, what, at=1.0, took=0.1)
    assert {name: getattr(tally, name).total() for name in ("ok", "faulty", "lost")} == {
        "ok": 0,
        "faulty": 0,
        "lost": 0,
        group: 1,
    }
    assert tally.answered == (0 if group == "lost" else 1)


def test_first_and_last_faulty_answer() -> None:
    """The time in which users met errors goes from the first one to the last."""
    tally = Tally()
    for at, status in ((1.0, "200"), (2.0, "500"), (3.0, "200"), (4.5, "500"), (6.0, "200")):
        tally.count("v3", status, at, 0.01)
    assert (tally.faulty_from, tally.faulty_to) == (2.0, 4.5)


def test_tally_survives_its_file(tmp_path) -> None:
    """What the load generator writes is what is read; with no file nothing was sent."""
    tally = Tally(sent=2, seconds=3.5, finished=True)
    tally.count("v1", "200", 0.5, 0.01)
    tally.count(None, "timeout", 0.6, 10)
    (tmp_path / "tally.json").write_text(json.dumps(tally.document()))
    assert Tally.read(tmp_path / "tally.json") == tally
    assert Tally.read(tmp_path / "none.json") == Tally()


def test_shorter_values_are_named_with_the_default() -> None:
    """Each value below the default is said, beside the default of the product."""
    short = CONTRACT.replace("DRAIN", 'drain = "10s"')
    short += '\n[analysis]\nearliest = "20s"\npass_rule = "samples"\n[bake]\nduration = "20s"\n'
    assert shorter_than_default(short) == [
        "analysis.earliest = 20s (default: 5m)",
        "analysis.pass_rule = samples (default: evidence)",
        "bake.duration = 20s (default: 5m)",
        "traffic.drain = 10s (default: 30s)",
    ]


def test_a_contract_with_all_defaults_has_nothing_short() -> None:
    """A contract that leaves the watch alone has nothing to confess."""
    assert shorter_than_default(CONTRACT.replace("DRAIN", "")) == []


def test_lines_are_passed_on_whole() -> None:
    """A line that is still being written is passed on when its end has come, once."""
    seen: list[str] = []
    rest = _pass_lines(io.StringIO("one\ntw"), "", seen.append)
    assert (seen, rest) == (["one"], "tw")
    rest = _pass_lines(io.StringIO("o\nthree\n"), rest, seen.append)
    assert (seen, rest) == (["one", "two", "three"], "")


def test_summary_names_what_went_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal the summary is plain text, one line a chapter, and a surprise stands out."""
    screen = Screen()
    screen.table([Row("v2", "v1", "v2", 500, 0, 0, 61.2, True), Row("v3", "v2", "v2", 90, 1, 7, 30.0, False)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["chapter", "before", "after", "sent", "lost", "faulty", "seconds", "as", "told"],
        ["v2", "v1", "v2", "500", "0", "0", "61", "yes"],
        ["v3", "v2", "v2", "90", "1", "7", "30", "NO"],
    ]


def test_a_command_is_shown_as_it_is_typed() -> None:
    """Words with spaces are quoted, so that the line can be copied."""
    assert command_line(("approve", "REQ", "-m", "looks good")) == "railiance approve REQ -m 'looks good'"
