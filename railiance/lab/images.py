"""Container images made without a container engine: a tar of files, a configuration, a push."""

from __future__ import annotations

import io
import platform
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from railiance.lab import builds
from railiance.lab.node import PAUSE_IMAGE
from railiance.lab.registry import ImageRef, Registry

__all__ = ["Image", "ImageRef", "push"]

_USER = "65532"
_PASSWD = (
    f"root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:{_USER}:{_USER}:nonroot:/home/nonroot:/sbin/nologin\n"
)
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Image:
    """What goes into an image.

    Attributes:
        name: Repository and tag, without registry.
        files: Path in the image to a file of ours, or to its content.
        entrypoint: The program and its first arguments.
        env: Variables.
        user: User id, as text.
        folder: Working directory.
    """

    name: str
    files: Mapping[str, Path | bytes]
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = _USER
    folder: str = "/"

    def config(self) -> dict[str, Any]:
        """Return the image's configuration, without its list of layers."""
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/", **self.env}
        inner: dict[str, Any] = {
            "Env": [f"{name}={value}" for name, value in env.items()],
            "User": self.user,
            "WorkingDir": self.folder,
        }
        if self.entrypoint:
            inner["Entrypoint"] = list(self.entrypoint)
        return {"architecture": _architecture(), "os": "linux", "config": inner}


def push(registry: Registry, image: Image) -> ImageRef:
    """Put an image into a registry and return it by its digest."""
    path, _, tag = image.name.partition(":")
    return registry.push_image(path, tag, image.config(), [layer(image.files)])


def layer(files: Mapping[str, Path | bytes]) -> bytes:
    """Return a tar of the files, the same bytes for the same files: no times, no names of ours."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted({*_parents(files), "tmp"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        for name, source in sorted(files.items()):
            data = source.read_bytes() if isinstance(source, Path) else source
            entry = tarfile.TarInfo(name.lstrip("/"))
            entry.size = len(data)
            entry.mode = 0o755 if isinstance(source, Path) and source.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def demo_image(version: str) -> Image:
    """Return the demo application as an image; each version has a digest of its own."""
    binary = builds.DEMOAPP.folder / "demoapp"
    return Image(f"demoapp:{version}", {**_base(), "/demoapp": binary}, ("/demoapp",), {"VERSION": version})


def pause_image() -> Image:
    """Return the image that holds a pod's namespaces open."""
    return Image(PAUSE_IMAGE, {"/pause": builds.PAUSE.folder / "pause"}, ("/pause",))


def traefik_image() -> Image:
    """Return Traefik as an image."""
    binary = builds.TRAEFIK.folder / "traefik"
    name = f"railiance-lab/traefik:{builds.TRAEFIK.version}"
    return Image(name, {**_base(), "/traefik": binary}, ("/traefik",))


def coredns_image() -> Image:
    """Return CoreDNS as an image; it runs as root because it serves port 53."""
    binary = builds.COREDNS.folder / "coredns"
    name = f"railiance-lab/coredns:{builds.COREDNS.version}"
    return Image(name, {**_base(), "/coredns": binary}, ("/coredns",), user="0")


def podinfo_image() -> Image:
    """Return podinfo as an image, laid out as its own chart expects it."""
    folder, home = builds.PODINFO.folder, "/home/app"
    files: dict[str, Path | bytes] = {
        **_base(),
        f"{home}/podinfo": folder / "podinfo",
        "/usr/local/bin/podcli": folder / "podcli",
    }
    files |= {f"{home}/ui/{path.name}": path for path in (folder / "ui").iterdir()}
    return Image(f"podinfo:{builds.PODINFO.version}", files, ("./podinfo",), folder=home)


def _base() -> dict[str, Path | bytes]:
    files: dict[str, Path | bytes] = {
        "/etc/passwd": _PASSWD.encode(),
        "/etc/group": f"nonroot:x:{_USER}:\n".encode(),
    }
    if _AUTHORITIES.exists():
        files["/etc/ssl/certs/ca-certificates.crt"] = _AUTHORITIES
    return files


def _parents(files: Mapping[str, object]) -> Iterator[str]:
    for name in files:
        for parent in Path(name.lstrip("/")).parents:
            if str(parent) != ".":
                yield str(parent)


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
