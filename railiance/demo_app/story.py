"""The story that `make demo` plays: a first version, a good one, a bad one, and the way back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit

from railiance.adapters import clock
from railiance.demo_app import create
from railiance.demo_app.driver import RPS, Answer, Cli, Visit, command_line, visiting
from railiance.demo_app.load import Tally, look
from railiance.demo_app.screen import Row, Screen
from railiance_schema import Contract, format_duration, load_contract

APP = "greeter"
DEVELOPER, APPROVER = "dana", "omar"
FAIL_RATIO = "0.6"

_NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the story takes place.

    Attributes:
        folder: Where the app's repository is.
        ingress_url: Address of the gateway.
        images: Repository and digest of the image of each version.
        program: The application's program, for Stage 1 on this machine.
        local_port: Free port for it.
        env: Variables of the command line: the way into the cluster.
        provider: Kind of route, `traefik` or `gateway-api`.
        gateway: Parent Gateway of `gateway-api`.
    """

    folder: Path
    ingress_url: str
    images: Mapping[str, tuple[str, str]]
    program: Path
    local_port: int
    env: Mapping[str, str]
    provider: str = "traefik"
    gateway: str | None = None

    @property
    def host(self) -> str:
        """Return the host that users ask for."""
        return f"{APP}.localhost"

    def write(self, version: str, *, bad: bool = False) -> Path:
        """Write a version of the app's repository and return its folder.

        Args:
            version: One that there is an image of.
            bad: Give it a fault that only users meet: most answers are errors, while it looks healthy.
        """
        image, digest = self.images[version]
        create(
            self.folder / APP,
            image=image,
            digest=digest,
            host=self.host,
            app_id=APP,
            namespace=APP,
            serve=f"PORT={self.local_port} VERSION={version} {shlex.quote(str(self.program))}",
            local_url=f"http://127.0.0.1:{self.local_port}/readyz",
            provider=self.provider,
            gateway=self.gateway,
            env={"FAIL_RATIO": FAIL_RATIO} if bad else None,
        )
        return self.folder / APP


class NotAsToldError(Exception):
    """Something happened that the story does not tell."""


@dataclass(slots=True)
class Chapter:
    """One chapter while it is played: its users and what was expected of it."""

    title: str
    before: str
    started: float
    visit: Visit | None = None
    as_told: bool = True

    @property
    def tally(self) -> Tally:
        """Return what users saw; nothing if there were none."""
        return self.visit.tally if self.visit else Tally()


