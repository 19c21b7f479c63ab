"""A known-good candidate kept whole: chart, values, engine's values and manifest in one archive in the ledger.

So going back needs neither Helm's history, nor the repository, nor the machine that promoted.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from railiance.domain.canonical import canonical_json
from railiance.domain.errors import Broken


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept of a candidate, laid out in a folder.

    Attributes:
        chart: Folder of the chart.
        values: The values files, in order.
        overlay: The engine's values over them.
        manifest: The stored manifest of the stable track, normalised.
    """

    chart: Path
    values: tuple[Path, ...]
    overlay: Mapping[str, Any]
    manifest: str


def kept_whole(chart: Path, values: Sequence[Path], overlay: Mapping[str, Any], manifest: str) -> bytes:
    """Return one archive of what a rollback needs; equal contents give equal bytes.

    Args:
        chart: Folder of the chart; every regular file below it is kept.
        values: The values files, in the order in which Helm reads them.
        overlay: The engine's values.
        manifest: The normalised manifest of the stable track.
    """
    files = {
        f"chart/{p.relative_to(chart).as_posix()}": p.read_bytes()
        for p in sorted(chart.rglob("*"))
        if p.is_file()
    }
    files |= {f"values/{index:02d}.yaml": path.read_bytes() for index, path in enumerate(values)}
    files |= {"overlay.json": canonical_json(overlay), "manifest.yaml": manifest.encode()}
    buffer = io.BytesIO()
    # An uncompressed tar with fixed times and owners: the ledger compresses, and equal content has one digest.
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def restored(archive: bytes, folder: Path) -> Kept:
    """Lay an archive out in a folder and return where everything is.

    Raises:
        Broken: The archive is not one that `kept_whole` made (KNOWN_GOOD_UNREADABLE).
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        overlay = json.loads((folder / "overlay.json").read_bytes())
        manifest = (folder / "manifest.yaml").read_text()
    except (tarfile.TarError, OSError, ValueError) as error:
        raise Broken(
            "KNOWN_GOOD_UNREADABLE",
            f"the kept candidate cannot be read: {error}",
            "name another with --revision",
        ) from error
    return Kept(folder / "chart", tuple(sorted((folder / "values").glob("*.yaml"))), overlay, manifest)
