"""The only module that starts, watches and ends processes.

Three ways, by what the caller needs:

    run        a tool with arguments: wait, keep what it printed, raise when it failed
    run_shell  a command of the contract: wait, count what it printed, keep nothing
    spawn      a process that goes on: an application under test, a part of the lab

A process is never found by its name. It is known by its pid together with the time it started, because a pid
alone may meanwhile belong to somebody else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from railiance.adapters import clock
from railiance.domain.errors import Broken, Unavailable

_LAST_LINES = 5
_POLL = 0.05

OnLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Completed:
    """What a tool did: its argument list, exit code, text and duration in seconds."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    duration: float


@dataclass(frozen=True, slots=True)
class ShellResult:
    """What a shell command did, without a word of what it printed.

    `exit_code` is None when the command was ended because its time was over.
    """

    exit_code: int | None
    stdout_bytes: int
    stderr_bytes: int
    duration: float

    @property
    def timed_out(self) -> bool:
        """Say whether the command was ended because its time was over."""
        return self.exit_code is None


@dataclass(frozen=True, slots=True)
class Process:
    """A process that goes on: its pid and the start time that tells it from a later owner of that pid."""

    argv: tuple[str, ...]
    pid: int
    start_time: str
    _popen: subprocess.Popen[bytes] = field(repr=False, compare=False)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self._popen.poll()

    def end(self, term_timeout: float = 10) -> int:
        """End the whole process group: TERM, and after `term_timeout` seconds KILL. Return the exit code."""
        deadline = clock.monotonic() + term_timeout
        _signal_group(self.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(term_timeout)
        # A shell in front of a server ends at once; the server behind it is given the same time.
        while _group_alive(self.pid) and clock.monotonic() < deadline:
            clock.sleep(_POLL)
        _signal_group(self.pid, signal.SIGKILL)
        return self._popen.wait()


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | str | None = None,
    timeout: float | None = None,
    check: bool = True,
    on_line: OnLine | None = None,
) -> Completed:
    """Run a tool to its end and return what it printed.

    Args:
        argv: The tool and its arguments; never a shell string.
        cwd: Where it runs.
        env: Variables added to our own environment.
        stdin: What it reads; nothing by default.
        timeout: Seconds after which its whole process group is killed.
        check: Raise when the exit code is not 0.
        on_line: Called with each line of the error output as it comes; for progress.

    Raises:
        Unavailable: The tool is missing (`TOOL_MISSING`) or did not end in time (`TOOL_TIMEOUT`).
        Broken: The tool failed (`TOOL_FAILED`) and `check` is set.
    """
    started = clock.monotonic()
    feed = stdin.encode() if isinstance(stdin, str) else stdin
    pipe_in = subprocess.DEVNULL if feed is None else subprocess.PIPE
    popen = _start(argv, cwd=cwd, env=env, stdin=pipe_in, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with _killed_on_error(popen):
        stdout, stderr = _collect(popen, feed, timeout, on_line)
    done = Completed(tuple(argv), popen.returncode, _text(stdout), _text(stderr), clock.monotonic() - started)
    if check and done.exit_code != 0:
        raise _failed(done)
    return done


def run_shell(
    command: str,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    output: Path | None = None,
    on_line: OnLine | None = None,
) -> ShellResult:
    """Run a command line of the contract in a shell, and count what it prints instead of keeping it.

    Whatever the command left running in its process group is ended too, also on a timeout and on Ctrl-C.

    Args:
        command: The command line, for `/bin/sh -c`.
        cwd: Where it runs.
        env: Variables added to our own environment.
        timeout: Seconds after which the process group is killed.
        output: A file that receives all output, for a person to read.
        on_line: Called with each line as it comes, from another thread.
    """
    started = clock.monotonic()
    argv = ("/bin/sh", "-c", command)
    popen = _start(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with _killed_on_error(popen), _sink(output) as sink:
        counters = [_Counter(stream, sink, on_line) for stream in (popen.stdout, popen.stderr) if stream]
        exit_code: int | None = None
        with suppress(subprocess.TimeoutExpired):
            exit_code = popen.wait(timeout)
        _signal_group(popen.pid, signal.SIGKILL)
        popen.wait()
        out, err = (counter.total() for counter in counters)
    return ShellResult(exit_code, out, err, clock.monotonic() - started)


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: Path | None = None,
    stderr: Path | None = None,
    new_session: bool = True,
) -> Process:
    """Start a process that goes on after this call, and after this program.

    Args:
        argv: The tool and its arguments.
        cwd: Where it runs.
        env: Variables added to our own environment.
        stdout: File that its output is appended to; dropped by default.
        stderr: File that its error output is appended to; `stdout` by default.
        new_session: Give it a process group of its own, so that Ctrl-C here does not reach it.

    Raises:
        Unavailable: The tool is missing (`TOOL_MISSING`).
    """
    with _sink(stdout) as out, _sink(stderr) as err:
        popen = _start(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out or subprocess.DEVNULL,
            stderr=err or (subprocess.STDOUT if out else subprocess.DEVNULL),
            new_session=new_session,
        )
    return Process(tuple(argv), popen.pid, start_time(popen.pid) or "", popen)


def alive(pid: int, started: str) -> bool:
    """Say whether the process of this pid still runs and is the one that started then."""
    return started != "" and start_time(pid) == started


def end(pid: int, started: str, term_timeout: float = 10) -> None:
    """End a process that an earlier program spawned, with its group, if it still is the same one."""
    if not alive(pid, started):
        return
    _signal_group(pid, signal.SIGTERM)
    deadline = clock.monotonic() + term_timeout
    while alive(pid, started) and clock.monotonic() < deadline:
        clock.sleep(_POLL)
    if alive(pid, started):
        _signal_group(pid, signal.SIGKILL)
        while alive(pid, started):
            clock.sleep(_POLL)


def start_time(pid: int) -> str | None:
    """Return when a process started, as its system tells it; None if there is none, or only its remains."""
    if Path("/proc/self/stat").exists():
        return _start_time_linux(pid)
    answer = run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if answer.exit_code != 0 or state.startswith("Z") else started.strip()


def _start_time_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, second field, may hold spaces and brackets; the fields after its last bracket do not.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _start(
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    new_session: bool = True,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=new_session,
        )
    except (FileNotFoundError, PermissionError) as error:
        if cwd is not None and not cwd.is_dir():
            raise Unavailable("FOLDER_MISSING", f"There is no folder {cwd} to run {argv[0]} in.") from error
        message = f"The program {argv[0]} cannot be started: {error.strerror}."
        raise Unavailable("TOOL_MISSING", message, "Install it, or put it on PATH.") from error


def _collect(
    popen: subprocess.Popen[bytes], feed: bytes | None, timeout: float | None, on_line: OnLine | None
) -> tuple[bytes, bytes]:
    lines: list[bytes] = []
    reader: threading.Thread | None = None
    if on_line is not None and popen.stderr is not None:
        reader = threading.Thread(target=_forward, args=(popen.stderr, lines, on_line), daemon=True)
        popen.stderr = None  # communicate() must leave it to the thread
        reader.start()
    try:
        stdout, stderr = popen.communicate(feed, timeout)
    except subprocess.TimeoutExpired as error:
        name = popen.args[0] if isinstance(popen.args, list) else "The program"
        message = f"{name} gave no answer within {timeout:g} s and was ended."
        raise Unavailable("TOOL_TIMEOUT", message, "Try again, or allow more time.") from error
    if reader is not None:
        reader.join()
    return stdout, stderr or b"".join(lines)


def _forward(stream: IO[bytes], lines: list[bytes], on_line: OnLine) -> None:
    with stream:
        for line in stream:
            lines.append(line)
            on_line(_text(line).rstrip("\n"))


class _Counter:
    """Read a stream to its end in a thread, counting bytes."""

    def __init__(self, stream: IO[bytes], sink: IO[bytes] | None, on_line: OnLine | None) -> None:
        self._bytes = 0
        self._thread = threading.Thread(target=self._read, args=(stream, sink, on_line), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes], sink: IO[bytes] | None, on_line: OnLine | None) -> None:
        with stream:
            for line in stream:
                self._bytes += len(line)
                if sink is not None:
                    sink.write(line)
                if on_line is not None:
                    on_line(_text(line).rstrip("\n"))

    def total(self) -> int:
        self._thread.join()
        return self._bytes


@contextmanager
def _killed_on_error(popen: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave nothing behind on a timeout, a Ctrl-C or a bug."""
    try:
        yield
    except BaseException:
        _signal_group(popen.pid, signal.SIGKILL)
        popen.wait()
        raise


@contextmanager
def _sink(path: Path | None) -> Iterator[IO[bytes] | None]:
    if path is None:
        yield None
        return
    with path.open("ab") as file:
        yield file


def _signal_group(pid: int, what: signal.Signals) -> None:
    """Signal the group that `pid` leads; that there is none left is what we want in the end."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) != pid:
            os.kill(pid, what)
            return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, what)


def _group_alive(pid: int) -> bool:
    with suppress(PermissionError):  # somebody is there
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return False
    return True


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _failed(done: Completed) -> Broken:
    said = done.stderr.strip() or done.stdout.strip()
    last = "\n  ".join(said.splitlines()[-_LAST_LINES:])
    return Broken("TOOL_FAILED", f"{done.argv[0]} ended with exit code {done.exit_code}.\n  {last}")
