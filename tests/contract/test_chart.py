"""The template chart: what it renders, what it refuses, and that its pages tell the truth.

Run with RAILIANCE_GOLDEN=write to rewrite the goldens and the generated tables.
"""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from railiance.adapters import process
from railiance.adapters.helm import helm_binary
from railiance.domain.candidate import Candidate, Image
from railiance.domain.manifests import RouteSpec, route_objects
from railiance.domain.values import overlay_for

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "canary"
GOLDEN = ROOT / "tests" / "golden" / "charts"
CASES = {
    "isolated": "canary-canary",
    "stable": "canary",
    "weighted-traefik": "canary",
    "weighted-gateway": "canary",
    "managed": "canary",
    "threephoenix": "canary",
}
WEIGHT_OBJECTS = {"TraefikService", "IngressRoute", "HTTPRoute"}
IMAGE = {"repository": "registry.example/app", "tag": "v1"}


def value_files(case: str) -> list[str]:
    """Return the `--values` arguments of a case; the profile comes before what an app adds to it."""
    profile = CHART / f"values-{case}.yaml"
    files = [*([profile] if profile.exists() else []), CHART / "ci" / f"{case}-values.yaml"]
    return [argument for file in files for argument in ("--values", str(file))]


def helm(*arguments: str, values: dict | None = None, check: bool = True) -> process.Completed:
    """Run Helm; `values` go in on its standard input."""
    stdin = None if values is None else json.dumps(values)
    tail = [] if values is None else ["--values", "-"]
    return process.run([str(helm_binary()), *arguments, *tail], stdin=stdin, check=check, timeout=60)


def render(name: str = "canary", **values: object) -> list[dict]:
    """Return the objects that the chart renders from its defaults, an image and some values."""
    text = helm("template", name, str(CHART), values={"image": IMAGE, **values}).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def refusal(name: str = "canary", **values: object) -> str:
    """Return what Helm says when the chart refuses some values."""
    done = helm("template", name, str(CHART), values={"image": IMAGE, **values}, check=False)
    assert done.exit_code != 0, done.stdout
    return done.stderr


def one(objects: list[dict], kind: str) -> dict:
    """Return the only object of a kind."""
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def kinds(objects: list[dict]) -> set[str]:
    """Return the kinds of some objects."""
    return {item["kind"] for item in objects}


def weighted(**traffic: object) -> dict:
    """Return the `railiance` values of a stable helm_release that splits its users."""
    return {"stage": "stable", "traffic": {"mode": "weighted", "host": "app.example", **traffic}}


