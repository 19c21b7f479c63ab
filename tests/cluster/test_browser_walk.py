"""A person's walk through the Prefect UI: start Stage 2 from its form, look at artifacts, resume a promotion.

The pictures go to the folder that RAILIANCE_SCREENSHOTS names, else to the test's own. The walk uses the UI's
first version, which Prefect shows by default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Locator, Page, Response, sync_playwright

from railiance.adapters.cluster import KubeCluster
from railiance.commands import local_server
from tests.lifecycle_kit import LifecycleApp, fresh_app

if TYPE_CHECKING:
    from railiance.lab import LabStatus

pytestmark = [pytest.mark.cluster, pytest.mark.browser, pytest.mark.prefect, pytest.mark.timeout(1200)]
CHROMIUM = Path("/usr/bin/chromium")
# Without the flags on background networking a closed network refuses many connections at every start.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
PATIENCE = 120_000  # milliseconds; a worker starts a process for each run
STAGE_SECONDS = 420
COMMENT = "Stage 2 passed and I looked at the page."


@dataclass
class Walk:
    """One person's browser, and where its pictures go."""

    page: Page
    base: str
    pictures: Path
    taken: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open a page of the UI."""
        self.page.goto(f"{self.base}{path}")

    def picture(self, name: str) -> None:
        """Keep what the person sees now, once fonts and drop shadows have settled."""
        self.page.wait_for_timeout(1500)
        self.taken.append(name)
        self.page.screenshot(path=self.pictures / f"{len(self.taken):02d}-{name}.png")

    def property(self, label: str, within: Locator | None = None) -> Locator:
        """Return the row of a form that has this label."""
        named = self.page.locator(
            ".schema-form-property__label", has_text=re.compile(rf"^{label}( \(Optional\))?$")
        )
        return (within or self.page.locator("body")).locator(".schema-form-property", has=named)

    def fill(self, label: str, value: str, within: Locator | None = None) -> None:
        """Type into a field of a form."""
        self.property(label, within).locator("textarea, input").first.fill(value)

    def choose(self, label: str, value: str, within: Locator | None = None) -> None:
        """Choose from a list of a form, with the keyboard: the first click only moves the focus there."""
        self.property(label, within).locator("button.p-select-button__control").focus()
        self.page.keyboard.press("ArrowDown")
        self.page.locator(".p-pop-over-content").get_by_text(value, exact=True).click()

    def press(self, button: Locator, call: str) -> Response:
        """Press a button and return the server's answer; again, as people do, while a busy server answers 503."""
        for _ in range(6):
            with self.page.expect_response(lambda response: response.url.endswith(call)) as answered:
                button.click()
            if answered.value.status != 503:
                break
            self.page.wait_for_timeout(2000)
        return answered.value

    def start(self, flow: str, deployment: str, picture: str, **parameters: str) -> str:
        """Start a deployment by its form, from the list over the button Run to Submit; return the run's id."""
        self.open("/deployments")
        row = self.page.locator("tr", has_text=flow).filter(has_text=deployment)
        row.locator("a", has_text=re.compile(f"^{deployment}$")).first.click()
        self.page.get_by_role("button", name="Run", exact=True).first.click()
        self.page.get_by_text("Custom run").click()
        for label, value in parameters.items():
            self.fill(label, value)
        self.picture(picture)
        answer = self.press(self.page.get_by_role("button", name="Submit", exact=True), "/create_flow_run")
        assert answer.status == 201, answer.text()
        return str(answer.json()["id"])

    def wait_for_state(self, state: str) -> None:
        """Wait until the page of a run shows a state; another end than the wanted one fails at once."""
        ends = re.compile(f"^({state}|Completed|Failed|Crashed|Cancelled)$")
        badge = self.page.locator(".state-badge").get_by_text(ends)
        badge.first.wait_for(timeout=STAGE_SECONDS * 1000)
        assert badge.first.inner_text() == state


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return Debian's Chromium; without it the test fails."""
    if not CHROMIUM.exists():
        pytest.fail("install Debian's package chromium; this test does not skip", pytrace=False)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def walk(browser: Browser, prefect_server: str, tmp_path: Path) -> Iterator[Walk]:
    """Return a browser window on the session's server."""
    pictures = Path(os.environ.get("RAILIANCE_SCREENSHOTS") or tmp_path)
    pictures.mkdir(parents=True, exist_ok=True)
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(PATIENCE)
    made = Walk(page, prefect_server.removesuffix("/api"), pictures)
    yield made
    made.picture("end")  # where it stands when a step failed
    page.close()


@pytest.fixture
def app(
    cluster: KubeCluster, kubeconfig: Path, lab: LabStatus, prefect_server: str, tmp_path: Path
) -> Iterator[LifecycleApp]:
    """Return an application with v1 serving and v2 through Stage 1; Prefect knows the flows and has a worker."""
    with fresh_app(cluster, kubeconfig, lab, tmp_path) as made:
        local_server.ensure_deployments()
        local_server.ensure_worker()
        made.take_over("v1")
        made.write("v2")
        made.must("run", made.name)
        yield made


def test_a_person_walks_through_the_ui(walk: Walk, app: LifecycleApp, kubeconfig: Path) -> None:
    """Stage 2 from its form, its artifacts, and a paused promotion resumed: all of it in the browser."""
    given = {"directory": str(app.app_dir), "cluster": f"kubeconfig:{kubeconfig}", "requester": "dana"}
    walk.open("/deployments")
    walk.picture("deployments")

    with app.users():
        canary = walk.start("canary", "stage2", "stage2-form", **given)
        walk.open(f"/runs/flow-run/{canary}")
        walk.wait_for_state("Running")
        walk.picture("stage2-running")
        walk.wait_for_state("Completed")
    walk.picture("stage2-completed")

    walk.page.get_by_text("Artifacts", exact=True).first.click()
    walk.page.get_by_text(f"{app.name}-stage2-result").first.wait_for()
    walk.picture("stage2-artifacts")
    walk.page.get_by_text(f"{app.name}-stage2-result").first.click()
    walk.page.get_by_text("PASS").first.wait_for()
    walk.picture("stage2-result")

    promotion = walk.start("promote", "stage3", "promote-form", **given)
    walk.open(f"/runs/flow-run/{promotion}")
    walk.wait_for_state("Suspended")
    walk.picture("promotion-suspended")
    assert app.version() == "v1"
    answer_the_form(walk, plan_of(app))
    walk.wait_for_state("Completed")
    walk.picture("promotion-completed")
    assert app.version() == "v2"


def answer_the_form(walk: Walk, plan: str) -> None:
    """Read the summary, fill in the form, submit."""
    walk.page.get_by_role("button", name="Resume", exact=True).first.click()
    form = walk.page.locator(".p-modal__card")
    form.get_by_text(plan).first.wait_for()
    walk.picture("approval-form")
    walk.choose("Decision", "approve", form)
    walk.fill("Plan Digest First 12", plan, form)
    walk.fill("Comment", COMMENT, form)
    walk.fill("Signed Approval", "-", form)
    walk.picture("approval-form-filled")
    answer = walk.press(form.get_by_role("button", name="Submit"), "/resume")
    assert answer.status == 201, answer.text()


def plan_of(app: LifecycleApp) -> str:
    """Return the first 12 characters of the plan that waits for an answer, as the command line tells them."""
    document = app.must("requests", app.name, "--json").document
    assert document is not None
    (request,) = document["requests"]
    return str(request["plan_digest"]).removeprefix("sha256:")[:12]
