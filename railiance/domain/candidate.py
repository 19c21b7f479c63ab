"""The candidate: the exact thing that is promoted, named by one digest over everything that makes it up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from railiance.domain.canonical import digest_of, sha256_digest
from railiance.domain.errors import Conflict, Usage


@dataclass(frozen=True, slots=True)
class Image:
    """A container image: repository without tag, and its digest (`sha256:…`), None while not pinned."""

    name: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A file or a tree of the repository: path relative to the app directory, and its digest (`sha256:…`)."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """What goes through the stages; two candidates are the same exactly when their digests are equal.

    Attributes:
        app_id: `[app] id` of the contract.
        source_revision: `[source] revision` as the contract spells it.
        resolved: The commit that it means, or None if it could not be resolved.
        mutable: Whether the same spelling may mean another commit tomorrow (a branch).
        dirty: Whether the work tree holds changes that no commit has; such a candidate never leaves Stage 1.
        images: The images, by digest.
        chart: The chart's tree, or None if the app has none.
        values: Every values file of all three stages, so that the candidate is one in all of them.
        contract_digest: Digest of the contract's bytes.
        upstream_digest: Digest of the overlay's pins, or None for an app that is no overlay.
    """

    app_id: str
    source_revision: str
    resolved: str | None
    mutable: bool
    dirty: bool
    images: tuple[Image, ...]
    chart: FileDigest | None
    values: tuple[FileDigest, ...]
    contract_digest: str
    upstream_digest: str | None

    @property
    def digest(self) -> str:
        """Return the candidate's name: a digest over all that is deployed (not `mutable`, not `dirty`)."""
        return digest_of(
            {
                "app_id": self.app_id,
                "commit": self.resolved,
                "images": sorted([image.name, image.digest or ""] for image in self.images),
                "chart": self.chart and [self.chart.path, self.chart.digest],
                "values": sorted([file.path, file.digest] for file in self.values),
                "contract": self.contract_digest,
                "upstream": self.upstream_digest,
            }
        )

    @property
    def short(self) -> str:
        """Return the first 12 hexadecimal digits of the digest, for people and for labels."""
        return self.digest.removeprefix("sha256:")[:12]


def tree_digest(files: Mapping[str, bytes]) -> str:
    """Return the digest of a tree of files: sha256 over sorted lines `path NUL sha256 LF`.

    Args:
        files: Content by path, relative to the tree's root, with forward slashes.

    Returns:
        The digest (`sha256:…`). Owners, modes and times do not count, because packaging does not keep them.
    """
    lines = (
        path.encode() + b"\0" + sha256(files[path]).hexdigest().encode() + b"\n" for path in sorted(files)
    )
    return sha256_digest(b"".join(lines))


@dataclass(frozen=True, slots=True)
class Pins:
    """What an overlay's `upstream.toml` pins: the upstream's commit, and its images."""

    commit: str | None = None
    images: tuple[Image, ...] = field(default=())


def images_of(
    name: str | None, digests: Mapping[str, str | None], pinned: Sequence[Image]
) -> tuple[Image, ...]:
    """Return the images of a candidate, each with its one digest.

    Args:
        name: `[source] image`, or None if the contract names none.
        digests: Digest of that image by the place that may give it (`--digest`), None where it is silent.
        pinned: Images pinned by an overlay.

    Returns:
        The images, that of the contract first.

    Raises:
        Conflict: Two places give the same image different digests (`DIGEST_DIFFERS`).
        Usage: A digest was given, but no image that it could belong to (`IMAGE_MISSING`).
    """
    given = {place: digest for place, digest in digests.items() if digest}
    if name is None:
        if "--digest" in given:
            help_ = "Name the image's repository in [source] image, or leave --digest out."
            raise Usage("IMAGE_MISSING", "--digest is given, but the contract names no image.", help_)
        return tuple(pinned)
    for place, image in enumerate(pinned):
        if image.name == name and image.digest:
            given[f"upstream.toml images[{place}]"] = image.digest
    if len(set(given.values())) > 1:
        places = ", ".join(f"{place} says {digest}" for place, digest in sorted(given.items()))
        help_ = "Make them agree, or give the digest in one place only."
        raise Conflict("DIGEST_DIFFERS", f"Two digests for the image {name}: {places}.", help_)
    own = Image(name, next(iter(given.values()), None))
    return (own, *(image for image in pinned if image.name != name))


def is_commit(text: str) -> bool:
    """Return whether a text is a whole commit id (SHA-1 or SHA-256)."""
    return re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text) is not None
