"""Reading images that others saved: OCI layouts, and the archives of `docker save`, plain or compressed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
            return _load_layout(_Loading(registry, source, path), json.loads(raw), image_name)
        if (raw := source.read("manifest.json")) is not None:
            return _load_docker(_Loading(registry, source, path), json.loads(raw), image_name)
    raise _unreadable(path, "it holds neither index.json (OCI layout) nor manifest.json (docker save)")


def short_name(reference: str) -> tuple[str, str]:
    """Return path and tag of an image name, without the registry it came from.

    `registry.example/library/nginx:1` and `localhost:5000/nginx:1` are both kept as `nginx`, `1`.
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


@dataclass(frozen=True, slots=True)
class _Loading:
    """One load: from where, to where."""

    registry: Registry
    source: _Source
    path: Path

    def blob(self, digest: str) -> bytes:
        data = self.source.read(_blob_path(digest))
        if data is None:
            raise _unreadable(self.path, f"it lacks {digest}")
        return data


def _load_layout(loading: _Loading, index: dict[str, Any], image_name: str | None) -> list[ImageRef]:
    loaded = []
    entries = index.get("manifests", [])
    for entry in entries:
        notes = entry.get("annotations", {})
        name = image_name or next((notes[key] for key in _NAMES if key in notes), None)
        if name is None:
            raise _unreadable(loading.path, "the image has no name; give one with --name")
        loaded.append(_push_tree(loading, entry, *short_name(name)))
    return loaded


def _push_tree(loading: _Loading, entry: dict[str, Any], repository: str, tag: str) -> ImageRef:
    """Push a manifest after all that it refers to; of an index, the platforms that the archive has."""
    raw = loading.blob(entry["digest"])
    document = json.loads(raw)
    media_type = document.get("mediaType") or entry["mediaType"]
    if media_type in _INDEXES:
        listed = document["manifests"]
        there = [child for child in listed if loading.source.read(_blob_path(child["digest"])) is not None]
        if len(there) < len(listed):  # the registry refuses an index with parts missing
            return _push_single(loading, there, repository, tag)
        for child in there:
            _push_tree(loading, child, repository, child["digest"])
    else:
        for blob in [document["config"], *document["layers"]]:
            loading.registry.push_blob(repository, loading.blob(blob["digest"]))
    return loading.registry.push_manifest(repository, raw, media_type, tag)


def _push_single(loading: _Loading, children: list[dict[str, Any]], repository: str, tag: str) -> ImageRef:
    images = [child for child in children if child.get("platform", {}).get("architecture") != "unknown"]
    if len(images) != 1:
        why = f"it holds {len(images)} of the platforms that its index names; save one, or all"
        raise _unreadable(loading.path, why)
    return _push_tree(loading, images[0], repository, tag)


def _load_docker(loading: _Loading, listed: list[dict[str, Any]], image_name: str | None) -> list[ImageRef]:
    source = loading.source
    loaded = []
    for entry in listed:
        name = image_name or next(iter(entry.get("RepoTags") or []), None)
        config, layers = source.read(entry["Config"]), [source.read(layer) for layer in entry["Layers"]]
        if name is None:
            raise _unreadable(loading.path, "the image has no name; give one with --name")
        if config is None or None in layers:
            raise _unreadable(loading.path, "the configuration or a layer is missing")
        repository, tag = short_name(name)
        present = [layer for layer in layers if layer is not None]
        loaded.append(loading.registry.push_image(repository, tag, json.loads(config), present))
    return loaded


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _unreadable(path: Path, why: str) -> Usage:
    help_ = "Save it again, with `docker save` or as an OCI layout."
    return Usage("IMAGE_UNREADABLE", f"{path} cannot be read as an image: {why}.", help_)
