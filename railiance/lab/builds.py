"""Building the lab's programs from their Go modules, once, into the cache.

No container engine and no image registry is needed: a Go toolchain and its module proxy are. A finished build
is moved to its place in one step, so an interrupted one leaves nothing half-done; what the compiler had
finished it keeps in its own cache, so the next try goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from railiance.adapters import process
from railiance.domain.errors import Unavailable
from railiance.lab import toolchain
from railiance.lab.layout import cache_root
from railiance.lab.progress import Report
from railiance.lab.state import locked

_SOURCES = Path(__file__).parent / "go"
_KUBERNETES = "1.34.4"  # the last minor version that accepts cgroup v1 without a switch
_KUBERNETES_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to build one set of programs.

    Attributes:
        name: Name of the build.
        version: Version of what is built.
        packages: Go packages of the programs, each named like the last part of its package.
        module: Go module that holds them; None for a folder of ours, `go/<name>`.
        files: Files of the module to take along, as (pattern, folder in the build).
        ldflags: Further flags for the linker.
    """

    name: str
    version: str
    packages: tuple[str, ...] = ()
    module: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    ldflags: str = ""

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the programs."""
        return tuple(self.name if package == "." else Path(package).name for package in self.packages)

    @property
    def folder(self) -> Path:
        """Where the build lies once it is done: another one for each change of recipe or sources."""
        digest = hashlib.sha256(repr(self).encode())
        if self.module is None:
            for path in sorted((_SOURCES / self.name).rglob("*.*")):
                digest.update(path.read_bytes())
        return cache_root() / "builds" / f"{self.name}-{self.version}-{digest.hexdigest()[:8]}"

    @property
    def done(self) -> bool:
        """Say whether the build is there."""
        return self.folder.is_dir()


KUBERNETES = Recipe(
    "kubernetes",
    _KUBERNETES,
    tuple(
        f"k8s.io/kubernetes/cmd/{tool}"
        for tool in (
            "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet"
        )
    ),
    ldflags=" ".join(
        f"-X {_KUBERNETES_VERSION}.{name}={value}"
        for name, value in (
            ("gitVersion", f"v{_KUBERNETES}"), ("gitMajor", "1"), ("gitMinor", "34"),
        )
    ),
)  # fmt: skip
HELM = Recipe(
    "helm",
    "3.22.0",
    ("./cmd/helm",),
    "helm.sh/helm/v3@v3.22.0",
    ldflags="-X helm.sh/helm/v3/internal/version.version=v3.22.0",
)
TRAEFIK = Recipe(
    "traefik",
    "3.5.4",
    ("./cmd/traefik",),
    "github.com/traefik/traefik/v3@v3.5.4",
    (("docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml", "crds"),),
    "-X github.com/traefik/traefik/v3/pkg/version.Version=3.5.4",
)
TRAEFIK_CRDS = Recipe("traefik-crds", "3.5.4", (), TRAEFIK.module, TRAEFIK.files)
COREDNS = Recipe("coredns", "1.15.0", (".",), "github.com/coredns/coredns@v1.15.0")
GATEWAY_API = Recipe(
    "gateway-api", "1.3.0", (), "sigs.k8s.io/gateway-api@v1.3.0", (("config/crd/standard/*.yaml", "crds"),)
)
PODINFO = Recipe(
    "podinfo",
    "6.9.2",
    ("./cmd/podinfo", "./cmd/podcli"),
    "github.com/stefanprodan/podinfo@v1.8.1-0.20250910200901-e86405a8674e",  # its tag is not a Go version
    (("ui/*", "ui"), ("charts/podinfo", "charts")),
)
PAUSE = Recipe("pause", "1", (".",))
DEMOAPP = Recipe("demoapp", "1", (".",))
AGENTS = Recipe("agents", "1", ("./cmd/provisioner", "./cmd/discoverer"))

NATIVE = (PAUSE, DEMOAPP, AGENTS, GATEWAY_API, KUBERNETES, HELM, TRAEFIK, COREDNS, PODINFO)


def ensure(recipe: Recipe, report: Report) -> Path:
    """Return the folder of a build, building it if it is not there.

    Raises:
        Conflict: Another program builds it right now (`LAB_BUSY`).
        Unavailable: There is no fitting Go toolchain (`GO_MISSING`), or a module cannot be had.
    """
    if not recipe.done:
        with locked(f"build-{recipe.name}", f"Another program is building {recipe.name}."):
            if not recipe.done:
                _build(recipe, report)
    _link_tools(recipe)
    return recipe.folder


def _build(recipe: Recipe, report: Report) -> None:
    with _scratch(recipe) as scratch:
        source = _SOURCES / recipe.name if recipe.module is None else _download(recipe.module)
        if recipe.packages:
            _compile(recipe, source, scratch, report)
        for pattern, folder in recipe.files:
            _take_along(source, pattern, scratch / folder)
        scratch.rename(recipe.folder)


@contextmanager
def _scratch(recipe: Recipe) -> Iterator[Path]:
    scratch = recipe.folder.with_name(f".{recipe.folder.name}.{os.getpid()}")
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _download(module: str) -> Path:
    answer = process.run(
        [toolchain.require(), "mod", "download", "-json", module], env=_environment(), check=False
    )
    found = json.loads(answer.stdout or "{}")
    if answer.exit_code != 0 or "Dir" not in found:
        why = found.get("Error") or answer.stderr.strip()
        message = f"The Go module {module} cannot be had: {why}"
        raise Unavailable(
            "GO_MODULE", message, "See whether the Go module proxy can be reached, then try again."
        )
    return Path(found["Dir"])


def _compile(recipe: Recipe, source: Path, scratch: Path, report: Report) -> None:
    go = toolchain.require()
    listed = process.run([go, "list", "-deps", *recipe.packages], cwd=source, env=_environment())
    total = len(listed.stdout.splitlines())
    seen = 0

    def count(_: str) -> None:
        nonlocal seen
        seen += 1
        report(min(seen / total, 1.0), f"{seen} of up to {total} packages")

    for package, tool in zip(recipe.packages, recipe.tools, strict=True):
        flags = ["-v", "-trimpath", "-ldflags", f"-s -w {recipe.ldflags}", "-o", str(scratch / tool)]
        process.run(["nice", go, "build", *flags, package], cwd=source, env=_environment(), on_line=count)


def _environment() -> dict[str, str]:
    return {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -buildvcs=false"}


def _take_along(source: Path, pattern: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for path in sorted(source.glob(pattern)):
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copy(path, folder)
    for path in folder.rglob("*"):
        path.chmod(
            0o755 if path.is_dir() else 0o644
        )  # the module cache is read-only, and a copy inherits that


def _link_tools(recipe: Recipe) -> None:
    bin_folder = cache_root() / "bin"
    bin_folder.mkdir(parents=True, exist_ok=True)
    for tool in recipe.tools:
        link, target = bin_folder / tool, recipe.folder / tool
        if not link.is_symlink() or link.readlink() != target:
            draft = bin_folder / f".{tool}.{os.getpid()}"
            draft.symlink_to(target)
            draft.replace(link)


def missing(recipes: tuple[Recipe, ...] = NATIVE) -> list[Recipe]:
    """Return the recipes that are not built yet."""
    return [recipe for recipe in recipes if not recipe.done]
