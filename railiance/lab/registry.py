"""Writing to an image registry through its HTTP interface (OCI distribution)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import requests

from railiance.domain.errors import Broken, Unavailable

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image by name and content: `repository` as `host:port/path`, `digest` as `sha256:...`."""

    repository: str
    digest: str

    def __str__(self) -> str:
        """Return the reference to put into a manifest."""
        return f"{self.repository}@{self.digest}"


def digest_of(data: bytes) -> str:
    """Return the digest under which a registry keeps these bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry without TLS and accounts, as the lab's is; `host` is `host:port`."""

    host: str

    def ready(self) -> bool:
        """Say whether it answers."""
        try:
            return requests.get(f"http://{self.host}/v2/", timeout=2).ok
        except requests.RequestException:
            return False  # it is not there yet, or no more: that is the answer

    def has_blob(self, path: str, digest: str) -> bool:
        """Say whether a repository holds these bytes already."""
        return self._call("HEAD", f"/v2/{path}/blobs/{digest}", allow=(404,)).ok

    def push_blob(self, path: str, data: bytes) -> str:
        """Put bytes into a repository, unless they are there, and return their digest."""
        digest = digest_of(data)
        if not self.has_blob(path, digest):
            place = self._call("POST", f"/v2/{path}/blobs/uploads/").headers["Location"]
            join = "&" if "?" in place else "?"
            url = place if place.startswith("http") else f"http://{self.host}{place}"
            headers = {"Content-Type": "application/octet-stream"}
            self._send("PUT", f"{url}{join}digest={digest}", data=data, headers=headers)
        return digest

    def push_manifest(self, path: str, manifest: bytes, media_type: str, tag: str) -> ImageRef:
        """Put a manifest whose blobs are there under a tag, and return the image by its digest."""
        headers = {"Content-Type": media_type}
        self._call("PUT", f"/v2/{path}/manifests/{tag}", data=manifest, headers=headers)
        return ImageRef(f"{self.host}/{path}", digest_of(manifest))

    def push_image(self, path: str, tag: str, config: dict[str, Any], layers: list[bytes]) -> ImageRef:
        """Put an image made of uncompressed layers under a tag, and return it by its digest.

        `config` is the image's configuration without its list of layers, which is filled in here.
        """
        filled = {**config, "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]}}
        raw = json.dumps(filled, sort_keys=True).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _entry("application/vnd.oci.image.config.v1+json", self.push_blob(path, raw), raw),
            "layers": [
                _entry("application/vnd.oci.image.layer.v1.tar", self.push_blob(path, layer), layer)
                for layer in layers
            ],
        }
        return self.push_manifest(path, json.dumps(manifest, sort_keys=True).encode(), MANIFEST, tag)

    def find(self, path: str, tag: str) -> ImageRef | None:
        """Return the image under a tag, or None if there is none."""
        answer = self._call("HEAD", f"/v2/{path}/manifests/{tag}", headers={"Accept": MANIFEST}, allow=(404,))
        if not answer.ok:
            return None
        return ImageRef(f"{self.host}/{path}", answer.headers["Docker-Content-Digest"])

    def _call(self, method: str, path: str, allow: tuple[int, ...] = (), **options: Any) -> requests.Response:
        return self._send(method, f"http://{self.host}{path}", allow=allow, **options)

    def _send(self, method: str, url: str, allow: tuple[int, ...] = (), **options: Any) -> requests.Response:
        try:
            answer = requests.request(method, url, timeout=_TIMEOUT, **options)
        except requests.RequestException as error:
            help_ = "Run `railiance lab up`, or name a registry that runs."
            raise Unavailable(
                "REGISTRY_UNREACHABLE", f"The registry {self.host} does not answer.", help_
            ) from error
        if not answer.ok and answer.status_code not in allow:
            message = (
                f"The registry {self.host} answered {answer.status_code} to {method}: {answer.text[:200]}"
            )
            raise Broken("REGISTRY_REFUSED", message, "Look into the registry's log.")
        return answer


def _entry(media_type: str, digest: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": len(data)}