@dataclass(slots=True)
class Story:
    """Plays the chapters one after the other and keeps how each ended."""

    setting: Setting
    screen: Screen
    rows: list[Row] = field(default_factory=list)

    def play(self) -> bool:
        """Play all chapters; return whether everything happened as told. The first surprise ends it."""
        chapters = (self.first_install, self.good_version, self.bad_version, self.way_back)
        try:
            for chapter in chapters:
                chapter()
        except NotAsToldError:
            return False
        return True

    def first_install(self) -> None:
        """Tell how v1 comes to a place where nothing runs."""
        with self._chapter("v1: the first install", users=False) as chapter:
            self.setting.write("v1")
            self._say_short_values()
            self._stage1(chapter)
            answer = self._rail(DEVELOPER, "deploy", "--stage", "2", APP, "--apply")
            self._expect(chapter, "Stage 2 looks at the canary, with no user on it", _passed(answer))
            self._expect(
                chapter, f"Stage 3 makes it stable, as {APPROVER} said yes", _passed(self._promote())
            )
            self._expect_version(chapter, "v1")

    def good_version(self) -> None:
        """Tell how v2 reaches all users, 20 and 50 percent first."""
        with self._chapter("v2: a good version, while users are there", users=True) as chapter:
            self.setting.write("v2")
            self._stage1(chapter)
            answer = self._rail(DEVELOPER, "deploy", "--stage", "2", APP, "--apply")
            self._expect(
                chapter, "20 %, then 50 % of the users try it, and the verdict is PASS", _passed(answer)
            )
            self._expect(chapter, "some users have met v2 by now", chapter.tally.ok["v2"] > 0)
            self._expect(
                chapter, f"the promotion waited for {APPROVER}, and went on", _passed(self._promote())
            )
            self._expect_version(chapter, "v2")
        self._expect_users(chapter, faulty=False)

    def bad_version(self) -> None:
        """Tell how v3, which looks healthy and is not, is caught at Stage 2."""
        with self._chapter("v3: a bad version", users=True) as chapter:
            self.setting.write("v3", bad=True)
            percent = f"{float(FAIL_RATIO):.0%}"
            self.screen.say(
                f"v3 looks healthy to every probe, and answers {percent} of its users with an error."
            )
            self._stage1(chapter)
            answer = self._rail(DEVELOPER, "deploy", "--stage", "2", APP, "--apply")
            failed = answer.exit_code == 1 and _verdict(answer) == "FAIL"
            self._expect(chapter, "Stage 2 says FAIL and ends with exit code 1", failed)
            self._expect(chapter, "no traffic goes to the canary any more", self._status()["weight"] == 0)
            self._expect_version(chapter, "v2")
        tally = chapter.tally
        if tally.faulty_from is not None and tally.faulty_to is not None:
            lasted = tally.faulty_to - tally.faulty_from
            self.screen.say(f"  from the first bad answer to the last: {lasted:.1f} s")
        self._expect_users(chapter, faulty=True)

    def way_back(self) -> None:
        """Tell how one command brings v1 back."""
        with self._chapter("back to v1", users=True) as chapter:
            left = self._status()["serving"]["candidate"]
            self.screen.say("Somebody finds a fault in v2 that nothing measured. One command goes back:")
            reason = "the greeting of v2 is rude"
            answer = self._rail(DEVELOPER, "rollback", APP, "--apply", "--reason", reason)
            self._expect(chapter, "the rollback is done; v2's own approval covered it", _passed(answer))
            status = self._status()
            self._expect(
                chapter, "v2 is on hold: nothing brings it out again unasked", left in status["holds"]
            )
            self._expect_version(chapter, "v1")
        self._expect_users(chapter, faulty=False)

    @contextmanager
    def _chapter(self, title: str, *, users: bool) -> Iterator[Chapter]:
        self.screen.heading(title)
        chapter = Chapter(title, self._version(), clock.monotonic())
        try:
            if not users:
                yield chapter
                return
            with visiting(self.setting.ingress_url, self.setting.host) as visit:
                self.screen.say(f"Users send {RPS} requests a second through the gateway from now on.")
                chapter.visit = visit
                yield chapter
        except BaseException:  # also Ctrl-C: a chapter that was not told to its end is not as told
            chapter.as_told = False
            raise
        finally:
            self._close(chapter)

    def _close(self, chapter: Chapter) -> None:
        tally, after = chapter.tally, self._version()
        if chapter.visit:
            self._tell_users(tally)
        seconds = clock.monotonic() - chapter.started
        lost, faulty = tally.lost.total(), tally.faulty.total()
        row = Row(chapter.title, chapter.before, after, tally.sent, lost, faulty, seconds, chapter.as_told)
        self.rows.append(row)

    def _tell_users(self, tally: Tally) -> None:
        answers = ", ".join(f"{count} by {version}" for version, count in sorted(tally.ok.items()))
        self.screen.say(
            f"  users sent {tally.sent} requests; answered well: {answers or 'none'}; "
            f"errors of a bad version: {tally.faulty.total()}; lost: {tally.lost.total()}"
        )
        for at, what in tally.losses:
            self.screen.say(f"    lost at {at:.1f} s: {what}", "red")

    def _stage1(self, chapter: Chapter) -> None:
        answer = self._rail(DEVELOPER, "run", APP)
        self._expect(chapter, "Stage 1 passes on this machine", _passed(answer))

    def _rail(self, who: str, *arguments: str) -> Answer:
        self.screen.command(command_line(arguments), who)
        return self._cli.run(*arguments, actor=who, on_line=self.screen.quote)

    def _promote(self) -> Answer:
        self.screen.command(command_line(("promote", APP, "--apply", "--wait")), DEVELOPER)
        return self._cli.promote(
            APP,
            actor=DEVELOPER,
            approver=APPROVER,
            on_line=self.screen.quote,
            on_command=lambda line: self.screen.command(line, APPROVER),
        )

    def _status(self) -> dict[str, Any]:
        answer = self._cli.run("status", APP, "--json", actor=DEVELOPER)
        if answer.exit_code != 0 or answer.document is None:
            self.screen.say(answer.stderr)
            raise NotAsToldError
        return answer.document

    @property
    def _cli(self) -> Cli:
        return Cli(self.setting.folder, self.setting.env)

    def _version(self) -> str:
        version, _ = look(self.setting.ingress_url, self.setting.host)
        return version or _NOBODY

    def _expect(self, chapter: Chapter, what: str, good: bool) -> None:
        self.screen.outcome(what, good=good)
        if not good:
            chapter.as_told = False
            raise NotAsToldError

    def _expect_version(self, chapter: Chapter, version: str) -> None:
        found = self._version()
        self._expect(chapter, f"a user who looks now meets {found}", found == version)

    def _expect_users(self, chapter: Chapter, *, faulty: bool) -> None:
        """Expect of the users' tally, once it is complete, that nothing is missing in it."""
        tally = chapter.tally
        told = {
            "no request of a user was lost": not tally.lost,
            "every request that was sent is counted": tally.finished
            and tally.sent == tally.answered + tally.lost.total() > 0,
            "only the bad version answered with errors" if faulty else "no user met an error": set(
                tally.faulty
            )
            == ({"v3"} if faulty else set()),
        }
        for what, good in told.items():
            self.screen.outcome(what, good=good)
        if not all(told.values()):
            self.rows[-1] = _surprising(self.rows[-1])
            raise NotAsToldError

    def _say_short_values(self) -> None:
        text = (self.setting.folder / APP / "railiance" / "app.toml").read_text(encoding="utf-8")
        self.screen.say("So that the story takes minutes, the app's contract says less than the defaults:")
        for line in shorter_than_default(text):
            self.screen.say(f"  {line}")


