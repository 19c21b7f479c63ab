"""A page for every code a finding can have."""

from __future__ import annotations

from dataclasses import dataclass

from railiance_schema.suggest import nearest


@dataclass(frozen=True, slots=True)
class Page:
    """What one code means.

    Attributes:
        title: The rule, in one sentence.
        text: Why it is a rule, and what to do.
    """

    title: str
    text: str


PAGES: dict[str, Page] = {
    "RAIL001": Page(
        "A repository needs a contract.",
        "No `railiance/app.toml` stands below the given folder. `railiance contract init` writes one "
        "for an app, `railiance overlay create` for an overlay repository.",
    ),
    "RAIL002": Page(
        "A contract is plain UTF-8.",
        "A byte order mark, UTF-16 or a stray byte makes other tools read another text than we do. "
        "Save the file as UTF-8 without a byte order mark. Line ends may be LF or CRLF.",
    ),
    "RAIL003": Page(
        "A contract is TOML.",
        "The file cannot be parsed, so nothing else was looked at. Usual causes: a string without "
        "quotes, `True` for `true`, a bracket that is never closed.",
    ),
    "RAIL004": Page(
        "A key is set once.",
        "TOML refuses a key that is set twice. Keep one of the two lines.",
    ),
    "RAIL005": Page(
        "A table is declared once.",
        "Put all keys of a table below one header. An array of tables has double brackets, "
        "`[[checks]]`, everywhere.",
    ),
    "RAIL010": Page(
        "A contract names its version.",
        'The first line is `schema_version = "railiance.app.v1"`.',
    ),
    "RAIL011": Page(
        "A version is written in one way.",
        'Versions match exactly; there are no ranges. Write `schema_version = "railiance.app.v1"`.',
    ),
    "RAIL012": Page(
        "A contract of a newer version is refused.",
        "It may hold rules that this tool does not know, so nothing is run. Install a newer railiance.",
    ),
    "RAIL013": Page(
        "A contract of an older version is migrated first.",
        "`railiance contract migrate` shows the edit, `--write` makes it.",
    ),
    "RAIL020": Page(
        "Unknown tables are refused.",
        "A misspelt table would silently switch off what it declares. Tables and keys called `x-…` "
        "are free for other tools.",
    ),
    "RAIL021": Page(
        "Unknown keys are refused.",
        "A misspelt key would silently leave its default in force. Keys called `x-…` are free for "
        "other tools.",
    ),
    "RAIL022": Page(
        "Required keys are there.",
        "The finding points at the table that lacks the key.",
    ),
    "RAIL023": Page(
        "Values have the type of their key.",
        "Nothing is converted: 5 is no string, and one string is no list.",
    ),
    "RAIL024": Page(
        "Some keys choose among a few words.",
        "The finding lists them.",
    ),
    "RAIL025": Page(
        "Values have the format of their key.",
        "Ids, DNS labels, durations, digests, URLs and ranges of numbers; the finding says which and "
        "gives an example.",
    ),
    "RAIL026": Page(
        "Empty is no answer.",
        "A key that must say something does not do so with an empty string.",
    ),
    "RAIL030": Page(
        "Stages cannot be skipped upward.",
        "Stage 2 builds on the evidence of Stage 1, Stage 3 on that of Stage 2. Enable the stage "
        "below. In an emergency `railiance break-glass` is the path: it leaves a trace, the contract "
        "would not.",
    ),
    "RAIL031": Page(
        "Listed ids exist.",
        "A list of `checks` names checks, health endpoints, metrics or logs. A check that is not "
        "found would never be asked.",
    ),
    "RAIL032": Page(
        "Canary and stable are two helm_releases.",
        "With one release in one namespace the canary would overwrite stable. The usual name is "
        "`<id>-canary`.",
    ),
    "RAIL033": Page(
        "Production needs a way back.",
        "An enabled stage3 needs a `[rollback]` that can act on the artifact: `helm-revision` brings "
        "back images and charts, `known-good` also bundles, `restore` needs `[stateful]`.",
    ),
    "RAIL034": Page(
        "A critical app needs approval.",
        "`requires_approval` can add an approval, never take away the one that criticality asks for.",
    ),
    "RAIL035": Page(
        "A check that binds to an endpoint has its address.",
        "An http check with the id of a health endpoint takes over its `url`, `expected_status` and "
        "`host_header`. Another `url` would make one id mean two things.",
    ),
    "RAIL036": Page(
        "Ids are unique.",
        "Checks, health endpoints, metrics and logs share one set of ids.",
    ),
    "RAIL037": Page(
        "Weighted traffic stays in one namespace.",
        "A weighted route splits between two Services beside it.",
    ),
    "RAIL038": Page(
        "Two versions do not share one store.",
        "An app with data cannot be a weighted canary: the new version would migrate the data under "
        'the old one. Only `strategy = "read-only-canary"` allows weights.',
    ),
    "RAIL039": Page(
        "What cannot be undone is not undone by itself.",
        'With `reversible = false` a failed bake stops and asks: `on_fail = "ask"`.',
    ),
    "RAIL040": Page(
        "Stage 1 proves something.",
        "An enabled stage1 has a command or a check.",
    ),
    "RAIL041": Page(
        "Weights rise.",
        "Each step shows the canary to more users than the one before.",
    ),
    "RAIL042": Page(
        "Safeguards are as strict as the criticality, or stricter.",
        "Criticality decides who approves, how long evidence counts, and how long a bake lasts. A "
        "contract may ask for more, never for less. A low app may do without approval and with a "
        "shorter bake.",
    ),
    "RAIL043": Page(
        "A check says one thing completely.",
        "A command check has `run` or `argv`; `jsonpath` and `equals` need each other.",
    ),
    "RAIL044": Page(
        "A promql check has one bound.",
        "`compare` with `threshold`, or `stable_query` for a comparison with stable. A metric may go "
        "without: then it is recorded and never judged.",
    ),
    "RAIL045": Page(
        "Expressions stand in few places.",
        "`${{ … }}` is filled in in commands, urls, references, namespace, release, host, chart and "
        "values. Never in ids, versions or secrets.",
    ),
    "RAIL046": Page(
        "Expressions know few names.",
        "app.id, source.revision, stage.name, stage.namespace, stage.release, env.NAME. No functions,"
        " no nesting. `${VAR}` and `$(…)` stay the shell's.",
    ),
    "RAIL047": Page(
        "Variables are set.",
        "The stage in use reads a variable of the environment that is not set.",
    ),
    "RAIL048": Page(
        "Keys stand where they mean something.",
        "`serve` starts the local target of stage1.",
    ),
    "RAIL049": Page(
        "Log references are data.",
        "A `kubectl logs …` line is parsed and read through the API, never executed: no pipes, no "
        "second command.",
    ),
    "RAIL050": Page(
        "No plaintext secrets.",
        "The value looks like one. Take it out, change it (it is in the history now), and name its "
        "object in `[[secrets.references]]`. If it is none, allow the line: `# railiance: "
        "allow-secret-shape <reason>`.",
    ),
    "RAIL051": Page(
        "Keys and kubeconfigs cannot be waived.",
        "No reason makes a private key or a kubeconfig belong here.",
    ),
    "RAIL052": Page(
        "A waiver has a reason.",
        "`# railiance: allow-secret-shape <reason>`",
    ),
    "RAIL053": Page(
        "A database is a declared dependency.",
        "`[stateful] database` names one of `[[platform.dependencies]]`.",
    ),
    "RAIL054": Page(
        "An app is a member of its group.",
        "Every member's contract has the same `members`.",
    ),
    "RAIL055": Page(
        "Bounds stand in order.",
        "What is acceptable lies below what is not, and the earliest PASS before the end of the watch.",
    ),
    "RAIL101": Page(
        "A mutable revision is legal.",
        "`git:main` means another commit tomorrow. Evidence binds the commit it meant in Stage 1.",
    ),
    "RAIL102": Page(
        "A metric without a bound is recorded only.",
        "It can never stop a canary.",
    ),
    "RAIL103": Page(
        "A database without `[stateful]` is legal.",
        "A rollback then brings back manifests, not data, and the approver reads so.",
    ),
    "RAIL104": Page(
        "A Stage 2 endpoint should lead to the canary.",
        "This one addresses the stable Service. The canary's own pods are probed in any case.",
    ),
    "RAIL105": Page(
        "A default should be used.",
        "Every stage says its own value.",
    ),
    "RAIL106": Page(
        "A waived secret shape stays visible.",
        "A comment on the line says that this is no secret.",
    ),
}


def page(code: str) -> str | None:
    """Return the page of a code as text, or None when there is no such code."""
    found = PAGES.get(code.upper())
    return f"{code.upper()}: {found.title}\n\n{found.text}" if found else None


def nearest_code(code: str) -> str | None:
    """Return the code a person probably meant."""
    return nearest(code.upper(), PAGES)
