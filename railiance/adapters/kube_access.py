"""Getting into a cluster: credentials, TLS, connections. Nobody else imports `kubernetes`.

Of that package three parts are used: its configuration, its kubeconfig reader and its transport. Imported in
the ordinary way it also reads several hundred modules of generated models: 2.9 s of processor time
against 0.6 s. Going back has no such time to lose, so the parts are imported under stand-ins for the two
packages whose `__init__` reads everything else.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from railiance.domain.errors import RailianceError, Unavailable, Usage

_PACKAGES = ("kubernetes", "kubernetes.client")
_LOOPBACK = "localhost,127.0.0.1,::1"
_HELP = "Name a kubeconfig, set KUBECONFIG, or make a cluster of your own with `railiance lab up`."


class KubeAccess:
    """One set of credentials for one cluster. Several threads may use it at once.

    Args:
        kubeconfig: A kubeconfig; by default `$KUBECONFIG`, `~/.kube/config`, or the pod's own account.
        context: A context of it; by default the current one.

    Raises:
        Unavailable: There is nothing to connect with (code `NO_CLUSTER`).
        Usage: The kubeconfig is there, and cannot be used (code `KUBECONFIG_INVALID` or `CONTEXT_UNKNOWN`).

    Attributes:
        name: What people call this access: the kubeconfig's context, or `in-cluster`.
        pool: The connections, of urllib3; nothing is retried by it.
    """

    def __init__(self, kubeconfig: Path | None = None, context: str | None = None) -> None:
        self._configuration = _configuration.Configuration()
        self._renewing = threading.Lock()
        self.name = _read_credentials(self._configuration, kubeconfig, context)
        self._configuration.retries = False
        # Without this the package sends even loopback addresses through a proxy of the environment.
        bypass = (_LOOPBACK, os.getenv("NO_PROXY", ""), os.getenv("no_proxy", ""))
        self._configuration.no_proxy = ",".join(filter(None, bypass))
        self.pool: Any = _rest.RESTClientObject(self._configuration).pool_manager

    @property
    def host(self) -> str:
        """Return the URL of the API server."""
        return str(self._configuration.host)

    def credentials(self) -> dict[str, str]:
        """Return the header that says who we are; an expired token is renewed by one thread at a time."""
        with self._renewing:
            token = self._configuration.auth_settings().get("BearerToken")
        return {token["key"]: token["value"]} if token else {}


def _read_credentials(configuration: Any, kubeconfig: Path | None, context: str | None) -> str:
    """Fill in host and credentials, and return the name of this access."""
    found = _kubeconfig(kubeconfig)
    if found is None:
        try:
            _incluster.load_incluster_config(client_configuration=configuration)
        except (_kube_config.ConfigException, OSError) as error:
            message = f"No cluster: this pod's account cannot be used: {error}"
            raise Unavailable("NO_CLUSTER", message, _HELP) from error
        return "in-cluster"
    try:
        contexts, current = _kube_config.list_kube_config_contexts(config_file=found)
        wanted = context or current["name"]
        if wanted not in [entry["name"] for entry in contexts]:
            names = ", ".join(entry["name"] for entry in contexts) or "none"
            message = f"The kubeconfig {found} has no context {wanted}."
            raise Usage("CONTEXT_UNKNOWN", message, f"It has: {names}.")
        _kube_config.load_kube_config(
            config_file=found, context=wanted, client_configuration=configuration, persist_config=False
        )
    except RailianceError:
        raise
    except (_kube_config.ConfigException, yaml.YAMLError, KeyError, TypeError, OSError, ValueError) as error:
        # The text of a parser's error may quote the file, which holds credentials.
        told = isinstance(error, _kube_config.ConfigException | OSError)
        reason = str(error) if told else type(error).__name__
        raise Usage("KUBECONFIG_INVALID", f"The kubeconfig {found} cannot be used: {reason}") from error
    return str(wanted)


def _kubeconfig(kubeconfig: Path | None) -> str | None:
    """Return the file or files to read, or None for the account of the pod we run in."""
    if kubeconfig is not None:
        if not kubeconfig.is_file():
            raise Unavailable("NO_CLUSTER", f"There is no kubeconfig {kubeconfig}.", _HELP)
        return str(kubeconfig)
    named = [part for part in os.getenv("KUBECONFIG", "").split(os.pathsep) if part]
    looked_at = named or [str(Path("~/.kube/config").expanduser())]
    existing = [part for part in looked_at if Path(part).expanduser().is_file()]
    if existing:
        return os.pathsep.join(existing)
    if not named and os.getenv("KUBERNETES_SERVICE_HOST"):
        return None
    origin = " named by $KUBECONFIG" if named else ""
    message = f"No cluster: there is no kubeconfig {', '.join(looked_at)}{origin}, and this is no pod."
    raise Unavailable("NO_CLUSTER", message, _HELP)


def _import_parts() -> tuple[Any, Any, Any, Any]:
    names = ("client.configuration", "client.rest", "config.kube_config", "config.incluster_config")
    configuration, *others = (import_module(f"kubernetes.{name}") for name in names)
    return (configuration, *others)  # type: ignore[return-value]


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Let the parts be imported without the rest; whoever imports the package later gets it whole."""
    spec = find_spec("kubernetes")
    (root,) = (spec.submodule_search_locations if spec else None) or ("",)
    try:
        for name in _PACKAGES:
            module = sys.modules[name] = ModuleType(name)
            module.__path__ = [str(Path(root).parent.joinpath(*name.split(".")))]
        # What the kubeconfig reader takes from above; a client it would make only on request, never for us.
        client: Any = sys.modules["kubernetes.client"]
        client.Configuration = import_module("kubernetes.client.configuration").Configuration
        client.ApiClient = object
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "kubernetes"]:
            del sys.modules[name]


def _parts() -> tuple[Any, Any, Any, Any]:
    if "kubernetes" in sys.modules:
        return _import_parts()
    try:
        with _stand_ins():
            return _import_parts()
    except (ImportError, AttributeError):
        # Another version of the package, built in another way: slow, and right.
        return _import_parts()


_configuration, _rest, _kube_config, _incluster = _parts()
