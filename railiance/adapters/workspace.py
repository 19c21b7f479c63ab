"""The app's folder: its contract, its candidate, its results. Writes below `.railiance/` only."""

from __future__ import annotations

import fcntl
import json
import os
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from railiance.adapters import git
from railiance.domain.candidate import Candidate, FileDigest, Image, Pins, images_of, is_commit, tree_digest
from railiance.domain.canonical import sha256_digest
from railiance.domain.errors import Broken, Conflict, Usage
from railiance.domain.results import DOCUMENTS, ResultDocument
from railiance_schema import Contract, Stage, StageName, load_contract

CONTRACT = Path("railiance/app.toml")
STATE = Path(".railiance")
_MAX_RESULT = 1 << 20
_MAX_TEXT = 1 << 20
_IGNORE = (
    "# Results, logs and caches stay out of git; schemas for editors do not.\n*\n!schemas/\n!schemas/**\n"
)


def find_app(argument: str | Path = ".") -> Path:
    """Return the app directory that a command line names.

    Args:
        argument: A directory, or the id of an app in the present directory or one level below it.

    Returns:
        The absolute path of the directory.

    Raises:
        Usage: No contract is there (`RAIL001`), or several folders hold that app (`APP_AMBIGUOUS`).
    """
    folder = Path(argument)
    if (folder / CONTRACT).is_file():
        return folder.resolve()
    if folder.is_dir():
        raise Usage(
            "RAIL001",
            f"There is no {CONTRACT} under {folder.resolve()}.",
            "Name an app's folder, or write a contract: railiance contract init, railiance overlay create.",
        )
    found = [
        place for place in (Path.cwd(), *sorted(Path.cwd().iterdir())) if _app_id(place) == str(argument)
    ]
    if len(found) == 1:
        return found[0].resolve()
    if found:
        places = ", ".join(str(place) for place in found)
        raise Usage(
            "APP_AMBIGUOUS", f"Several folders hold the app {argument}: {places}.", "Name the folder."
        )
    raise Usage(
        "RAIL001",
        f"{argument} is neither a folder nor the id of an app in {Path.cwd()} or one level below it.",
        "Name the folder that holds railiance/app.toml.",
    )


def _app_id(folder: Path) -> str | None:
    try:
        document = tomllib.loads((folder / CONTRACT).read_text("utf-8"))
    except (OSError, ValueError):
        return None  # not readable as an app: then it is not the one that was named
    app = document.get("app")
    return app.get("id") if isinstance(app, dict) else None


def contract_bytes(app_dir: Path) -> bytes:
    """Return the bytes of the contract.

    Raises:
        Usage: It cannot be read (`RAIL001`).
    """
    path = app_dir / CONTRACT
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise Usage("RAIL001", message, "Name the folder of an app, or write a contract.") from error


def read_contract(app_dir: Path) -> Contract:
    """Return the contract of an app directory.

    Raises:
        Usage: It cannot be read (`RAIL001`).
        ContractError: It has findings.
    """
    return load_contract(contract_bytes(app_dir), path=str(CONTRACT), env=os.environ)


def read_candidate(app_dir: Path, contract: Contract, digest_override: str | None = None) -> Candidate:
    """Return the candidate that the app directory holds now.

    Args:
        app_dir: The app directory.
        contract: Its contract.
        digest_override: Digest of the image as given on the command line.

    Returns:
        The candidate. Outside of a git repository no commit is known and the work tree counts as dirty.

    Raises:
        Conflict: Two places pin the same image by different digests (`DIGEST_DIFFERS`).
        Usage: A pinned or named file cannot be read.
    """
    tree = git.work_tree(app_dir)
    upstream = _read(app_dir / contract.upstream.file) if contract.upstream else None
    pins = _pins(upstream) if upstream is not None else Pins()
    # An overlay's revision is one of the upstream, whose commits this repository does not have.
    commit = git.resolve(app_dir, contract.source.revision) if tree and upstream is None else None
    digests = {"[source] digest": contract.source.digest, "--digest": digest_override}
    return Candidate(
        app_id=contract.app.id,
        source_revision=contract.source.revision,
        resolved=commit.sha if commit else pins.commit,
        mutable=contract.source.mutable or (commit is not None and commit.moving),
        dirty=tree is None or tree.dirty,
        images=images_of(contract.source.image, digests, pins.images),
        chart=_chart(app_dir, contract),
        values=_values(app_dir, contract),
        contract_digest=contract.digest,
        upstream_digest=sha256_digest(upstream) if upstream is not None else None,
    )


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its path relative to it.

    Raises:
        Usage: A directory is a symbolic link (`TREE_LINK`), so that the tree has no certain end.
    """
    files: dict[str, bytes] = {}
    for parent, folders, names in os.walk(folder):
        for name in folders:
            if (link := Path(parent, name)).is_symlink():
                raise Usage(
                    "TREE_LINK", f"{link} is a symbolic link to a folder.", "Put the files themselves there."
                )
        files.update(
            {str(Path(parent, name).relative_to(folder)): _read(Path(parent, name)) for name in names}
        )
    return files


def read_texts(app_dir: Path, places: Sequence[str]) -> dict[str, str]:
    """Return the text of some files and folders of the app, by path, without binary and large files."""
    texts = {}
    for place in places:
        path = app_dir / place
        files = {f"{place}/{name}": data for name, data in read_tree(path).items()} if path.is_dir() else {}
        if path.is_file():
            files[place] = _read(path)
        for name, data in files.items():
            if len(data) <= _MAX_TEXT and b"\0" not in data:
                texts[name] = data.decode("utf-8", "replace")
    return texts


def repository_paths(app_dir: Path) -> tuple[str, str]:
    """Return the paths of the contract and of the app directory, relative to the repository's root."""
    tree = git.work_tree(app_dir)
    folder = app_dir.relative_to(tree.root) if tree else Path()
    return str(folder / CONTRACT), str(folder)


