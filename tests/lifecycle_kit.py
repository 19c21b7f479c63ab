"""A demo application of a test's own on the lab, the real command line beside it, and users that are counted."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from railiance.adapters import process
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.helm import HelmCli
from railiance.demo_app import create
from railiance.demo_app.driver import Answer, Cli, visiting
from railiance.demo_app.load import Tally, look
from railiance.domain.ports import ObjectRef
from railiance.lab import build_demo_image
from tests.real_cluster import TEST_LABEL

if TYPE_CHECKING:
    from railiance.lab import LabStatus

DEVELOPER, APPROVER = "dana", "omar"
GATEWAY = "kube-system/traefik-gateway"
STEPS = ((20, "6s"), (50, "6s"))
WATCH = "10s"


@dataclass(frozen=True)
class Told:
    """What happened in one scene: the command's answer, what users saw, and what they met before and after."""

    answer: Answer
    tally: Tally
    before: str | None
    after: str | None
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """Return the command's document; a command without one has a story to tell on stderr."""
        assert self.answer.document is not None, self.answer.stderr
        return self.answer.document


@dataclass(frozen=True)
class LifecycleApp:
    """An application of a test's own: id, namespace and host are the same fresh name."""

    name: str
    folder: Path
    cli: Cli
    lab: LabStatus
    cluster: KubeCluster
    helm: HelmCli
    provider: str = "traefik"

    @property
    def app_dir(self) -> Path:
        """Return the folder of the repository."""
        return self.folder / self.name

    @property
    def host(self) -> str:
        """Return the host that users ask for."""
        return f"{self.name}.localhost"

    def write(self, version: str, **changes: Any) -> None:
        """Write the repository at a version; `changes` are other arguments of `create`."""
        image = build_demo_image(version, name=self.lab.name)
        gateway = GATEWAY if self.provider == "gateway-api" else None
        arguments: dict[str, Any] = {
            "image": image.repository,
            "digest": image.digest,
            "host": self.host,
            "app_id": self.name,
            "namespace": self.name,
            "provider": self.provider,
            "gateway": gateway,
            "steps": STEPS,
            "watch": WATCH,
        }
        create(self.app_dir, **{**arguments, **changes})

    def edit(self, replacements: Mapping[str, Mapping[str, str]]) -> None:
        """Replace text in files of the repository, and move the newest version's tag to the result.

        Args:
            replacements: For each path, what becomes of which text; a text that is not there is an error.
        """
        for path, texts in replacements.items():
            place = self.app_dir / path
            content = place.read_text()
            for old, new in texts.items():
                assert old in content, f"{path} has no {old!r}"
                content = content.replace(old, new)
            place.write_text(content)
        git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid")
        tag = process.run([*git, "describe", "--tags", "--abbrev=0"], cwd=self.app_dir).stdout.strip()
        process.run([*git, "commit", "--quiet", "--all", "--message", "Edit"], cwd=self.app_dir)
        process.run([*git, "tag", "--force", tag], cwd=self.app_dir)

    def rail(self, *arguments: str, actor: str = DEVELOPER) -> Answer:
        """Run the command line."""
        return self.cli.run(*arguments, actor=actor)

    def must(self, *arguments: str) -> Answer:
        """Run a command line that has to succeed for the test to make sense."""
        answer = self.rail(*arguments)
        assert answer.exit_code == 0, answer.stderr
        return answer

    def deploy(self) -> Answer:
        """Take the repository's version through Stage 1, which must pass, and Stage 2."""
        self.must("run", self.name)
        return self.rail("deploy", "--stage", "2", self.name, "--apply")

    def deploy_under_load(self) -> Answer:
        """Take the repository's version through Stages 1 and 2, with users for it to be judged by."""
        with self.users():
            return self.deploy()

    def promote(self) -> Answer:
        """Promote; another person approves as soon as the promotion waits."""
        return self.cli.promote(self.name, actor=DEVELOPER, approver=APPROVER, on_line=lambda _line: None)

    def version(self) -> str | None:
        """Return the version that a user meets now."""
        return look(str(self.lab.ingress_url), self.host)[0]

    def status(self) -> dict[str, Any]:
        """Return where the application stands."""
        return self.must("status", self.name, "--json").document or {}

    def stable(self) -> tuple[int, str] | None:
        """Return helm_revision and manifest digest of the stable track as Helm has them; None without one."""
        state = self.helm.state(self.name, self.name)
        if state is None:
            return None
        manifest = self.helm.manifest(self.name, self.name)
        return state.helm_revision, hashlib.sha256(manifest.encode()).hexdigest()

    def take_over(self, version: str = "v1", **changes: Any) -> None:
        """Have a version serve that was installed by Helm alone, and adopt it: a stable without the wait."""
        self.write(version, **changes)
        self.install_and_adopt()

    def install_and_adopt(self) -> None:
        """Install what is written with Helm alone, adopt it, and wait until users meet it."""
        chart, values = self.app_dir / "charts" / self.name, self.app_dir / "values/stage3-production.yaml"
        self.helm.install(chart, self.name, self.name, [values], {})
        self.must("adopt", self.name)
        deadline = time.monotonic() + 120
        while self.version() is None:
            assert time.monotonic() < deadline, f"{self.host} serves nobody within 120 s"
            time.sleep(0.5)

    @contextmanager
    def users(self) -> Iterator[list[Tally]]:
        """Have 50 users a second while the block runs; the list holds their tally after it."""
        tallies: list[Tally] = []
        with visiting(str(self.lab.ingress_url), self.host) as visit:
            yield tallies
        tallies.append(visit.tally)


def scene(app: LifecycleApp, act: Any) -> Told:
    """Play one act under load and return what happened."""
    before = app.version()
    with app.users() as tallies:
        answer = act()
    return Told(answer, tallies[0], before, app.version(), app.status())


@contextmanager
def fresh_app(
    cluster: KubeCluster, kubeconfig: Path, lab: LabStatus, folder: Path, provider: str = "traefik"
) -> Iterator[LifecycleApp]:
    """Make a namespace and an application of its name, and ask for its deletion afterwards."""
    name = f"app-{uuid.uuid4().hex[:8]}"
    labels = dict(TEST_LABEL)
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    env = {"KUBECONFIG": str(kubeconfig)}
    try:
        yield LifecycleApp(name, folder, Cli(folder, env), lab, cluster, HelmCli(kubeconfig, None), provider)
    finally:
        cluster.delete(ObjectRef("v1", "Namespace", "", name))


def no_request_lost(tally: Tally) -> None:
    """Require that users were there, that every request is accounted for, and that each got an answer."""
    assert tally.finished
    assert tally.sent >= 100
    assert tally.sent == tally.answered + tally.lost.total()
    assert not tally.lost, tally.losses