def shorter_than_default(text: str) -> list[str]:
    """Return each value by which a contract shortens the watch, beside the product's default.

    Args:
        text: The contract, `railiance/app.toml`.
    """
    contract = load_contract(text)
    bare = tomlkit.parse(text)
    for table in ("analysis", "bake"):
        bare.pop(table, None)
    bare["traffic"].pop("drain", None)
    default = load_contract(tomlkit.dumps(bare))
    pairs = zip(_watch_values(contract).items(), _watch_values(default).values(), strict=True)
    return [f"{name} = {value} (default: {usual})" for (name, value), usual in pairs if value != usual]


def _watch_values(contract: Contract) -> dict[str, str]:
    analysis = contract.analysis
    return {
        "analysis.earliest": format_duration(analysis.earliest),
        "analysis.interval": format_duration(analysis.interval),
        "analysis.pass_rule": str(analysis.pass_rule),
        "bake.duration": format_duration(contract.bake.duration),
        "traffic.drain": format_duration(contract.traffic.drain),
    }


def _surprising(row: Row) -> Row:
    fields = (row.title, row.before, row.after, row.sent, row.lost, row.faulty, row.seconds)
    return Row(*fields, as_told=False)


def _verdict(answer: Answer) -> str | None:
    return (answer.document or {}).get("verdict")


def _passed(answer: Answer) -> bool:
    return answer.exit_code == 0 and _verdict(answer) == "PASS"
