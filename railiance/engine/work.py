"""One run's view: the app, its candidate, and the hands that reach its target."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from railiance.adapters import git
from railiance.adapters.clock import SystemClock
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.gateway import TraefikGateway, service_names
from railiance.adapters.helm import HelmCli
from railiance.adapters.ledger import ClusterLedger
from railiance.adapters.prometheus import Prometheus, PrometheusGateway
from railiance.adapters.routes import Routes
from railiance.adapters.workspace import read_candidate, read_contract
from railiance.domain.candidate import Candidate
from railiance.domain.errors import Usage
from railiance.domain.lifecycle import Standing, derive
from railiance.domain.ports import Clock, Cluster, Gateway, Ledger, Metrics, Releases
from railiance_schema import Contract, Stage
from railiance_schema.rollout import Traffic

DEFAULT_ACCESS = "default"
KUBECONFIG_PREFIX = "kubeconfig:"
PROMETHEUS_VARIABLE = "RAILIANCE_PROMETHEUS_URL"


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster: a kubeconfig and a context in it; None means the usual places."""

    kubeconfig: Path | None = None
    context: str | None = None

    @classmethod
    def parse(cls, name: str) -> Access:
        """Return the access that a `cluster` parameter spells.

        Args:
            name: `default`, or `kubeconfig:PATH` with an optional `#CONTEXT`.

        Raises:
            Usage: The name is of neither form (a saved block's name is resolved before it gets here).
        """
        if name.startswith(KUBECONFIG_PREFIX):
            path, _, context = name.removeprefix(KUBECONFIG_PREFIX).partition("#")
            return cls(Path(path), context or None)
        if name != DEFAULT_ACCESS:
            raise Usage(
                "UNKNOWN_CLUSTER",
                f"there is no cluster access named {name!r}",
                "save a ClusterAccess block of that name in Prefect, or set KUBECONFIG",
            )
        for variable in ("RAILIANCE_KUBECONFIG", "KUBECONFIG"):
            if path := os.environ.get(variable, "").split(os.pathsep)[0]:
                return cls(Path(path), os.environ.get("RAILIANCE_CONTEXT"))
        return cls(None, os.environ.get("RAILIANCE_CONTEXT"))

    def spelled(self) -> str:
        """Return the `cluster` parameter that means this access, for a worker with another environment."""
        if self.kubeconfig is None:
            return DEFAULT_ACCESS
        return f"{KUBECONFIG_PREFIX}{self.kubeconfig.resolve()}" + (
            f"#{self.context}" if self.context else ""
        )


@dataclass(frozen=True, slots=True)
class Hands:
    """Everything a run may touch, behind the ports of the domain."""

    cluster: Cluster
    releases: Releases
    gateway: Gateway
    routes: Routes
    ledger: Ledger
    clock: Clock
    metrics: Metrics | None = None


class Work:
    """One run's view of an app and its target; an ordinary class, so that Prefect hands it on untouched.

    Attributes:
        app_dir: Folder of the repository.
        contract: Its contract.
        candidate: What the folder holds now.
        clock: Time.
        run_id: Name of this run, in every event and result.
        requester: Who asked for it.
        executor: Who executes it.
        access: How the cluster is reached, as text.
    """

    def __init__(
        self,
        app_dir: Path,
        contract: Contract,
        candidate: Candidate,
        hands: Callable[[], Hands],
        *,
        clock: Clock,
        run_id: str,
        requester: str,
        access: str = DEFAULT_ACCESS,
    ) -> None:
        self.app_dir = app_dir
        self.contract = contract
        self.candidate = candidate
        self.clock = clock
        self.run_id = run_id
        self.requester = requester
        self.executor = person(app_dir)
        self.access = access
        self.started_at = clock.now()
        self._connect = hands
        self._hands: Hands | None = None

    @property
    def hands(self) -> Hands:
        """Return the hands on the target, reached for on first use: rules that need no cluster come first."""
        if self._hands is None:
            self._hands = self._connect()
        return self._hands

    @property
    def app_id(self) -> str:
        """Return the app's id."""
        return self.contract.app.id

    @property
    def namespace(self) -> str:
        """Return the namespace of Stage 3, where ledger, lock and judge's state live."""
        return home_namespace(self.contract)

    def stage(self, name: str) -> Stage:
        """Return an enabled stage's table; a stage without one is a usage error (gates name it before)."""
        stage = self.contract.stage(name) and self.contract.interpolated(name, os.environ).stage(name)
        if stage is None or not stage.enabled:
            raise Usage(
                "DENY_STAGE_ORDER", f"the contract does not enable {name}", f"add a [stages.{name}] table"
            )
        return stage

    @property
    def traffic(self) -> Traffic:
        """Return the contract's table `[traffic]`, resolved for the stage whose users it speaks of."""
        name = "stage3" if self.contract.stage("stage3") else "stage2"
        return self.contract.interpolated(name, os.environ).traffic

    def standing(self) -> Standing:
        """Return where the app stands now, read anew from the ledger."""
        return derive(self.hands.ledger.events())

    def path(self, relative: str) -> Path:
        """Return a path of the app's folder."""
        return self.app_dir / relative


