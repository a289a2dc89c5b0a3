"""Topology files: found by name or path, read strictly, refused in one line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harness.core.errors import UsageError
from harness.topology.model import BrokerGroup, Replica, Topology

_PACKAGED = Path(__file__).parent / "data"
_REPOSITORY = Path(__file__).parents[2] / "topologies"

_REMEDIES = {
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

    Anything with a slash or ending in .yaml or .yml is a path; a file of one's own has a name of its own. Raises
    `UsageError`, one line, naming the file, the key, the value and what to do about it.
    """
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        topology = parse_topology(_read(Path(name_or_path)), name_or_path)
        _refuse_taken_name(topology, Path(name_or_path))
        return topology
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


def _refuse_taken_name(topology: Topology, path: Path) -> None:
    """Results are filed by name: two clusters must not go by one."""
    taken = topology_directory() / f"{topology.name}.yaml"
    if topology.name in known_topologies() and not path.samefile(taken):
        raise UsageError(
            f"{path}: name = {topology.name!r} is the name of a topology that comes with the harness; "
            f"give yours another one, such as my-{topology.name}"
        )


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
    if Path(name).is_file():
        return f"topology {name!r} is not known; there is a file of that name: write ./{name} to mean it"
    if "," in name:
        several = " ".join(f"--topology={part.strip()}" for part in name.split(",") if part.strip())
        return f"topology {name!r} is not known: for several, repeat the option ({several})"
    near = difflib.get_close_matches(name, known_topologies(), n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"topology {name!r} is not known: {hint}known are {_names()}; a path to a YAML file works too"


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    if unknown:
        return _unknown_key(unknown[0], problems)
    problem = problems[0]
    key = ".".join(str(part) for part in problem["loc"])
    message = _one_line(problem["msg"].removeprefix("Value error, "))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if problem["type"] == "value_error":
        return f"{f'{key}: ' if key else ''}{message}{more}"
    value = "" if problem["type"] == "missing" else f" = {problem['input']!r}"
    remedy = _REMEDIES.get(problem["type"])
    return f"{key}{value}: {message}{f'; {remedy}' if remedy else ''}{more}"


def _unknown_key(problem: Any, problems: Sequence[Any]) -> str:
    """A key that nobody knows comes before all else: what is said to be missing may be what it was meant to be."""
    *above, key = problem["loc"]
    model = Replica if "replicas" in above else BrokerGroup if "brokers" in above else Topology
    known = list(model.model_fields)
    near = difflib.get_close_matches(str(key), known, n=1)
    meant = (*above, near[0]) if near else None
    others = [p for p in problems if p is not problem and not (p["type"] == "missing" and p["loc"] == meant)]
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}; remove it"
    more = f" (and {len(others)} more)" if others else ""
    return f"{'.'.join(map(str, problem['loc']))} = {problem['input']!r}: there is no such key; {hint}{more}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
