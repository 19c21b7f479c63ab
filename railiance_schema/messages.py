"""From what pydantic reports to findings in the words of the file."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from railiance_schema.app import Path
from railiance_schema.checks import CHECK_MODELS
from railiance_schema.document import dotted
from railiance_schema.findings import Finding
from railiance_schema.report import At, Reporter, shown
from railiance_schema.secret_shapes import looks_secret, redact
from railiance_schema.shape import field_at, homes, is_list, keys_of, model_at, model_of, table_name, words_of
from railiance_schema.suggest import nearest

_WANTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "datetime_type": "a local date and time without quotes",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "greater than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


class Translator:
    """Turns the errors of one validation into findings.

    Args:
        document: The file's data, without defaults.
        derived: Paths of values that defaults put there.
        reporter: Makes findings about the file.
    """

    def __init__(self, document: Mapping[str, Any], derived: Container[Path], reporter: Reporter) -> None:
        self.document = document
        self.derived = derived
        self.reporter = reporter
        self.expected: set[Path] = set()

    def findings(self, errors: Iterable[ErrorDetails]) -> list[Finding]:
        """Translate all errors; a key that is only misspelt is not reported missing as well."""
        listed = list(errors)
        said = [error for error in listed if not self._is_derived(self.path_of(error))]
        listed = said or listed  # a derived value is wrong because another one is; unless nothing else is
        unknown = [self.unknown(error) for error in listed if error["type"] == "extra_forbidden"]
        found = [self.translate(error) for error in listed if error["type"] != "extra_forbidden"]
        return unknown + [finding for finding in found if finding is not None]

    def explains(self, finding: Finding) -> bool:
        """Say whether a finding only follows from a misspelt table, which is reported already."""
        at = finding.key_path
        names = [dotted(path) for path in self.expected]
        return any(at == name or at.startswith((f"{name}.", f"{name}[")) for name in names)

    def _is_derived(self, path: Path) -> bool:
        return any(path[: end + 1] in self.derived for end in range(len(path)))

    def path_of(self, error: ErrorDetails) -> Path:
        """Return where an error stands in the file: pydantic names a check's type as if it were a key."""
        path: Path = tuple(error["loc"])
        if len(path) > 2 and path[0] == "checks" and path[2] in CHECK_MODELS:
            path = (*path[:2], *path[3:])
        return path

    def unknown(self, error: ErrorDetails) -> Finding:
        """Report a table or key that no model knows."""
        path = self.path_of(error)
        name, parent = str(path[-1]), path[:-1]
        is_table = _holds_tables(error["input"]) and (
            not parent or path in self.reporter.places.headers or parent == ("stages",)
        )
        model = model_at(parent, self.document)
        valid = keys_of(model) if model else {}
        guess = nearest(name, valid)
        if guess is not None:
            self.expected.add((*parent, guess))
        where = table_name(parent, self.document)
        message = f"unknown {'table' if is_table else 'key'} `{name}` in {where}"
        kind = (
            self.document["checks"][path[1]].get("type")
            if parent[:1] == ("checks",) and len(parent) == 2
            else None
        )
        label = (
            f'not a key of `type = "{kind}"`'
            if kind in CHECK_MODELS
            else f"not a {'table' if is_table else 'key'} of {where}"
        )
        return self.reporter.error(
            "RAIL020" if is_table else "RAIL021",
            message,
            At(path, label),
            *self._declared_at(parent),
            help=self._help_for_unknown(name, parent, guess, list(valid), is_table=is_table),
        )

    def _help_for_unknown(
        self, name: str, parent: Path, guess: str | None, valid: list[str], *, is_table: bool
    ) -> str:
        if parent == ("stages",):
            return "the stages are `stage1`, `stage2` and `stage3`; only these exist"
        if guess is not None:
            return (
                f"did you mean `[{'.'.join([*map(str, parent), guess])}]`?"
                if is_table
                else f"did you mean `{guess}`?"
            )
        elsewhere = [
            home for home in homes().get(name, ()) if home != table_name(parent, self.document).strip("`")
        ]
        if elsewhere and not is_table:
            return f"`{name}` belongs in {' or '.join(elsewhere[:3])}"
        return "it may hold " + ", ".join(f"`{key}`" for key in valid[:8]) + (", …" if len(valid) > 8 else "")

    def _declared_at(self, table: Path) -> list[At]:
        """Point at the id of the list item that a finding is about."""
        if not table or not isinstance(table[-1], int):
            return []
        places = self.reporter.places
        for key in ("id", "name"):
            if (*table, key) in places.keys:
                what = {"checks": "check", "health_endpoints": "endpoint"}.get(str(table[-2]), "entry")
                return [At((*table, key), f"the {what} is declared here", on="value")]
        return []

    def translate(self, error: ErrorDetails) -> Finding | None:
        """Report one wrong or missing value."""
        path, kind = self.path_of(error), error["type"]
        if kind in {"missing", "union_tag_not_found"}:
            return self.missing(path if kind == "missing" else (*path, "type"))
        if kind == "union_tag_invalid":
            return self.wrong_word((*path, "type"), error["input"].get("type"))
        name = _name(path)
        if kind.startswith("RAIL"):
            return self.broken_format(path, kind, error)
        if kind in {"enum", "literal_error"}:
            return self.wrong_word(path, error["input"])
        if kind in _WANTED:
            return self.wrong_type(path, error["input"], _WANTED[kind])
        return self._at_value("RAIL025", _bound(name, error), path, "out of range", "")

    def broken_format(self, path: Path, code: str, error: ErrorDetails) -> Finding:
        """Report what a validator of ours says about a value."""
        name, context = _name(path), error["ctx"]
        if _hidden(name, error["input"]):  # a suggestion would repeat it in other letters
            return self._at_value(code, f"`{name}` cannot be this value", path, "", "")
        message = f"`{name}` {context['what']}" + _value(code, name, error["input"])
        return self._at_value(code, message, path, "", context["help"])

    def missing(self, path: Path) -> Finding | None:
        """Report a key that is not there, at the header of its table."""
        if path in self.expected:
            return None
        name, parent = _name(path), path[:-1]
        field = field_at(path, self.document)
        if field is not None and model_of(field.annotation) is not None and not is_list(field.annotation):
            message, help_text = (
                f"the table `[{'.'.join(map(str, path))}]` is missing",
                f"{field.description}",
            )
        else:
            message = f"`{name}` is missing in {table_name(parent, self.document)}"
            help_text = f"`{name}`: {field.description}" if field is not None and field.description else ""
        if path[-1] == "type":
            help_text = "the types are " + ", ".join(f'"{word}"' for word in CHECK_MODELS)
        return self.reporter.error("RAIL022", message, At(path, f"no `{name}`"), help=help_text)

    def wrong_word(self, path: Path, value: Any) -> Finding:
        """Report a word that is none of the few allowed ones."""
        name = _name(path)
        field = field_at(path, self.document)
        words = words_of(field.annotation) if field is not None else {}
        words = dict.fromkeys(CHECK_MODELS, "") if path[:1] == ("checks",) and path[-1] == "type" else words
        if not isinstance(value, str):
            return self.wrong_type(path, value, "a word in quotes")
        guess = nearest(value, words)
        listed = ", ".join(
            f'"{word}"' + (f" ({meaning})" if meaning else "") for word, meaning in words.items()
        )
        help_text = (f'did you mean "{guess}"? ' if guess else "") + f"the words are {listed}"
        message = f"`{name}` cannot be {shown(name, value)}"
        return self._at_value("RAIL024", message, path, "not one of the words", help_text)

    def wrong_type(self, path: Path, value: Any, wanted: str) -> Finding:
        """Report a value of the wrong TOML type."""
        name = _name(path)
        message = f"`{name}` must be {wanted}, not {_type_name(value)}"
        help_text = ""
        if wanted == "a list" and not isinstance(value, dict):
            help_text = f"write `{name} = [{shown(name, value, 80)}]`"
        elif wanted == "a string" and isinstance(value, int | float):
            help_text = f'write `{name} = "{shown(name, value)}"`'
        return self._at_value("RAIL023", message, path, f"{wanted} is wanted", help_text)

    def _at_value(self, code: str, message: str, path: Path, label: str, help_text: str) -> Finding:
        return self.reporter.error(code, message, At(path, label, on="value"), help=help_text)


def _name(path: Path) -> str:
    """Return the key that a person sees: for a list item, the key of its list."""
    return next((str(part) for part in reversed(path) if isinstance(part, str)), "the contract")


def _bound(name: str, error: ErrorDetails) -> str:
    """Say which bound a number breaks."""
    if error["type"] in _BOUNDS:
        key, words = _BOUNDS[error["type"]]
        return f"`{name}` must be {words} {error['ctx'][key]}, not {shown(name, error['input'])}"
    return f"`{name}` cannot be {shown(name, error['input'])}"


def _hidden(name: str, value: Any) -> bool:
    """Say whether a value must not be shown."""
    return isinstance(value, str) and (looks_secret(name, value) or redact(value) != value)


def _value(code: str, name: str, value: Any) -> str:
    return f": {shown(name, value)}" if code == "RAIL025" and isinstance(value, str | int | float) else ""


def _type_name(value: Any) -> str:
    for types, name in ((bool, "a boolean"), (str, "a string"), (int, "an integer"), (float, "a float")):
        if isinstance(value, types):
            return name
    return "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a date or time"


def _holds_tables(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
    )
