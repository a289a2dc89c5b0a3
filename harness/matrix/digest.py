"""What a verdict depends on, as digests: an edit of documentation, comments or tests makes nothing stale.

Not covered: the installed Python packages, the kernel and the machine.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from harness.catalogue import load_catalogue
from harness.core.guarantee import STOCK_ROW, Guarantee
from harness.core.version import Version
from harness.foreign import DEFAULT_CLIENT
from harness.matrix.cells import CellSpec, Inputs
from harness.stock import counts_for_stock
from harness.topology import Topology, load_topology

SUFFIXES: Final = (".py", ".yaml", ".txt", ".lock")
ELSEWHERE: Final = ("harness/catalogue/guarantees", "harness/distribution/locks", "harness/topology/data")
"""Hashed for each row, release or topology on its own."""
WITHOUT_EFFECT: Final = (
    "harness/bench",
    "harness/bundle.py",
    "harness/matrix",
    "harness/cli.py",
    "harness/compare",
    "harness/doctor.py",
    "harness/index.py",
    "harness/playground.py",
    "harness/plugin",
    "harness/publish.py",
    "harness/recheck.py",
    "harness/report",
    "harness/words.py",
)
"""They render, measure, drive or choose what is run; no verdict comes from them."""
SUITES: Final = "suites"
LONG_SUITES: Final = "suites-nightly"
UPGRADE_SUITES: Final = "suites/upgrade"
WITH_EFFECT: Final = ("harness/plugin/outcomes.py", "harness/report/rows.py")


class Digests:
    """The inputs of every row as the tree `root` has them now; reads each file once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of_cell(self, spec: CellSpec) -> dict[str, Inputs]:
        """What the verdict on each guarantee that the cell's topology promises depends on, in the catalogue's order."""
        topology = load_topology(spec.topology)
        ground = self._of_ground(spec, topology)
        version = Version.parse(spec.rocketmq)
        promised = load_catalogue().promised(topology, version)
        if spec.upgrade_to is not None:
            both = load_catalogue().promised(topology, version, upgrade=True)
            promised = tuple(row for row in both if row not in promised)
        # What only the long suites judge is added to it whenever they are run, and no reason to run the others again.
        parts = [part for part in promised if counts_for_stock(part) and part.id not in self.long]
        return {
            guarantee.id: self._inputs(ground, [guarantee, *parts] if guarantee.id == STOCK_ROW else [guarantee])
            for guarantee in promised
        }

    def _inputs(self, ground: str, rows: Sequence[Guarantee]) -> Inputs:
        """Of one row, or of the row of the shipped configuration with all that it is made of."""
        return Inputs(
            harness=self.harness,
            topology=ground,
            suites=self._of_suites([row.id for row in rows]),
            promise=of_promise(rows[0]) if len(rows) == 1 else digest({row.id: of_promise(row) for row in rows}),
        )

    @cached_property
    def harness(self) -> str:
        """The harness itself, without what has no effect on verdicts."""
        paths = [path for path in self._files("harness") if self._counts(path)]
        return digest({self._name(path): meaning(path) for path in paths})

    @cached_property
    def long(self) -> frozenset[str]:
        """Guarantees that no sign-off has time for: only the long suites judge them."""
        room = self._root / LONG_SUITES
        return frozenset(name for name, paths in self.judged_by.items() if all(room in p.parents for p in paths))

    @cached_property
    def judged_by(self) -> dict[str, tuple[Path, ...]]:
        """Guarantee -> the suite files with a function that judges it."""
        found: dict[str, list[Path]] = {}
        for path in self._suites:
            for name in guarantees_in(path.read_text(encoding="utf-8")):
                found.setdefault(name, []).append(path)
        return {name: tuple(dict.fromkeys(paths)) for name, paths in found.items()}

    @cached_property
    def _suites(self) -> tuple[Path, ...]:
        return tuple(path for room in (SUITES, LONG_SUITES) for path in self._files(room))

    @cached_property
    def _shared_suites(self) -> dict[str, str]:
        """Files that judge nothing themselves: helpers that any suite of the same folder may use."""
        return {self._name(p): meaning(p) for p in self._suites if not p.name.startswith("test_")}

    def _of_suites(self, guarantees: Iterable[str]) -> str:
        paths = {path for guarantee in guarantees for path in self.judged_by.get(guarantee, ())}
        own = {self._name(path): meaning(path) for path in paths}
        rooms = {name.partition("/")[0] for name in own} or {SUITES}
        shared = {name: text for name, text in self._shared_suites.items() if name.partition("/")[0] in rooms}
        return digest(own | shared)

    def _of_ground(self, spec: CellSpec, topology: Topology) -> str:
        # Where there is no proxy nothing of it is said: what was judged before there could be any is no older for it.
        proxies = set[str]() if topology.proxies else {"proxies"}
        shape = topology.model_dump(mode="json", exclude={"description", *proxies})
        client = spec.client.partition(":")[2] or DEFAULT_CLIENT
        locks = self._root / "harness" / "distribution" / "locks"
        names = [f"rocketmq-{spec.rocketmq}.lock", f"rocketmq-client-{client}.lock", "jre.lock"]
        names += [f"{spec.client}.lock"] if spec.client in ("cpp", "grpc") else []
        names += [f"rocketmq-proxy-{spec.rocketmq}.lock"] if topology.proxies else []
        names += [f"rocketmq-{spec.upgrade_to}.lock"] if spec.upgrade_to is not None else []
        texts = {name: meaning(locks / name) for name in names if (locks / name).is_file()}
        return digest(texts | {"topology": json.dumps(shape, sort_keys=True)})

    def _files(self, room: str) -> list[Path]:
        found = (path for path in (self._root / room).rglob("*") if path.suffix in SUFFIXES and path.is_file())
        return sorted(path for path in found if "__pycache__" not in path.parts)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _counts(self, path: Path) -> bool:
        name = self._name(path)
        return name in WITH_EFFECT or not _below(name, (*ELSEWHERE, *WITHOUT_EFFECT))


