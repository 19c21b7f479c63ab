"""What runs beside the cluster as processes of this machine: registry, Prometheus, provider of volumes."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from railiance.lab import certs
from railiance.lab.layout import Lab, tool_path
from railiance.lab.registry import Registry
from railiance.lab.state import ensure_process, write_atomically
from railiance.lab.waiting import wait_until

STORAGE_CLASS = "local-path"
PROVISIONER = "lab.railiance/local-path"
_SCRAPE = "2s"


def start_registry(lab: Lab) -> Registry:
    """Have the registry answering."""
    config = lab.folder / "registry.json"
    settings = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(lab.folder / "registry")},
            "delete": {"enabled": True},
        },
        # All addresses, because nodes come over the bridge and people over loopback; the lab's nftables
        # table keeps everybody else out.
        "http": {"addr": f":{lab.registry_port}"},
    }
    write_atomically(config, json.dumps(settings, indent=1))  # JSON is YAML
    ensure_process(lab, "registry", ["docker-registry", "serve", str(config)])
    registry = Registry(lab.registry)
    wait_until(registry.ready, 20, "the registry", lab.folder / "logs" / "registry.log")
    return registry


def start_provisioner(lab: Lab) -> None:
    """Have the provisioner of PersistentVolumes running."""
    own = [f"-class={STORAGE_CLASS}", f"-name={PROVISIONER}", f"-folder={lab.folder / 'volumes'}"]
    ensure_process(lab, "provisioner", [*_agent(lab, "provisioner"), *own])


def _agent(lab: Lab, name: str) -> list[str]:
    user = certs.issue(lab, name, f"railiance-lab-{name}")
    return [
        str(tool_path(name)),
        f"-server={lab.api_url}",
        f"-ca={certs.authority(lab).certificate}",
        f"-certificate={user.certificate}",
        f"-key={user.key}",
    ]


def start_prometheus(lab: Lab) -> None:
    """Have Prometheus answering; it scrapes Traefik and every annotated pod each two seconds."""
    config = lab.folder / "prometheus.json"
    targets = lab.folder / "targets"
    targets.mkdir(exist_ok=True)
    ensure_process(lab, "discoverer", [*_agent(lab, "discoverer"), f"-folder={targets}"])
    write_atomically(config, json.dumps(_prometheus_config(targets), indent=1))
    argv = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={lab.folder / 'prometheus'}",
        "--storage.tsdb.retention.time=1d",
        f"--web.listen-address=:{lab.prometheus_port}",
    ]
    ensure_process(lab, "prometheus", argv)
    wait_until(lambda: prometheus_ready(lab), 30, "Prometheus", lab.folder / "logs" / "prometheus.log")


def prometheus_ready(lab: Lab) -> bool:
    """Say whether Prometheus calls itself ready."""
    try:
        return requests.get(f"{lab.prometheus_url}/-/ready", timeout=2).ok
    except requests.RequestException:
        return False  # it is not there yet, or no more: that is the answer


def _prometheus_config(targets: Path) -> dict[str, object]:
    jobs = [
        {"job_name": job, "file_sd_configs": [{"files": [str(targets / f"{job}.json")]}]}
        for job in ("traefik", "pods")
    ]
    return {
        "global": {"scrape_interval": _SCRAPE, "scrape_timeout": _SCRAPE, "evaluation_interval": _SCRAPE},
        "scrape_configs": jobs,
    }
