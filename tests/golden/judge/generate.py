"""Write the golden sequences that the judge is compared with, by the design's reference implementation.

Run by hand, with numpy installed and the path of the reference as the argument:

    python tests/golden/judge/generate.py path/to/canary_sim.py

Each file holds the terms, the batches (canary requests and errors, stable requests and errors, per reading)
and the reference's values after each: `worse`, `fine`, `breach_canary`, `breach_stable`.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def load(path):
    """Return the reference implementation as a module."""
    spec = importlib.util.spec_from_file_location("reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def traffic(seed, readings, rps, *, weight, shares, seconds):
    """Return Poisson traffic; `shares` gives the error shares of canary and stable at a reading."""
    chance = np.random.default_rng(seed)
    batches = []
    for reading in range(readings):
        requests = chance.poisson(rps * weight * seconds), chance.poisson(rps * (1 - weight) * seconds)
        errors = [
            chance.binomial(count, share(reading)) for count, share in zip(requests, shares, strict=True)
        ]
        batches.append([int(n) for n in (requests[0], errors[0], requests[1], errors[1])])
    return batches


def constant(share):
    """Return an error share that never changes."""
    return lambda _: share


def cases():
    """Yield name, terms and steps; a step is a weight with its batches."""
    healthy, base = constant(0.001), constant(0.001)
    base_terms = {"seconds": 5.0, "blip": 10.0, "dispersion": 1.0, "success_ratio_min": 0.99}
    yield "healthy", base_terms, [(10, traffic(1, 120, 10, weight=0.1, shares=(healthy, base), seconds=5.0))]
    yield (
        "outage",
        base_terms,
        [(10, traffic(2, 20, 100, weight=0.1, shares=(constant(1.0), base), seconds=5.0))],
    )
    late = traffic(
        3, 120, 100, weight=0.1, shares=(lambda reading: 0.05 if reading >= 60 else 0.001, base), seconds=5.0
    )
    yield "late-fault", base_terms, [(10, late)]
    shared = traffic(4, 60, 50, weight=0.1, shares=(constant(0.2), constant(0.2)), seconds=5.0)
    yield "both-bad", base_terms, [(10, shared)]
    yield (
        "one-blip",
        base_terms,
        [(20, traffic(5, 60, 50, weight=0.2, shares=(lambda r: float(r == 20), base), seconds=5.0))],
    )
    two = [
        (20, traffic(6, 40, 50, weight=0.2, shares=(healthy, base), seconds=2.0)),
        (50, traffic(7, 40, 50, weight=0.5, shares=(healthy, base), seconds=2.0)),
    ]
    yield "two-steps", {**base_terms, "seconds": 2.0, "blip": 3.0}, two
    bursts = {**base_terms, "dispersion": 2.5, "success_ratio_min": 0.995}
    yield (
        "bursts",
        bursts,
        [(5, traffic(8, 120, 30, weight=0.05, shares=(constant(0.01), base), seconds=5.0))],
    )
    yield "silence", base_terms, [(10, [[0, 0, 0, 0]] * 50)]


def values(reference, terms, steps):
    """Return the reference's values after every batch."""
    phi, seconds, bound = terms["dispersion"], terms["seconds"], 1.0 - terms["success_ratio_min"]
    worse = reference.Worse(phi=phi, burst=terms["blip"])
    fine = reference.NotWorse(phi=phi)
    canary, stable = reference.Breach(bound, phi=phi), reference.Breach(bound, phi=phi)
    rows = []
    for weight, batches in steps:
        share = reference.Share(weight / 100)
        for index, (nc, ec, ns, es) in enumerate(batches):
            odds = share.update(nc, ns)
            rows.append(
                [
                    float(worse.update(nc, ec, ns, es, odds, seconds)),
                    float(fine.update(nc, ec, ns, es, odds)),
                    float(canary.update(nc, ec, seconds)),
                    float(stable.update(ns, es, seconds)),
                ]
            )
            if index == 0 and rows[1:]:  # the batch that spans a change of weight belongs to no step's counts
                share = reference.Share(weight / 100)
    return rows


def main(path):
    """Write one file a case."""
    reference = load(path)
    for name, terms, steps in cases():
        document = {
            "terms": terms,
            "steps": [{"weight": weight, "batches": batches} for weight, batches in steps],
            "values": values(reference, terms, steps),
        }
        (HERE / f"{name}.json").write_text(json.dumps(document) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