def compare(path: Path, text: str) -> None:
    """Compare a text with a file byte for byte, or write it on demand."""
    if os.environ.get("RAILIANCE_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path} differs; RAILIANCE_GOLDEN=write rewrites it"


# What it renders


@pytest.mark.parametrize("case", CASES)
def test_lint_is_clean(case):
    """`helm lint --strict` finds nothing in any example."""
    helm("lint", "--strict", str(CHART), *value_files(case))


@pytest.mark.parametrize("case", CASES)
def test_rendering_is_the_golden(case):
    """Each example renders to its golden byte for byte, however often."""
    arguments = ("template", CASES[case], str(CHART), "--namespace", "demo", *value_files(case))
    text = helm(*arguments).stdout
    assert helm(*arguments).stdout == text
    compare(GOLDEN / f"{case}.yaml", text)


def test_every_example_has_its_case():
    """No example file is left out of the goldens."""
    assert {path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir()} == set(CASES)
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(CASES)


def test_templates_are_repeatable():
    """Nothing in the templates is random, looks at a clock or a cluster, counts revisions or runs as a hook."""
    forbidden = r"\b(rand\w*|gen[A-Z]\w+|uuidv4|now|date\w*|lookup|shuffle|derivePassword|htpasswd|bcrypt)\b|helm\.sh/hook|\.Release\.(Revision|Is)"
    for path in (CHART / "templates").iterdir():
        code = re.sub(r"\{\{-? ?/\*.*?\*/ ?-?\}\}", "", path.read_text(), flags=re.DOTALL)
        code = re.sub(r"^\s*#.*$", "", code, flags=re.MULTILINE)
        assert not re.search(forbidden, code), path.name
    assert not (CHART / "crds").exists()


def test_pods_and_service_are_scraped():
    """Pods and Service carry the same scrape annotations, with the container's port."""
    objects = render(containerPort=9000, metrics={"path": "/m"})
    expected = {"prometheus.io/scrape": "true", "prometheus.io/port": "9000", "prometheus.io/path": "/m"}
    assert one(objects, "Service")["metadata"]["annotations"] == expected
    assert one(objects, "Deployment")["spec"]["template"]["metadata"]["annotations"] == expected


def test_digest_wins_over_tag():
    """An image with digest and tag is named by its digest alone."""
    digest = "sha256:" + "a" * 64
    pod = one(render(image={**IMAGE, "digest": digest}), "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"registry.example/app@{digest}"


def test_upgrade_keeps_users():
    """By default an upgrade takes no pod away before its successor is ready, and a pod drains before it ends."""
    spec = one(render(drainSeconds=7, shutdownSeconds=20), "Deployment")["spec"]
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    pod = spec["template"]["spec"]
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert pod["terminationGracePeriodSeconds"] == 27


def test_configuration_rolls_pods():
    """A changed configuration changes the pods, and the old one brings the old pods back."""
    first, other, again = (
        one(render(config={"data": {"A": text}}), "Deployment")["spec"]["template"] for text in "121"
    )
    assert first != other
    assert first == again


def test_selector_never_moves():
    """The selector is name and instance, whatever candidate, stage or version is deployed."""
    old = one(render(), "Deployment")["spec"]
    new = one(
        render(railiance={**weighted(), "candidate": "sha256:" + "b" * 64}, image={**IMAGE, "tag": "v2"}),
        "Deployment",
    )["spec"]
    assert old["selector"] == new["selector"]
    assert set(old["selector"]["matchLabels"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert new["template"]["metadata"]["labels"]["railiance.dev/candidate"] == "b" * 12
    assert old["template"]["metadata"]["labels"].items() >= old["selector"]["matchLabels"].items()


def test_autoscaler_owns_replicas():
    """`replicaCount: null` leaves the number out, and 0 is a number."""
    assert "replicas" not in one(render(replicaCount=None), "Deployment")["spec"]
    assert one(render(replicaCount=0), "Deployment")["spec"]["replicas"] == 0


# The two tracks


def test_tracks_share_no_object():
    """Stable and canary of one app never render the same object, so both can be installed."""
    everything = {
        "config": {"data": {"A": "1"}},
        "podDisruptionBudget": {"enabled": True},
    }
    stable = render("canary", railiance=weighted(), **everything)
    canary = render("canary-canary", railiance={**weighted(), "stage": "canary"}, **everything)
    names = [{(item["kind"], item["metadata"]["name"]) for item in objects} for objects in (stable, canary)]
    assert not names[0] & names[1]
    assert kinds(stable) - kinds(canary) == {"TraefikService", "IngressRoute"}


def test_canary_keeps_its_track_under_production_values():
    """The canary helm_release is the canary track and owns no route, also while it serves with production values."""
    objects = render("canary-canary", railiance=weighted())
    assert (
        one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]["railiance.dev/track"]
        == "canary"
    )
    assert not kinds(objects) & WEIGHT_OBJECTS


@pytest.mark.parametrize("provider", ["traefik", "gateway-api"])
@pytest.mark.parametrize(
    ("weights", "listed"),
    [((100, 0), [("web", 100)]), ((95, 5), [("web", 95), ("web-next", 5)]), ((0, 100), [("web-next", 100)])],
)
def test_weights(provider, weights, listed):
    """Both providers list both Services with their weights, and never a backend at weight 0."""
    traffic = {
        "provider": provider,
        "gateway": "edge/public",
        "stableWeight": weights[0],
        "canaryWeight": weights[1],
    }
    names = {"stableRelease": "web", "canaryRelease": "web-next"}
    objects = render("web", railiance={**weighted(**traffic), **names}, service={"port": 8000})
    if provider == "traefik":
        backends = one(objects, "TraefikService")["spec"]["weighted"]["services"]
    else:
        backends = one(objects, "HTTPRoute")["spec"]["rules"][0]["backendRefs"]
    assert [(backend["name"], backend["weight"]) for backend in backends] == listed
    assert {backend["port"] for backend in backends} == {8000}


def test_route_outlives_hand_over():
    """Weight objects are kept by Helm when an engine takes them over, so no user loses the route."""
    objects = [item for item in render(railiance=weighted()) if item["kind"] in WEIGHT_OBJECTS]
    assert [item["metadata"]["annotations"] for item in objects] == [{"helm.sh/resource-policy": "keep"}] * 2


@pytest.mark.parametrize("tls_secret", ["", "app-tls"])
@pytest.mark.parametrize("weight", [0, 20, 100])
@pytest.mark.parametrize("provider", ["traefik", "gateway-api"])
def test_chart_and_engine_write_the_same_route(provider, weight, tls_secret):
    """The chart's own weight objects equal the engine's, so a hand-over in either direction changes nothing."""
    gateway = "edge/public" if provider == "gateway-api" else ""
    traffic = {"stableWeight": 100 - weight, "canaryWeight": weight, "tlsSecret": tls_secret, "path": "/a"}
    objects = render(railiance=weighted(provider=provider, gateway=gateway, **traffic))
    spec = RouteSpec(
        app_id="canary",
        namespace="demo",
        route="canary",
        provider=provider,
        host="app.example",
        path="/a",
        port=80,
        stable_service="canary",
        canary_service="canary-canary",
        weight=weight,
        gateway=gateway or None,
        tls_secret=tls_secret or None,
    )
    ours = {item["kind"]: item["spec"] for item in objects if item["kind"] in WEIGHT_OBJECTS}
    assert ours == {item["kind"]: item["spec"] for item in route_objects(spec)}


@pytest.mark.parametrize("mode", ["isolated", "weighted"])
@pytest.mark.parametrize("track", ["stable", "canary"])
def test_chart_obeys_the_engine(track, mode):
    """The chart accepts the values that the engine sets, and labels the pods with its candidate and track."""
    digest = "sha256:" + "a" * 64
    image = Image("registry.example/app", digest)
    candidate = Candidate("app", "v1", "c" * 40, False, False, (image,), None, (), digest, None)
    overlay = overlay_for(
        track,
        candidate=candidate,
        stable_release="app",
        canary_release="app-canary",
        previous_stable="none",
        mode=mode,
        provider="traefik",
        values_key="image",
    )
    objects = render("app" if track == "stable" else "app-canary", **overlay)
    assert kinds(objects) == {"Deployment", "Service", "ServiceAccount"}
    pod = one(objects, "Deployment")["spec"]["template"]
    assert pod["metadata"]["labels"]["railiance.dev/candidate"] == candidate.short
    assert pod["metadata"]["labels"]["railiance.dev/track"] == track
    assert pod["spec"]["containers"][0]["image"] == f"registry.example/app@{digest}"


@pytest.mark.parametrize("provider", ["traefik", "gateway-api"])
def test_managed_leaves_weights_alone(provider):
    """Under an engine no helm_release renders weight objects, whatever its stage and provider."""
    for name, stage in (("canary", "stable"), ("canary-canary", "canary")):
        objects = render(name, railiance={**weighted(managed=True, provider=provider), "stage": stage})
        assert kinds(objects) == {"Deployment", "Service", "ServiceAccount"}


def test_isolated_ingress_stays_under_engine():
    """An Ingress of isolated mode is no weight object: it stays when `managed` is set."""
    traffic = {"host": "app.example", "managed": True}
    objects = render(railiance={"stage": "stable", "traffic": traffic}, ingress={"enabled": True})
    assert one(objects, "Ingress")["spec"]["rules"][0]["host"] == "app.example"


def test_local_stage_has_no_route():
    """Stage 1 renders no weight object, also with the values of a weighted route."""
    assert not kinds(render(railiance={**weighted(), "stage": "local"})) & WEIGHT_OBJECTS


# What it refuses

CANARY_INGRESS = {
    "railiance": {"stage": "canary", "traffic": {"host": "app.example"}},
    "ingress": {"enabled": True},
}


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("canary", {"image": {"tag": "v1"}}, "image.repository is empty"),
        ("canary", {"image": {"repository": "r/a"}}, "image.digest and image.tag are both empty"),
        ("canary", {"railiance": {"stage": "canary"}}, "would overwrite stable; install it as canary-canary"),
        ("x", {"railiance": {"stableRelease": "a", "canaryRelease": "a"}}, "are equal"),
        ("canary", {"railiance": {"maintenance": True}}, "no maintenance page"),
        ("canary", {"railiance": weighted(host="")}, "set the public host"),
        ("canary", {"railiance": weighted(stableWeight=95, canaryWeight=10)}, "do not add up to 100"),
        ("canary", {"railiance": weighted(provider="gateway-api")}, "traffic.gateway is empty"),
        (
            "canary",
            {"railiance": {"stage": "stable"}, "ingress": {"enabled": True}},
            "answers for every host",
        ),
        ("canary-canary", CANARY_INGRESS, "needs an ingress.host of its own"),
        (
            "canary-canary",
            {**CANARY_INGRESS, "ingress": {"enabled": True, "host": "app.example"}},
            "needs an ingress.host of its own",
        ),
    ],
)
def test_contradictions_are_refused(name, values, message):
    """A contradiction renders nothing, and the message names the key and the way out."""
    assert message in refusal(name, **values)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"railiance": {"trafic": {}}}, "trafic"),
        ({"railiance": {"traffic": {"canaryweight": 5}}}, "canaryweight"),
        ({"image": {**IMAGE, "digset": ""}}, "digset"),
        ({"replicaCounts": 2}, "replicaCounts"),
        ({"railiance": {"stage": "prod"}}, "/railiance/stage"),
        ({"railiance": {"traffic": {"canaryWeight": 101}}}, "/railiance/traffic/canaryWeight"),
        ({"railiance": {"traffic": {"host": "a`) || Host(`b"}}}, "/railiance/traffic/host"),
        ({"image": {**IMAGE, "digest": "sha256:abc"}}, "/image/digest"),
        ({"probes": {"readiness": {"path": ""}}}, "/probes/readiness/path"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "/podDisruptionBudget/maxUnavailable"),
    ],
)
def test_schema_names_the_key(values, where):
    """A misspelt key or a wrong value is refused, and the message names it."""
    assert where in refusal(**values)


