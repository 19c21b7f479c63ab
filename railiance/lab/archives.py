"""Reading images that others saved: OCI layouts, and the archives of `docker save`, plain or compressed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from railiance.domain.errors import Usage
from railiance.lab.registry import ImageRef, Registry

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class _Source(Protocol):
    """The files of an archive or a folder."""

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if there is no such file."""
        ...


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, name: str) -> bytes | None:
        path = (self._root / name).resolve()
        inside = path.is_relative_to(self._root.resolve())
        return path.read_bytes() if inside and path.is_file() else None


class _Archive:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def read(self, name: str) -> bytes | None:
        try:
            file = self._archive.extractfile(name)  # follows links inside of the archive
        except KeyError:
            return None
        return file.read() if file else None


def load(registry: Registry, path: Path, image_name: str | None) -> list[ImageRef]:
    """Put every image of an archive or a layout into a registry and return each by its digest.

    Raises:
        Usage: It is no image, has no name and none is given, or is incomplete (`IMAGE_UNREADABLE`).
    """
    with _opened(path) as source:
        if (raw := source.read("index.json")) is not None:
            return _load_layout(registry, source, json.loads(raw), path, image_name)
        if (raw := source.read("manifest.json")) is not None:
            return _load_docker(registry, source, json.loads(raw), path, image_name)
    raise _unreadable(path, "it holds neither index.json (OCI layout) nor manifest.json (docker save)")


def short_name(reference: str) -> tuple[str, str]:
    """Return path and tag of an image name, without the registry it came from.

    `docker.io/library/nginx:1` and `localhost:5000/nginx:1` are both kept as `nginx`, `1`.
    """
    rest = reference.partition("@")[0]
    first, slash, tail = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        rest = tail
    path, _, tag = rest.partition(":")
    return path.removeprefix("library/"), tag or "latest"


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    if path.is_dir():
        yield _Folder(path)
        return
    try:
        with tarfile.open(path) as archive:
            yield _Archive(archive)
    except (OSError, tarfile.TarError) as error:
        raise _unreadable(path, str(error)) from error


def _load_layout(
    registry: Registry, source: _Source, index: dict[str, Any], path: Path, image_name: str | None
) -> list[ImageRef]:
    loaded = []
    entries = index.get("manifests", [])
    for entry in entries:
        notes = entry.get("annotations", {})
        name = image_name or next((notes[key] for key in _NAMES if key in notes), None)
        if name is None:
            raise _unreadable(path, "the image has no name; give one with --name")
        repository, tag = short_name(name)
        loaded.append(_push_tree(registry, source, entry, path, repository, tag))
    return loaded


def _push_tree(
    registry: Registry, source: _Source, entry: dict[str, Any], path: Path, repository: str, tag: str
) -> ImageRef:
    """Push a manifest after all that it refers to; of an index, the platforms that the archive has."""
    raw = _blob(source, entry["digest"], path)
    document = json.loads(raw)
    media_type = document.get("mediaType") or entry["mediaType"]
    if media_type in _INDEXES:
        children = [
            child for child in document["manifests"] if source.read(_blob_path(child["digest"])) is not None
        ]
        pushed = [
            _push_tree(registry, source, child, path, repository, child["digest"]) for child in children
        ]
        if len(pushed) < len(document["manifests"]):  # the registry refuses an index with parts missing
            return _push_single(registry, source, children, path, repository, tag)
    else:
        for blob in [document["config"], *document["layers"]]:
            registry.push_blob(repository, _blob(source, blob["digest"], path))
    return registry.push_manifest(repository, raw, media_type, tag)


def _push_single(
    registry: Registry, source: _Source, children: list[dict[str, Any]], path: Path, repository: str, tag: str
) -> ImageRef:
    images = [child for child in children if child.get("platform", {}).get("architecture") != "unknown"]
    if len(images) != 1:
        raise _unreadable(
            path, f"it holds {len(images)} of the platforms that its index names; save one, or all"
        )
    return _push_tree(registry, source, images[0], path, repository, tag)


def _load_docker(
    registry: Registry, source: _Source, listed: list[dict[str, Any]], path: Path, image_name: str | None
) -> list[ImageRef]:
    loaded = []
    for entry in listed:
        name = image_name or next(iter(entry.get("RepoTags") or []), None)
        config, layers = source.read(entry["Config"]), [source.read(layer) for layer in entry["Layers"]]
        if name is None:
            raise _unreadable(path, "the image has no name; give one with --name")
        if config is None or None in layers:
            raise _unreadable(path, "the configuration or a layer is missing")
        repository, tag = short_name(name)
        present = [layer for layer in layers if layer is not None]
        loaded.append(registry.push_image(repository, tag, json.loads(config), present))
    return loaded


def _blob(source: _Source, digest: str, path: Path) -> bytes:
    data = source.read(_blob_path(digest))
    if data is None:
        raise _unreadable(path, f"it lacks {digest}")
    return data


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _unreadable(path: Path, why: str) -> Usage:
    help_ = "Save it again, with `docker save` or as an OCI layout."
    return Usage("IMAGE_UNREADABLE", f"{path} cannot be read as an image: {why}.", help_)
