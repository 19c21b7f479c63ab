"""The whole lifecycle on a real cluster, through the real command line, with users counted all the time.

Each story is played once for the module; the tests ask what happened in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from railiance.adapters.cluster import KubeCluster
from railiance.demo_app.load import Tally
from tests.lifecycle_kit import APPROVER, DEVELOPER, LifecycleApp, Told, fresh_app, no_request_lost, scene

if TYPE_CHECKING:
    from railiance.lab import LabStatus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
BAD = {"FAIL_RATIO": "0.6"}
Story = dict[str, Told]


@pytest.fixture(scope="module")
def stories(
    cluster: KubeCluster,
    kubeconfig: Path,
    lab: LabStatus,
    prefect_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Future[Story]]]:
    """Begin all stories at once, each with an application of its own: most of their time is waiting."""

    def play(name: str, folder: Path) -> Story:
        act, provider = STORIES[name]
        with fresh_app(cluster, kubeconfig, lab, folder, provider) as app:
            return act(app)

    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {name: pool.submit(play, name, tmp_path_factory.mktemp(name)) for name in STORIES}


@pytest.fixture(scope="module")
def story(stories: dict[str, Future[Story]]) -> Story:
    """Return a first install, a good version, a bad one and a rollback, through Traefik's own objects."""
    return stories["traefik"].result()


@pytest.fixture(scope="module")
def gateway_story(stories: dict[str, Future[Story]]) -> Story:
    """Return an adoption, a good version, a bad one and a rollback, through an HTTPRoute."""
    return stories["gateway"].result()


@pytest.fixture(scope="module")
def isolated(stories: dict[str, Future[Story]]) -> Story:
    """Return a version's way through all stages in isolated mode, in which no user meets the canary."""
    return stories["isolated"].result()


def _traefik(app: LifecycleApp) -> Story:
    return {**_first_install(app), **_good_version(app), **_bad_version(app), **_way_back(app)}


def _gateway(app: LifecycleApp) -> Story:
    app.take_over("v1")
    return {**_good_version(app), **_bad_version(app), **_way_back(app)}


def _isolated(app: LifecycleApp) -> Story:
    _write_isolated(app, "v1")
    app.install_and_adopt()
    _write_isolated(app, "v2")
    return {"deploy": scene(app, app.deploy), "promote": scene(app, app.promote)}


STORIES = {
    "traefik": (_traefik, "traefik"),
    "gateway": (_gateway, "gateway-api"),
    "isolated": (_isolated, "traefik"),
}


def _first_install(app: LifecycleApp) -> Story:
    app.write("v1")
    first = Told(app.deploy(), Tally(), None, app.version())
    promoted = Told(app.promote(), Tally(), None, app.version(), app.status())
    no_op = Told(app.rail("abort", app.name), Tally(), app.version(), app.version(), app.status())
    return {"first deploy": first, "first promotion": promoted, "abort": no_op}


def _good_version(app: LifecycleApp) -> Story:
    app.write("v2")
    return {"good deploy": scene(app, app.deploy), "good promotion": scene(app, app.promote)}


def _bad_version(app: LifecycleApp) -> Story:
    app.write("v3", env=BAD)
    return {"bad deploy": scene(app, app.deploy)}


def _way_back(app: LifecycleApp) -> Story:
    return {"rollback": scene(app, lambda: app.rail("rollback", app.name, "--apply", "--reason", "test"))}


def _write_isolated(app: LifecycleApp, version: str) -> None:
    """Write the repository without a weighted route: the chart's Ingress serves, and no weight is ever moved."""
    app.write(version)
    contract = (app.app_dir / "railiance/app.toml").read_text()
    traffic = contract[contract.index("[traffic]") : contract.index("[analysis]")]
    stable = "values/stage3-production.yaml"
    ingress = "ingress:\n  enabled: true\n  className: traefik\nspread:"
    app.edit(
        {
            "railiance/app.toml": {traffic: '[traffic]\nmode = "isolated"\n\n'},
            "values/stage2-canary.yaml": {"mode: weighted": "mode: isolated"},
            stable: {"mode: weighted": "mode: isolated", "spread:": ingress},
        }
    )


@pytest.fixture(params=["story", "gateway_story"])
def played(request: pytest.FixtureRequest) -> Story:
    """Return the story through each kind of route."""
    return request.getfixturevalue(request.param)