def of_promise(guarantee: Guarantee) -> str:
    """What the catalogue demands and expects of a row; its wording is documentation."""
    rules = [
        (
            r.expectation.verdict,
            r.versions.text,
            repr(r.where),
            list(r.java),
            r.client,
            r.expectation.reason,
            list(r.expectation.demands),
        )
        for r in guarantee.rules
    ]
    figure = ("figure",) if guarantee.figure else ()
    demands = (repr(guarantee.where), sorted(guarantee.needs), str(guarantee.min_version), guarantee.timers, *figure)
    return digest({"rules": json.dumps(rules), "demands": json.dumps(demands)})


def digest(texts: Mapping[str, str]) -> str:
    """Twelve hexadecimal digits of names and contents."""
    total = hashlib.sha256()
    for name in sorted(texts):
        total.update(f"{name}\0{texts[name]}\0".encode())
    return total.hexdigest()[:12]


def meaning(path: Path) -> str:
    """A file without what no run can notice: comments, docstrings and layout of Python."""
    text = path.read_text(encoding="utf-8")
    return without_words(text) if path.suffix == ".py" else text


def without_words(source: str) -> str:
    """What Python reads in a source, without docstrings, comments and layout; broken source as it is."""
    try:
        return _shape(ast.parse(source))
    except SyntaxError:
        return source


def _shape(node: object) -> str:
    """A syntax tree in one line. What is empty is left out, which versions of Python tell in different ways."""
    if isinstance(node, ast.AST):
        told = (f"{name}={_shape(value)}" for name, value in ast.iter_fields(node) if value is not None and value != [])
        return f"{type(node).__name__}({','.join(told)})"
    if isinstance(node, list):
        return f"[{','.join(_shape(item) for item in node if not _is_words(item))}]"
    return repr(node)


def _is_words(node: object) -> bool:
    """A docstring, or any other string that stands for itself."""
    alone = node.value if isinstance(node, ast.Expr) else None
    return isinstance(alone, ast.Constant) and isinstance(alone.value, str)


def guarantees_in(source: str) -> tuple[str, ...]:
    """The ids in `@guarantee("id", ...)` of a suite file, without running it."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names += [name for call in node.decorator_list for name in _marked(call)]
    return tuple(dict.fromkeys(names))


def _marked(call: ast.expr) -> Iterable[str]:
    if not isinstance(call, ast.Call):
        return
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "guarantee":
        yield from (str(arg.value) for arg in call.args if isinstance(arg, ast.Constant))


def _below(name: str, rooms: Iterable[str]) -> bool:
    return any(name == room or name.startswith(f"{room}/") for room in rooms)
