"""Topology files: found by name or path, read strictly, refused in one line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.core.errors import UsageError
from harness.topology.model import Topology

_PACKAGED = Path(__file__).parent / "data"
_REPOSITORY = Path(__file__).parents[2] / "topologies"

_REMEDIES = {
    "extra_forbidden": "remove it or correct its spelling",
    "missing": "add it",
}


def topology_directory() -> Path:
    """Where the topologies that come with the harness are: package data, or the repository's own folder."""
    return _PACKAGED if _PACKAGED.is_dir() else _REPOSITORY


def known_topologies() -> tuple[str, ...]:
    """The names that `load_topology` knows without a path, sorted."""
    return tuple(sorted(path.stem for path in topology_directory().glob("*.yaml")))


def load_topology(name_or_path: str) -> Topology:
    """Reads a topology by name (`2m-2s-sync`) or from a YAML file.

    Anything with a slash or ending in .yaml or .yml is a path. Raises `UsageError`, one line, naming the file, the
    key, the value and what to do about it.
    """
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        return parse_topology(_read(Path(name_or_path)), name_or_path)
    if name_or_path not in known_topologies():
        raise UsageError(_unknown(name_or_path))
    path = topology_directory() / f"{name_or_path}.yaml"
    return parse_topology(_read(path), str(path))


def parse_topology(text: str, source: str) -> Topology:
    """Reads the text of a topology file; `source` names it in errors. Raises `UsageError`."""
    try:
        document: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{source} is not YAML: {_one_line(str(error))}") from None
    if not isinstance(document, dict):
        found = "empty" if document is None else f"a {type(document).__name__}"
        raise UsageError(f"{source} is {found}: a topology is a mapping with name, nameservers, brokers, replication")
    try:
        return Topology.model_validate(document)
    except ValidationError as error:
        raise UsageError(f"{source}: {_first_problem(error)}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: give a topology's file or one of {_names()}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {_one_line(str(error))}") from None


def _names() -> str:
    return ", ".join(known_topologies())


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, known_topologies(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"topology {name!r} is not known: {hint}known are {_names()}; a path to a YAML file works too"


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    problem = problems[0]
    key = ".".join(str(part) for part in problem["loc"])
    message = _one_line(problem["msg"].removeprefix("Value error, "))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if problem["type"] == "value_error":
        return f"{f'{key}: ' if key else ''}{message}{more}"
    value = "" if problem["type"] == "missing" else f" = {problem['input']!r}"
    remedy = _REMEDIES.get(problem["type"])
    return f"{key}{value}: {message}{f'; {remedy}' if remedy else ''}{more}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
