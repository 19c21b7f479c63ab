"""What must be there before the first change: images, dependencies, sources of evidence."""

from __future__ import annotations

from railiance.adapters.registry import manifest_exists
from railiance.domain.check import CheckResult
from railiance.domain.denial import Denial
from railiance.domain.errors import RailianceError
from railiance.domain.verdict import Verdict
from railiance.engine.checks import run_checks
from railiance.engine.planning import traffic_mode
from railiance.engine.traffic import backends
from railiance.engine.work import Work
from railiance_schema import PromqlCheck


def image_problems(work: Work) -> tuple[list[Denial], list[str]]:
    """Return a denial for each image of the candidate that its registry does not have.

    Returns:
        Denials, and warnings about images whose registry cannot be asked from here.
    """
    denials, warnings = [], []
    for image in work.candidate.images:
        if image.digest is None:
            continue  # whether a digest is needed is the digest policy's question
        exists = manifest_exists(image.name, image.digest)
        name = f"{image.name}@{image.digest}"
        if exists is None:
            warnings.append(
                f"the registry of {name} cannot be asked from here, so nobody knows if it is there"
            )
        elif not exists:
            help_ = "push the image, or correct its digest"
            denials.append(Denial("DENY_IMAGE_MISSING", f"the registry has no image {name}", help_))
    return denials, warnings


def metrics_problems(work: Work, stage_name: str) -> list[Denial]:
    """Return a denial when the stage will need Prometheus and it does not answer.

    A contract without a required bound needs none (contract.md 11, trap 5).

    Args:
        work: Whose stage.
        stage_name: `stage2` or `stage3`.
    """
    checks = work.contract.interpolated(stage_name).checks_of(stage_name)
    needed = [c.id for c in checks if isinstance(c, PromqlCheck) and c.required and c.judged]
    if not needed:
        return []
    names = ", ".join(needed)
    metrics = work.hands.metrics
    if metrics is None:
        why = f"no Prometheus is configured, and {stage_name} needs it for {names}"
        return [Denial("DENY_UNREACHABLE", why, "set RAILIANCE_PROMETHEUS_URL")]
    try:
        if metrics.query("vector(1)"):
            return []
        why = f"Prometheus answers nothing to vector(1), and {stage_name} needs it for {names}"
    except RailianceError as error:
        why = f"{error.message} ({stage_name} needs it for {names})"
    return [Denial("DENY_UNREACHABLE", why, "start it, or correct RAILIANCE_PROMETHEUS_URL")]


def gateway_problems(work: Work) -> list[Denial]:
    """Return a denial when users would be shown a canary that nobody can judge: no gateway counters."""
    if traffic_mode(work) != "weighted":
        return []
    if str(work.contract.analysis.source) == "prometheus" and work.hands.metrics is None:
        why = 'analysis.source = "prometheus", and no Prometheus is configured'
        return [Denial("DENY_NO_EVIDENCE_SOURCE", why, "set RAILIANCE_PROMETHEUS_URL")]
    try:
        complete = work.hands.gateway.read(backends(work)).complete
        why = "not every ready gateway pod gives its request counters"
        help_ = "see why its metrics port does not answer"
    except RailianceError as error:
        complete, why, help_ = False, error.message, error.help
    return [] if complete else [Denial("DENY_NO_EVIDENCE_SOURCE", why, help_)]


def dependency_problems(work: Work, stage_name: str) -> tuple[list[Denial], list[str]]:
    """Return a denial for each dependency of the platform that is needed by now and does not pass its check.

    Args:
        work: Whose dependencies.
        stage_name: `stage2` or `stage3`; what an earlier stage needs, it needs as well.

    Returns:
        Denials, and warnings about what is declared without a check, or is optional and fails.
    """
    denials, warnings = [], []
    for dependency in work.contract.interpolated(stage_name).platform.dependencies:
        if str(dependency.stage) > stage_name:
            continue
        name = f"dependency {dependency.name} ({dependency.kind})"
        if dependency.check is None:
            warnings.append(f"{name}: declared, not verified")
            continue
        (result,) = run_checks(work, stage_name, [dependency.check])
        if result.verdict is Verdict.PASS:
            continue
        why = f"{name}: check {result.id} {_words(result)}"
        if dependency.required:
            denials.append(Denial("DENY_DEPENDENCY", why, "bring it up, or correct the check"))
        else:
            warnings.append(why)
    return denials, warnings


def _words(result: CheckResult) -> str:
    return f"is {result.verdict or 'skipped'}: {result.reason}"
