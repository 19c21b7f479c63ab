"""Images made of files, and images read from archives."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from railiance.domain.errors import Usage
from railiance.lab import archives, images
from railiance.lab.registry import ImageRef, Registry, digest_of

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class MemoryRegistry(Registry):
    """A registry that keeps what it gets, and refuses a manifest whose parts are missing, as a real one does."""

    def __init__(self) -> None:
        super().__init__("lab:5000")
        object.__setattr__(self, "blobs", {})
        object.__setattr__(self, "manifests", {})

    blobs: dict[str, bytes]
    manifests: dict[str, bytes]

    def push_blob(self, path: str, data: bytes) -> str:
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def push_manifest(self, path: str, manifest: bytes, media_type: str, tag: str) -> ImageRef:
        document = json.loads(manifest)
        for child in document.get("manifests", []):
            assert child["digest"] in self.manifests, "the registry would refuse this index"
        for blob in [document.get("config"), *document.get("layers", [])]:
            assert blob is None or blob["digest"] in self.blobs, "the registry would refuse this manifest"
        self.manifests[f"{path}:{tag}"] = self.manifests[digest_of(manifest)] = manifest
        return ImageRef(f"{self.host}/{path}", digest_of(manifest))


@pytest.fixture
def registry() -> MemoryRegistry:
    """Return an empty registry."""
    return MemoryRegistry()


def test_a_layer_is_the_same_bytes_for_the_same_files(tmp_path: Path) -> None:
    """No time, owner or order of ours gets into an image, so its digest tells its content."""
    program = tmp_path / "program"
    program.write_bytes(b"x")
    program.chmod(0o755)
    one = images.layer({"/bin/b": program, "/a": b"1"})
    other = images.layer({"/a": b"1", "/bin/b": program})
    assert one == other
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        modes = {entry.name: entry.mode for entry in archive}
        assert modes == {"bin": 0o755, "tmp": 0o1777, "a": 0o644, "bin/b": 0o755}
        assert {(entry.mtime, entry.uid, entry.uname) for entry in archive} == {(0, 0, "")}


def test_two_versions_of_one_program_are_two_images(registry: MemoryRegistry) -> None:
    """The version is part of the image, so that a digest names a version."""
    refs = [
        images.push(
            registry, images.Image(f"demoapp:{version}", {"/demoapp": b"same"}, env={"VERSION": version})
        )
        for version in ("v1", "v2", "v1")
    ]
    assert refs[0] != refs[1]
    assert refs[0] == refs[2]
    assert str(refs[0]).startswith("lab:5000/demoapp@sha256:")


def test_an_image_says_how_it_starts(registry: MemoryRegistry) -> None:
    """Entry point, variables, user and folder are in its configuration, and layers by digest."""
    image = images.Image("a:1", {"/a": b""}, ("/a", "-x"), {"K": "v"}, user="7", folder="/w")
    images.push(registry, image)
    manifest = json.loads(registry.manifests["a:1"])
    config = json.loads(registry.blobs[manifest["config"]["digest"]])
    assert config["config"]["Entrypoint"] == ["/a", "-x"]
    assert "K=v" in config["config"]["Env"]
    assert (config["config"]["User"], config["config"]["WorkingDir"]) == ("7", "/w")
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("nginx", ("nginx", "latest")),
        ("nginx:1", ("nginx", "1")),
        ("registry.example/library/nginx:1", ("nginx", "1")),
        ("localhost:5000/a/b:2", ("a/b", "2")),
        ("localhost/a:2", ("a", "2")),
        ("team/app:v3", ("team/app", "v3")),
        ("registry.example/team/app@sha256:0", ("team/app", "latest")),
    ],
)
def test_names_lose_the_registry_they_came_from(name: str, short: tuple[str, str]) -> None:
    """An image is kept under its own path in the lab's registry."""
    assert archives.short_name(name) == short


def test_an_archive_of_docker_save_is_loaded(registry: MemoryRegistry, tmp_path: Path) -> None:
    """Layers and configuration come over, under the name in the archive."""
    listed = [{"Config": "c.json", "RepoTags": ["team/app:v1"], "Layers": ["l/layer.tar"]}]
    files = {"manifest.json": json.dumps(listed), "c.json": '{"os": "linux"}', "l/layer.tar": "layer"}
    loaded = archives.load(registry, archive(tmp_path, files), None)
    assert [ref.repository for ref in loaded] == ["lab:5000/team/app"]
    assert "team/app:v1" in registry.manifests
    assert digest_of(b"layer") in registry.blobs


