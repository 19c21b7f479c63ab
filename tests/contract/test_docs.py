"""The documents keep up with the code: every verb, code and link, checked against what is there."""

import ast
import os
import re
from pathlib import Path

import click
import pytest

from railiance import cli
from railiance.commands import codes

ROOT = Path(__file__).parents[2]
FOLDERS = ("railiance", "flows", "tasks", "blocks")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md")])
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
KNOWN = {code for _, _, group in codes.GROUPS for code in group}


def trees():
    """Yield the parsed source files of the product."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ast.parse(path.read_text("utf-8"))


def error_classes(parsed):
    """Return the names of all classes that carry a code: the tree of RailianceError, and Denial."""
    bases = {"RailianceError", "Denial"}
    classes = [node for tree in parsed for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while True:
        more = {c.name for c in classes if {b.id for b in c.bases if isinstance(b, ast.Name)} & bases} - bases
        if not more:
            return bases
        bases |= more


def codes_in(node):
    """Yield the strings within a piece of source that look like a code."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and CODE.fullmatch(part.value):
            yield part.value


def used_codes():
    """Return every code in the source: first argument of an error or a denial, value of a `code`, or DENY_…."""
    parsed = list(trees())
    classes, found = error_classes(parsed), set()
    for node in (node for tree in parsed for node in ast.walk(tree)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and node.args:
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            found |= set(codes_in(node.args[0])) if name in classes else set()
        elif isinstance(node, ast.Assign) and "code" in ast.unparse(node.targets[0]):
            found |= set(codes_in(node.value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} if re.fullmatch(r"DENY(_[A-Z]+)+", node.value) else set()
    return found - {"DENY_HELM"}  # a prefix that the code looks for


def test_every_code_has_its_line():
    """Every code that the program can give has a meaning in railiance/commands/codes.py."""
    used = used_codes()
    assert len(used) > 100, "the scan finds too little; it would prove nothing"
    assert sorted(used - KNOWN) == []


def test_no_code_is_told_that_nobody_gives():
    """What the page tells exists: no code stays in it after its last use is gone."""
    text = "".join(
        path.read_text("utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.name != "codes.py"
    )
    assert sorted(code for code in KNOWN if f'"{code}"' not in text) == []


def test_page_of_codes():
    """The page of codes is what the program says; RAILIANCE_GOLDEN=write writes it anew."""
    path = ROOT / "docs/reference/codes.md"
    if os.environ.get("RAILIANCE_GOLDEN") == "write":
        path.write_text(codes.reference_text(), "utf-8")
    assert path.read_text("utf-8") == codes.reference_text()


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_every_verb_is_documented(verb):
    """Every verb that exists has a section in the reference of the command line."""
    if verb not in cli.cli.list_commands(None):
        assert f"## railiance {verb}\n" not in (ROOT / "docs/reference/cli.md").read_text("utf-8")
        return
    assert f"## railiance {verb}\n" in (ROOT / "docs/reference/cli.md").read_text("utf-8")


def anchors(path):
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ +(.+?)\s*$", FENCED.sub("", path.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(page):
    """Every link within the repository leads to a file that is there, and to a heading in it."""
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_reachable():
    """Every page below docs/ is linked from docs/index.md, directly or over other pages."""
    seen, todo = set(), [ROOT / "docs/index.md"]
    while todo:
        page = todo.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        links = LINK.findall(FENCED.sub("", page.read_text("utf-8")))
        todo += [(page.parent / link.partition("#")[0]).resolve() for link in links if ":" not in link]
    assert (
        sorted(str(p.relative_to(ROOT)) for p in PAGES if p.is_relative_to(ROOT / "docs") and p not in seen)
        == []
    )


def shown_commands():
    """Yield each command line of ours that a document shows, in a block or in quotes, with its page."""
    for page in [*PAGES, *sorted((ROOT / "railiance/demo_app/template").rglob("*.md"))]:
        text = page.read_text("utf-8")
        for line in re.findall(r"^\$? *(?:\.venv/bin/)?railiance ([a-z][^\n#|]*)", text, re.MULTILINE):
            yield page, line
        for line in re.findall(r"`railiance ([a-z][^`]*)`", text):
            yield page, line


def problem(line):
    """Return what is wrong with a command line: a verb or an option that does not exist."""
    command, context = cli.cli, click.Context(cli.cli, info_name="railiance")
    for word in line.replace("[", " ").replace("]", " ").split():
        if word.startswith("--"):
            options = {o for p in command.get_params(context) for o in (*p.opts, *p.secondary_opts)}
            if word.partition("=")[0] not in options:
                return f"no option {word}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]+", word):
            command = command.get_command(context, word)
            if command is None:
                return f"no verb {word}"
            context = click.Context(command, info_name=word, parent=context)
    return None


def test_commands_in_documents_exist():
    """Every verb and option that a document shows exists, unless the page names it as not there yet."""
    shown = list(shown_commands())
    assert len(shown) > 50
    wrong = [f"{page.relative_to(ROOT)}: {line}: {p}" for page, line in shown if (p := problem(line))]
    assert wrong == []