def home_namespace(contract: Contract) -> str:
    """Return the namespace that holds an app's ledger: that of Stage 3, else of Stage 2."""
    name = "stage3" if contract.stage("stage3") else "stage2"
    stage = contract.stage(name) and contract.interpolated(name, os.environ).stage(name)
    if stage is None:
        raise Usage(
            "DENY_STAGE_ORDER",
            "the contract enables neither stage2 nor stage3, so the app has no place in a cluster",
            "add a [stages.stage2] table to railiance/app.toml",
        )
    return stage.namespace


def person(app_dir: Path) -> str:
    """Return who acts on this machine: $RAILIANCE_ACTOR, else whom git would name, else the login name."""
    return os.environ.get("RAILIANCE_ACTOR") or git.person(app_dir)


def new_run_id() -> str:
    """Return a fresh name for a run."""
    return str(uuid.uuid4())


def connect(contract: Contract, access: Access, app_dir: Path, clock: Clock) -> Hands:
    """Return hands on a target.

    Raises:
        Unavailable: There is no kubeconfig (NO_CLUSTER).
    """
    cluster = KubeCluster.connect(access.kubeconfig, access.context)
    metrics = Prometheus(url) if (url := os.environ.get(PROMETHEUS_VARIABLE)) else None
    gateway: Gateway = TraefikGateway(cluster, clock)
    if metrics is not None and str(contract.analysis.source) == "prometheus":
        gateway = PrometheusGateway(metrics, clock, service_names)
    return Hands(
        cluster=cluster,
        releases=HelmCli(access.kubeconfig, access.context),
        gateway=gateway,
        routes=Routes(cluster),
        ledger=ClusterLedger(
            cluster,
            home_namespace(contract),
            contract.app.id,
            mirror=app_dir / ".railiance" / "ledger",
            clock=clock,
        ),
        clock=clock,
        metrics=metrics,
    )


def open_work(
    directory: str | Path,
    *,
    cluster: str = DEFAULT_ACCESS,
    digest: str | None = None,
    run_id: str | None = None,
    requester: str = "",
) -> Work:
    """Read an app's folder and return this run's view of it.

    Args:
        directory: The app's folder.
        cluster: Which cluster, see `Access.parse`.
        digest: Image digest that was not known when the contract was written.
        run_id: Name of the run, when it has one already.
        requester: Who asked; the executor when empty.

    Raises:
        ContractError: The contract is missing or wrong.
        RailianceError: The candidate cannot be read.
    """
    app_dir = Path(directory).resolve()
    contract = read_contract(app_dir)
    access = Access.parse(cluster)
    clock = SystemClock()
    return Work(
        app_dir,
        contract,
        read_candidate(app_dir, contract, digest),
        lambda: connect(contract, access, app_dir, clock),
        clock=clock,
        run_id=run_id or new_run_id(),
        requester=requester or person(app_dir),
        access=access.spelled(),
    )