def test_an_oci_layout_keeps_its_digest(registry: MemoryRegistry, tmp_path: Path) -> None:
    """What was built elsewhere has the same digest here: the bytes of its manifest are not touched."""
    files, digest = layout()
    folder = tmp_path / "layout"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    assert archives.load(registry, folder, "app:v1") == [ImageRef("lab:5000/app", digest)]


def test_an_index_whose_other_platforms_are_missing_gives_the_one_that_is_there(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    """`docker save` keeps the index of all platforms and the bytes of one."""
    files, digest = layout()
    index = {
        "mediaType": INDEX,
        "manifests": [
            {"mediaType": MANIFEST, "digest": digest},
            {"mediaType": MANIFEST, "digest": "sha256:0"},
        ],
    }
    raw = json.dumps(index)
    files[blob_path(digest_of(raw.encode()))] = raw
    files["index.json"] = json.dumps({"manifests": [{"mediaType": INDEX, "digest": digest_of(raw.encode())}]})
    assert archives.load(registry, archive(tmp_path, files), "app:v1") == [ImageRef("lab:5000/app", digest)]


def test_a_whole_index_is_kept_whole(registry: MemoryRegistry, tmp_path: Path) -> None:
    """With all platforms there, the index itself is what the name stands for."""
    files, digest = layout()
    raw = json.dumps({"mediaType": INDEX, "manifests": [{"mediaType": MANIFEST, "digest": digest}]})
    files[blob_path(digest_of(raw.encode()))] = raw
    files["index.json"] = json.dumps({"manifests": [{"mediaType": INDEX, "digest": digest_of(raw.encode())}]})
    loaded = archives.load(registry, archive(tmp_path, files), "app:v1")
    assert loaded == [ImageRef("lab:5000/app", digest_of(raw.encode()))]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"hello": "x"}, "neither index.json"),
        ({"manifest.json": '[{"Config": "c", "RepoTags": null, "Layers": []}]', "c": "{}"}, "has no name"),
        ({"manifest.json": '[{"Config": "c", "RepoTags": ["a:1"], "Layers": ["gone"]}]', "c": "{}"}, "missing"),
        ({"index.json": '{"manifests": [{"digest": "sha256:0", "annotations": {}}]}'}, "has no name"),
        ({"index.json": json.dumps({"manifests": [
            {"digest": "sha256:0", "annotations": {"io.containerd.image.name": "a:1"}}]})}, "lacks sha256:0"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_refused_with_the_reason(
    files: dict[str, str], said: str, registry: MemoryRegistry, tmp_path: Path
) -> None:
    """The error names the file and what is wrong with it, and nothing is put into the registry."""
    with pytest.raises(Usage, match=said) as caught:
        archives.load(registry, archive(tmp_path, files), None)
    assert caught.value.code == "IMAGE_UNREADABLE"
    assert not registry.manifests


def test_a_file_that_is_no_archive_is_refused(registry: MemoryRegistry, tmp_path: Path) -> None:
    """Any other file is named as what it is not."""
    path = tmp_path / "note.txt"
    path.write_text("hello")
    with pytest.raises(Usage, match=r"note\.txt"):
        archives.load(registry, path, None)


def test_a_layout_cannot_reach_outside_of_its_folder(registry: MemoryRegistry, tmp_path: Path) -> None:
    """A digest that is a path upwards is not followed."""
    (tmp_path / "secret").write_text("{}")
    folder = tmp_path / "layout"
    folder.mkdir()
    (folder / "index.json").write_text('{"manifests": [{"digest": "../../secret"}]}')
    with pytest.raises(Usage, match="lacks"):
        archives.load(registry, folder, "a:1")


def archive(folder: Path, files: dict[str, str]) -> Path:
    """Return a tar archive of these files."""
    path = folder / "image.tar"
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return path


def layout() -> tuple[dict[str, str], str]:
    """Return the files of an OCI layout with one image, and its digest."""
    config, layer = '{"os": "linux"}', "layer"
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"digest": digest_of(config.encode())},
        "layers": [{"digest": digest_of(layer.encode())}],
    }
    raw = json.dumps(manifest)
    digest = digest_of(raw.encode())
    files = {blob_path(digest_of(text.encode())): text for text in (config, layer, raw)}
    files["index.json"] = json.dumps({"manifests": [{"mediaType": MANIFEST, "digest": digest}]})
    return files, digest


def blob_path(digest: str) -> str:
    """Return where a layout keeps these bytes."""
    return f"blobs/{digest.replace(':', '/')}"
