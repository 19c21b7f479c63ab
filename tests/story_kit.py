"""A small world for stories: one app, its users and its target, all in memory, and one journal of what was done.

The journal holds what a person at the target would notice, in order: what Helm did, where the users were
sent, and what the ledger got. Ledger lines are indented, so that the effects stand out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from railiance.adapters.lease_record import YIELD_ANNOTATION
from railiance.adapters.workspace import write_result
from railiance.domain.candidate import Candidate, FileDigest, Image
from railiance.domain.lifecycle import Standing
from railiance.domain.manifests import RouteSpec, backends_of
from railiance.domain.ports import ObjectRef
from railiance.domain.result_parts import AppInfo, RunInfo, SourceInfo, TargetInfo, ToolInfo
from railiance.domain.results import RunResult, candidate_info
from railiance.domain.verdict import Verdict
from railiance.engine.planning import STABLE, plan_promotion, stage_source
from railiance.engine.promotion import keep_known_good
from railiance.engine.release import apply_release
from railiance.engine.traffic import set_weight
from railiance.engine.work import Hands, Work
from railiance_schema import load_contract
from tests.fakes import FakeClock, FakeCluster, FakeControllers, FakeGateway, FakeReleases
from tests.story_hands import (
    SPACE,
    Answers,
    HeldLock,
    Killed,
    ToldLedger,
    ToldRoutes,
    digest_of_image,
    render,
    version_of,
)

__all__ = ["HeldLock", "Killed", "World"]

CONTRACT = """
schema_version = "railiance.app.v1"
app = {{ id = "web", name = "Web", repo = "o/web", owner = "o", criticality = "{criticality}", description = "d" }}
source = {{ revision = "v1", artifact = "image", image = "registry.example/web" }}
rollback = {{ strategy = "known-good", verification = "look at it"{rollback} }}
traffic = {{ {traffic} }}
analysis = {{ {analysis} }}
bake = {{ duration = "{bake}" }}
{top}
[stages]
stage1 = {{ commands = ["true"] }}
stage2 = {{ namespace = "shop", release = "web-canary", timeout = "30s" }}
stage3 = {{ namespace = "shop", release = "web", timeout = "30s" }}
"""
WEIGHTED = (
    'mode = "weighted", host = "shop.example", drain = "5s", '
    'steps = [{ weight = 20, window = "30s" }, { weight = 50, window = "30s" }]'
)
ANALYSIS = 'earliest = "30s", interval = "5s", min_samples = 50, hold_for = "60s"'


class World:
    """One app called `web` in namespace `shop`, with 200 requests a second as long as it has a route.

    Args:
        folder: An empty folder, which becomes the app's.
        criticality: The app's.
        traffic: The contract's `[traffic]`, inside of the braces.
        analysis: The contract's `[analysis]`, inside of the braces.
        bake: How long the bake lasts.
        rollback: More of the contract's `[rollback]`, with a comma before it.
        top: More of the contract.

    Attributes:
        journal: What was done, in order.
        unserved: Moments at which users were sent to a track without a ready pod; empty in a good story.
        failing: (track, version) to the share of its requests that fail.
        never_ready: (track, version) whose pods never become ready.
        names: Digest of a candidate to its version.
        spec: The route as it was written last.
    """

    rate = 200

    def __init__(
        self,
        folder: Path,
        *,
        criticality: str = "low",
        traffic: str = WEIGHTED,
        analysis: str = ANALYSIS,
        bake: str = "30s",
        rollback: str = "",
        top: str = "",
    ) -> None:
        self.folder = folder
        self.journal: list[str] = []
        self.unserved: list[str] = []
        self.failing: dict[tuple[str, str], float] = {}
        self.never_ready: set[tuple[str, str]] = set()
        self.names: dict[str, str] = {}
        self.spec: RouteSpec | None = None
        self.clock = FakeClock()
        self.cluster = FakeCluster(clock=self.clock)
        self.cluster.answers = Answers()
        self.cluster.after_write.append(self._hold_back)
        self.controllers = FakeControllers(self.cluster)
        self.cluster.after_write.append(self._look_after_users)
        self.cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        self.gateway = FakeGateway(self.clock)
        self.gateway.on_read = self._send_requests
        self.releases = FakeReleases(self.cluster, render, self.journal)
        text = CONTRACT.format(
            criticality=criticality,
            traffic=traffic,
            analysis=analysis,
            bake=bake,
            rollback=rollback,
            top=top,
        )
        self.contract = load_contract(text, env={})
        self.hands = Hands(
            cluster=self.cluster,
            releases=self.releases,
            gateway=self.gateway,
            routes=ToldRoutes(self),
            ledger=ToldLedger(self),
            clock=self.clock,
        )
        self._runs = 0
        self._sent_at = 0.0
        self._owed: dict[str, float] = {}
        self._errors_owed: dict[str, float] = {}
        self.version("v1")

    # ----- the repository

    def version(self, version: str, *, tested: bool = True) -> Candidate:
        """Write the repository at a version; `tested` leaves a Stage 1 result that passed."""
        chart = self.folder / "charts" / "web"
        chart.mkdir(parents=True, exist_ok=True)
        (chart / "Chart.yaml").write_text(f"name: web\nversion: 1.0.0\nappVersion: {version}\n")
        (self.folder / "values").mkdir(exist_ok=True)
        for name in ("stage1", "stage2-canary", "stage3-production"):
            (self.folder / "values" / f"{name}.yaml").write_text(f"greeting: {name} of {version}\n")
        self.candidate = Candidate(
            app_id="web",
            source_revision=version,
            resolved=hashlib.sha1(version.encode()).hexdigest(),
            mutable=False,
            dirty=False,
            images=(Image("registry.example/web", digest_of_image(version)),),
            chart=FileDigest("charts/web", f"sha256:{version}"),
            values=(),
            contract_digest=self.contract.digest,
            upstream_digest=None,
        )
        self.names[self.candidate.digest] = version
        if tested:
            self.stage1("PASS")
        return self.candidate

    def stage1(self, verdict: str) -> None:
        """Leave the result of a Stage 1 run of the present candidate in the folder."""
        app, source, now = self.contract.app, self.contract.source, self.clock.now()
        document = RunResult(
            status="completed",
            verdict=Verdict(verdict),
            exit_status=0,
            started_at=now,
            finished_at=now,
            duration_ms=0,
            tool=ToolInfo(version="0"),
            run=RunInfo(id="stage1-run"),
            contract_path="railiance/app.toml",
            contract_digest=self.contract.digest,
            app_dir=".",
            app=AppInfo(
                id=app.id, name=app.name, repo=app.repo, owner=app.owner, criticality=str(app.criticality)
            ),
            source=SourceInfo(
                revision=self.candidate.source_revision,
                resolved=self.candidate.resolved,
                mutable=False,
                dirty=False,
                artifact=str(source.artifact),
                digest=None,
            ),
            candidate=candidate_info(self.candidate),
            target=TargetInfo(environment="local"),
        )
        write_result(self.folder, document)

    # ----- runs

    def next_run_id(self) -> str:
        """Return a name that no run has yet."""
        self._runs += 1
        return f"run-{self._runs:08d}"

    def work(self, run_id: str | None = None, requester: str = "dana") -> Work:
        """Return a new run's view of the app as it is now."""
        return Work(
            self.folder,
            self.contract,
            self.candidate,
            lambda: self.hands,
            clock=self.clock,
            run_id=run_id or self.next_run_id(),
            requester=requester,
        )

    def standing(self) -> Standing:
        """Return where the app stands, as the ledger has it."""
        return self.work().standing()

    def serve(self, version: str) -> None:
        """Have a version serve all users, recorded as known-good, and forget how it came to be."""
        self.version(version)
        work, lock = self.work(), HeldLock()
        plan = plan_promotion(work, work.standing()).plan
        assert plan is not None
        release = plan.release(STABLE)
        source = stage_source(work, "stage3", STABLE, plan.baseline)
        applied = apply_release(work, plan, release, source, lock, phase="upgrading")
        keep_known_good(work, plan, applied)
        set_weight(work, 0, lock, header=False)
        self.journal.clear()

    def ask_for_lock(self, run_id: str) -> None:
        """Do what a rollback of that run does first: ask the holder to give up the lock."""
        ref = ObjectRef("coordination.k8s.io/v1", "Lease", SPACE, "railiance-web")
        lease = self.cluster.get(ref)
        assert lease is not None
        annotations = {**(lease["metadata"].get("annotations") or {}), YIELD_ANNOTATION: run_id}
        self.cluster.replace({**lease, "metadata": {**lease["metadata"], "annotations": annotations}})

    def kill(self) -> None:
        """End the process that is at work, with nothing cleaned up."""
        self.cluster.down = True
        raise Killed

    @contextmanager
    def killed(self, seconds: float) -> Iterator[None]:
        """Kill what the block runs after so many seconds; a minute later the machine is back."""
        self.clock.after(seconds, self.kill)
        try:
            yield
        except Killed:
            self.cluster.down = False
            self.clock.sleep(60)
        else:
            raise AssertionError("the block ended before it was killed")

    # ----- what can be seen

    def weight(self) -> int | None:
        """Return the percent of users on the canary as the route was written last; None without a route."""
        return None if self.spec is None else self.spec.weight

    def serving(self, track: str = "stable") -> str | None:
        """Return the version that a track's Deployment runs; None without one."""
        name = "web" if track == "stable" else "web-canary"
        for deployment in self.cluster.objects("Deployment"):
            if deployment["metadata"]["name"] == name:
                return version_of(deployment)
        return None

    def endpoints(self, track: str) -> int:
        """Return how many ready addresses a track has."""
        name = "web" if track == "stable" else "web-canary"
        return sum(
            bool(endpoint["conditions"]["ready"])
            for piece in self.cluster.objects("EndpointSlice")
            if piece["metadata"]["labels"]["kubernetes.io/service-name"] == name
            for endpoint in piece["endpoints"]
        )

    # ----- what goes on by itself

    def _hold_back(self) -> None:
        """Keep the pods of versions that never become ready from it."""
        self.controllers.never_ready = {
            name
            for track, name in (("stable", "web"), ("canary", "web-canary"))
            if (track, self.serving(track) or "") in self.never_ready
        }

    def _look_after_users(self) -> None:
        for track, share in self._shares().items():
            if share and not self.endpoints(track):
                self.unserved.append(f"{share} % of the users are sent to {track}, which has no ready pod")

    def _shares(self) -> dict[str, int]:
        if self.spec is None:
            return {}
        tracks = {self.spec.stable_service: "stable", self.spec.canary_service: "canary"}
        return {tracks[service]: share for service, share in backends_of(self.spec)}

    def _send_requests(self) -> None:
        """Let the users have asked since the last look, evenly, and the versions have failed as they do."""
        seconds, self._sent_at = self.clock.monotonic() - self._sent_at, self.clock.monotonic()
        for track, share in self._shares().items():
            owed = self._owed.get(track, 0.0) + seconds * self.rate * share / 100
            bad = self.failing.get((track, self.serving(track) or ""), 0.0)
            errors = self._errors_owed.get(track, 0.0) + int(owed) * bad
            self.gateway.serve(track, int(owed), errors=int(errors))
            self._owed[track], self._errors_owed[track] = owed - int(owed), errors - int(errors)
