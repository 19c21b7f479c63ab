"""What the one module that starts processes promises."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from railiance.adapters import clock, process
from railiance.domain.errors import Broken, Unavailable

PYTHON = sys.executable


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once the condition holds, or fail after ten seconds."""
    deadline = clock.monotonic() + 10
    while not condition():
        assert clock.monotonic() < deadline, "waited too long"
        clock.sleep(0.01)


def test_run_returns_what_the_tool_printed(tmp_path: Path) -> None:
    """A tool runs where, with what, and on what it was told."""
    code = "import os, sys; print(os.getcwd(), os.environ['WORD'], sys.stdin.read()); print('e', file=sys.stderr)"
    done = process.run([PYTHON, "-c", code], cwd=tmp_path, env={"WORD": "hello"}, stdin="in")
    assert done.stdout == f"{tmp_path} hello in\n"
    assert (done.stderr, done.exit_code, done.argv[0]) == ("e\n", 0, PYTHON)
    assert done.duration > 0


def test_the_environment_is_added_to_ours() -> None:
    """Variables given to a tool do not take the others away."""
    done = process.run(["sh", "-c", "echo $PATH"], env={"WORD": "x"})
    assert done.stdout.strip() == os.environ["PATH"]


def test_a_failing_tool_is_broken_with_its_last_words() -> None:
    """A non-zero exit is an error that names tool, exit code and what it said last."""
    with pytest.raises(Broken) as caught:
        process.run(["sh", "-c", "for i in 1 2 3 4 5 6 7; do echo line$i >&2; done; exit 7"])
    assert caught.value.code == "TOOL_FAILED"
    assert "exit code 7" in caught.value.message
    assert "line7" in caught.value.message
    assert "line2" not in caught.value.message


def test_without_check_a_failing_tool_is_an_answer() -> None:
    """With check off the exit code is for the caller to judge."""
    assert process.run(["sh", "-c", "exit 7"], check=False).exit_code == 7


def test_a_missing_tool_is_unavailable() -> None:
    """A tool that is not there is named, with what to do."""
    with pytest.raises(Unavailable) as caught:
        process.run(["no-such-tool-anywhere"])
    assert caught.value.code == "TOOL_MISSING"
    assert "no-such-tool-anywhere" in caught.value.message
    assert caught.value.help


def test_a_missing_folder_is_not_taken_for_a_missing_tool(tmp_path: Path) -> None:
    """The error names the folder when that is what is missing."""
    with pytest.raises(Unavailable) as caught:
        process.run(["true"], cwd=tmp_path / "nowhere")
    assert caught.value.code == "FOLDER_MISSING"


def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    """A tool that takes too long goes, and so does what it started."""
    note = tmp_path / "pid"
    with pytest.raises(Unavailable) as caught:
        process.run(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], timeout=0.3)
    assert caught.value.code == "TOOL_TIMEOUT"
    child = int(note.read_text())
    wait_for(lambda: process.start_time(child) is None)


def test_lines_are_told_as_they_come() -> None:
    """Progress hears each line of the error output, and the text is still returned."""
    heard: list[str] = []
    done = process.run(["sh", "-c", "echo a >&2; echo b >&2; echo c"], on_line=heard.append)
    assert heard == ["a", "b"]
    assert (done.stdout, done.stderr) == ("c\n", "a\nb\n")


def test_shell_output_is_counted_and_not_kept() -> None:
    """A contract's command leaves byte counts, never words."""
    done = process.run_shell("printf abc; printf de >&2; exit 3")
    assert (done.exit_code, done.stdout_bytes, done.stderr_bytes) == (3, 3, 2)
    assert not done.timed_out


def test_shell_output_can_go_to_a_file_and_to_a_listener(tmp_path: Path) -> None:
    """A person can read along."""
    heard: list[str] = []
    process.run_shell("echo hello", output=tmp_path / "log", on_line=heard.append)
    assert (tmp_path / "log").read_text() == "hello\n"
    assert heard == ["hello"]


def test_a_shell_command_that_takes_too_long_is_ended() -> None:
    """A timeout is no exit code, and is said."""
    done = process.run_shell("sleep 60", timeout=0.2)
    assert done.exit_code is None
    assert done.timed_out


def test_what_a_shell_command_leaves_running_is_ended(tmp_path: Path) -> None:
    """Stage 1 stops what it started, also what was put into the background."""
    note = tmp_path / "pid"
    done = process.run_shell(f"sleep 60 & echo $! > {note}")
    assert done.exit_code == 0
    child = int(note.read_text())
    wait_for(lambda: process.start_time(child) is None)


def test_a_spawned_process_is_known_by_pid_and_start_time() -> None:
    """The same pid with another start time is somebody else."""
    started = process.spawn(["sleep", "60"])
    assert process.alive(started.pid, started.start_time)
    assert not process.alive(started.pid, "1")
    assert not process.alive(started.pid, "")
    assert started.poll() is None
    started.end()
    assert not process.alive(started.pid, started.start_time)


def test_end_asks_first_and_then_kills(tmp_path: Path) -> None:
    """TERM lets a process end in order; one that will not is killed."""
    note = tmp_path / "ready"
    polite = process.spawn(["sh", "-c", f"trap 'exit 5' TERM; touch {note}; while :; do sleep 0.05; done"])
    wait_for(note.exists)
    assert polite.end() == 5

    note.unlink()
    stubborn = process.spawn(["sh", "-c", f"trap '' TERM; touch {note}; while :; do sleep 0.05; done"])
    wait_for(note.exists)
    assert stubborn.end(term_timeout=0.2) == -9


def test_end_takes_the_whole_group(tmp_path: Path) -> None:
    """A server's children go with it."""
    note = tmp_path / "pid"
    started = process.spawn(["sh", "-c", f"sleep 60 & echo $! > {note}.new; mv {note}.new {note}; wait"])
    wait_for(note.exists)
    started.end()
    child = int(note.read_text())
    wait_for(lambda: process.start_time(child) is None)


def test_end_by_pid_leaves_a_stranger_alone() -> None:
    """A pid that belongs to somebody else by now is not touched."""
    stranger = process.spawn(["sleep", "60"])
    process.end(stranger.pid, "1")
    assert stranger.poll() is None
    stranger.end()


def test_end_by_pid_ends_what_an_earlier_program_started() -> None:
    """Pid and start time are enough to end a process that is no child of ours."""
    told = process.run([PYTHON, "-c", _SPAWN_AND_LEAVE]).stdout.split()
    pid, started = int(told[0]), told[1]
    assert process.alive(pid, started)
    process.end(pid, started)
    assert not process.alive(pid, started)


_SPAWN_AND_LEAVE = """
from railiance.adapters import process
started = process.spawn(["sleep", "60"])
print(started.pid, started.start_time)
"""


def test_a_spawned_process_writes_where_it_was_told(tmp_path: Path) -> None:
    """Output and error output go to one file, unless they are given two."""
    one = process.spawn(["sh", "-c", "echo out; echo err >&2"], stdout=tmp_path / "log")
    wait_for(lambda: one.poll() is not None)
    assert (tmp_path / "log").read_text() == "out\nerr\n"
    two = process.spawn(["sh", "-c", "echo out; echo err >&2"], stdout=tmp_path / "o", stderr=tmp_path / "e")
    wait_for(lambda: two.poll() is not None)
    assert ((tmp_path / "o").read_text(), (tmp_path / "e").read_text()) == ("out\n", "err\n")
