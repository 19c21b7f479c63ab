"""Copies of the template chart `charts/canary`, which become an application's own `charts/<id>`."""

from __future__ import annotations

import yaml

from railiance.domain.candidate import tree_digest
from railiance.project import root

_NOT_COPIED = "ci"  # example values for the template's own tests


def template_files() -> dict[str, bytes]:
    """Return the files of the template chart that an application receives, by path relative to the chart."""
    folder = root() / "charts" / "canary"
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {name.as_posix(): (folder / name).read_bytes() for name in names if name.parts[0] != _NOT_COPIED}


def chart_for(app_id: str) -> dict[str, bytes]:
    """Return the chart of an application: the template under the application's name.

    Its `Chart.yaml` notes the version and the tree digest of the template it came from, so that a later
    update knows the common ancestor.

    Args:
        app_id: `[app] id` of the contract; it becomes the chart's name.

    Returns:
        Content by path relative to `charts/<app_id>`.
    """
    files = template_files()
    about = yaml.safe_load(files["Chart.yaml"])
    about["annotations"] = {
        "railiance.dev/template": about["name"],
        "railiance.dev/template-version": about["version"],
        "railiance.dev/template-digest": tree_digest(files),
    }
    about["name"] = app_id
    about["description"] = f"Chart of {app_id}, with a stable and a canary track."
    return {**files, "Chart.yaml": yaml.safe_dump(about, sort_keys=False, width=110).encode()}