def test_first_install_shows_no_user_the_canary(story: Story) -> None:
    """With no stable, Stage 2 is smoke and probes only: it passes, and no user can reach the app."""
    told = story["first deploy"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert told.document["verdict"] == "PASS"
    assert told.after is None


def test_first_promotion_serves_users(story: Story) -> None:
    """After the first promotion users meet v1, and the ledger names it as serving and known-good."""
    told = story["first promotion"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert told.after == "v1"
    assert told.status["serving"]["source_revision"] == "v1"
    assert len(told.status["known_good"]) == 1


def test_abort_with_nothing_to_abort(story: Story) -> None:
    """`abort` without a canary is a stated no-op with exit code 0, and users stay where they are."""
    told = story["abort"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert "nothing to abort" in told.answer.stderr
    assert (told.before, told.after) == ("v1", "v1")
    assert told.status["serving"]["source_revision"] == "v1"


@pytest.mark.parametrize("act", ["good deploy", "good promotion", "bad deploy", "rollback"])
def test_no_request_is_lost(played: Story, act: str) -> None:
    """At 50 requests a second no user's request goes without an answer of the application."""
    no_request_lost(played[act].tally)


@pytest.mark.parametrize("act", ["good deploy", "good promotion", "rollback"])
def test_no_user_meets_an_error_of_a_good_version(played: Story, act: str) -> None:
    """Only a bad version gives errors to users."""
    assert not played[act].tally.faulty


def test_good_canary_passes_and_users_come_back(played: Story) -> None:
    """A good canary is met by some users, passes, and leaves all users on stable unwatched by nobody."""
    told = played["good deploy"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert told.document["verdict"] == "PASS"
    assert told.tally.ok["v1"] > told.tally.ok["v2"] > 0
    assert (told.before, told.after) == ("v1", "v1")
    assert told.status["weight"] == 0


def test_good_promotion_changes_the_version(played: Story) -> None:
    """The approved promotion ends with all users on the new version and no canary left."""
    told = played["good promotion"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert told.document["verdict"] == "PASS"
    assert (told.before, told.after) == ("v1", "v2")
    assert told.status["serving"]["source_revision"] == "v2"
    assert told.status["weight"] in {0, None}


def test_requester_and_approver_are_recorded(played: Story) -> None:
    """Who asked and who approved stand in the result as two persons."""
    document = played["good promotion"].document
    assert document["run"]["requester"] == DEVELOPER
    assert document["approval"]["approved_by"] == [APPROVER]
    assert document["approval"]["state"] == "granted"


def test_bad_canary_is_refused(played: Story) -> None:
    """A canary that fails its users is FAIL with exit code 1, and only it gave them errors."""
    told = played["bad deploy"]
    assert told.answer.exit_code == 1, told.answer.stderr
    assert told.document["verdict"] == "FAIL"
    assert set(told.tally.faulty) == {"v3"}


def test_bad_canary_loses_its_traffic(played: Story) -> None:
    """After the FAIL the weight is 0, users meet the stable version, and it is what serves."""
    told = played["bad deploy"]
    assert told.status["weight"] == 0
    assert (told.before, told.after) == ("v2", "v2")
    assert told.status["serving"]["source_revision"] == "v2"
    assert told.status["open_run"] is None


def test_bad_canary_is_returned_within_seconds(played: Story) -> None:
    """From the first bad answer to the last pass at most 30 s: a blip of 10 s is waited out, on a busy machine."""
    tally = played["bad deploy"].tally
    assert tally.faulty_from is not None
    assert tally.faulty_to is not None
    assert tally.faulty_to - tally.faulty_from < 30


def test_rollback_brings_the_previous_version(played: Story) -> None:
    """Without a further approval, rollback brings back what the promotion replaced."""
    told = played["rollback"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert told.document["verdict"] == "PASS"
    assert (told.before, told.after) == ("v2", "v1")
    assert told.status["serving"]["source_revision"] == "v1"


def test_rollback_holds_what_was_left(played: Story) -> None:
    """The candidate that was rolled back is on hold, so that nothing promotes it again unasked."""
    left = played["good promotion"].status["serving"]["candidate"]
    told = played["rollback"]
    assert list(told.status["holds"]) == [left]
    assert told.document["hold"]


def test_isolated_mode_shows_the_canary_to_no_user(isolated: Story) -> None:
    """Isolated, Stage 2 passes on probes alone, and no user meets the canary."""
    told = isolated["deploy"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert told.document["verdict"] == "PASS"
    assert told.document["traffic"]["mode"] == "isolated"
    assert set(told.tally.ok) == {"v1"}


def test_isolated_mode_reaches_production(isolated: Story) -> None:
    """Isolated, the promotion upgrades the stable track in place, and users meet the new version."""
    told = isolated["promote"]
    assert told.answer.exit_code == 0, told.answer.stderr
    assert told.status["serving"]["source_revision"] == "v2"
    assert (told.before, told.after) == ("v1", "v2")


@pytest.mark.parametrize("act", ["deploy", "promote"])
def test_isolated_mode_loses_no_request(isolated: Story, act: str) -> None:
    """The upgrade in place keeps a ready pod for users at all times."""
    no_request_lost(isolated[act].tally)