def state_dir(app_dir: Path, *parts: str) -> Path:
    """Return a folder below `.railiance/`, made if missing, and kept out of git."""
    root = app_dir / STATE
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    if not (root / ".gitignore").exists():
        write_file(root / ".gitignore", _IGNORE.encode())
    return folder


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, whenever this process or the machine may die."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_result(app_dir: Path, document: ResultDocument) -> Path:
    """Keep the last document of a verb in `.railiance/results/` and return its path."""
    verb = next(verb for verb, model in DOCUMENTS.items() if isinstance(document, model))
    path = state_dir(app_dir, "results") / f"{verb}.json"
    write_file(path, json.dumps(document.document(), indent=2).encode() + b"\n")
    return path


def read_result(app_dir: Path, verb: str) -> ResultDocument | None:
    """Return the last document of a verb, or None if there is none.

    Raises:
        Broken: It is there but is no such document (`RESULT_UNREADABLE`).
    """
    path = app_dir / STATE / "results" / f"{verb}.json"
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return _parsed(raw, DOCUMENTS[verb])
    except ValueError as error:
        message = f"{path} is no result of `railiance {verb}` that this version can read."
        raise Broken("RESULT_UNREADABLE", message, f"Make a new one: railiance {verb}.") from error


@contextmanager
def only_one(app_dir: Path, what: str) -> Iterator[None]:
    """Hold a lock of this folder while the block runs; the system frees it when the process dies.

    Raises:
        Conflict: Another process holds it (`RUN_LOCKED`).
    """
    with (state_dir(app_dir) / f"{what}.lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another `railiance {what}` is at work in {app_dir}."
            raise Conflict("RUN_LOCKED", message, "Wait for its end, or end it.") from error
        yield


def _parsed(raw: bytes, model: type[ResultDocument]) -> ResultDocument:
    if len(raw) > _MAX_RESULT:
        raise ValueError("too large")
    document = json.loads(raw, object_pairs_hook=_no_duplicates)
    if not isinstance(document, dict) or set(document) != set(model.model_fields):
        raise ValueError("keys are missing or unknown")  # a default must not stand in for what was not said
    return model.model_validate(document)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands there twice")
    return document


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise Usage(
            "FILE_UNREADABLE", message, "Put it there, or correct the path in railiance/app.toml."
        ) from error


def _pins(upstream: bytes) -> Pins:
    try:
        document = tomllib.loads(upstream.decode())
        commit = str(document.get("upstream", {}).get("revision", ""))
        images = tuple(Image(str(entry["name"]), entry.get("digest")) for entry in document.get("images", []))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        message = f"The overlay's pins cannot be read: {error}."
        raise Usage("PINS_UNREADABLE", message, "Correct upstream.toml.") from error
    return Pins(commit if is_commit(commit) else None, images)


def _stages(contract: Contract) -> list[Stage]:
    """Return the declared stages, with `${{ }}` resolved where a path needs it."""
    stages = []
    for name in StageName:
        stage = getattr(contract.stages, name)
        if stage is not None and any("${{" in path for path in (stage.chart, *stage.values)):
            stage = getattr(contract.interpolated(name).stages, name)
        if stage is not None:
            stages.append(stage)
    return stages


def _chart(app_dir: Path, contract: Contract) -> FileDigest | None:
    charts = sorted({stage.chart for stage in _stages(contract) if (app_dir / stage.chart).is_dir()})
    if len(charts) <= 1:
        return FileDigest(charts[0], tree_digest(read_tree(app_dir / charts[0]))) if charts else None
    files = {f"{chart}/{path}": data for chart in charts for path, data in read_tree(app_dir / chart).items()}
    return FileDigest(", ".join(charts), tree_digest(files))


def _values(app_dir: Path, contract: Contract) -> tuple[FileDigest, ...]:
    paths = sorted({path for stage in _stages(contract) for path in stage.values})
    return tuple(
        FileDigest(path, sha256_digest(_read(app_dir / path))) for path in paths if (app_dir / path).is_file()
    )
