"""Charts in an OCI registry, fetched with Helm and a login that leaves nothing behind."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from railiance.adapters import process
from railiance.domain.errors import Broken, Unavailable

_TIMEOUT = 120.0
_REFUSED = ("unauthorized", "denied", "403", "401")


@dataclass(frozen=True, slots=True)
class ChartRegistry:
    """An OCI registry that holds charts.

    Attributes:
        helm: The Helm program.
        host: `host` or `host:port`.
        username: Name to log in with; empty for none.
        password: Its password or token.
        plain_http: Talk without TLS; for a registry on this machine.
    """

    helm: Path
    host: str
    username: str = ""
    password: str = field(default="", repr=False)
    plain_http: bool = False

    def pull(self, repository: str, version: str, folder: Path) -> Path:
        """Fetch one chart archive into a folder and return its path.

        Args:
            repository: Path of the chart below the host, such as `charts/shop`.
            version: The chart's version; exact.
            folder: Where the archive goes; it must not hold another one.

        Raises:
            Unavailable: The registry does not answer, or refuses the login (`REGISTRY_REFUSED`).
            Broken: There is no such chart, or Helm failed.
        """
        with tempfile.TemporaryDirectory() as private:
            config = ["--registry-config", str(Path(private) / "config.json")]
            if self.username:
                login = ["registry", "login", self.host, "--username", self.username, "--password-stdin"]
                self._helm([*login, *config], stdin=self.password)
            source = [f"oci://{self.host}/{repository}", "--version", version]
            self._helm(["pull", *source, "--destination", str(folder), *config])
        found = sorted(folder.glob("*.tgz"))
        if len(found) != 1:
            raise Broken("CHART_MISSING", f"helm pull left {len(found)} archives in {folder}, not one.")
        return found[0]

    def _helm(self, arguments: list[str], stdin: str | None = None) -> None:
        insecure = ["--plain-http"] if self.plain_http else []
        done = process.run(
            [str(self.helm), *arguments, *insecure], stdin=stdin, timeout=_TIMEOUT, check=False
        )
        if done.exit_code == 0:
            return
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        message = f"The registry {self.host} gave no chart: {said}"
        if any(word in said.lower() for word in _REFUSED):
            raise Unavailable("REGISTRY_REFUSED", message, "Correct the HelmRegistry block.")
        if "connect" in said or "dial" in said or "timeout" in said:
            raise Unavailable(
                "REGISTRY_UNREACHABLE", message, "Look whether the registry runs, and its address."
            )
        raise Broken("CHART_MISSING", message, "Look at the chart's name and version.")