# What is written about it


def leaves(schema: dict, defaults: object, path: str = "") -> list[tuple[str, dict, object]]:
    """Return every value of the chart as path, schema and default."""
    found = []
    for key, part in schema["properties"].items():
        if path == "" and key == "global":
            continue
        default = defaults[key]
        inner = (
            leaves(part, default, f"{path}{key}.")
            if "properties" in part
            else [(f"{path}{key}", part, default)]
        )
        assert "properties" not in part or set(part["properties"]) == set(default), f"{path}{key}"
        found += inner
    return found


def values_table() -> str:
    """Return the table of all values, from the schema's descriptions and the defaults."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    rows = ["| Key | Default | Meaning |", "|---|---|---|"]
    for path, part, default in leaves(schema, defaults):
        words = " · ".join(f"`{word}`" for word in part.get("enum", ()))
        meaning = part["description"] + (f" One of {words}." if words else "")
        rows.append(f"| `{path}` | `{json.dumps(default)}` | {meaning} |")
    return "\n".join(rows)


def test_schema_covers_every_default():
    """Schema and defaults know the same keys at the top level; deeper levels are checked by the table."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) - {"global"} == set(yaml.safe_load((CHART / "values.yaml").read_text()))
    assert values_table()


def test_readme_tells_every_value():
    """The chart's README lists every value with its default and meaning."""
    path = CHART / "README.md"
    before, after = re.split(r"<!-- values -->.*<!-- /values -->", path.read_text(), flags=re.DOTALL)
    compare(path, f"{before}<!-- values -->\n{values_table()}\n<!-- /values -->{after}")


def test_reference_tells_every_value():
    """The reference page of the values is the one that the schema gives."""
    head = (
        "# Values of the canary chart\n\n"
        "Generated from `charts/canary/values.schema.json` and `values.yaml`; "
        "the [chart's README](../../charts/canary/README.md) tells how they work together.\n\n"
    )
    compare(ROOT / "docs" / "reference" / "chart-values.md", f"{head}{values_table()}\n")
