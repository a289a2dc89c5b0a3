"""What the catalogue says a row needs is what its suite functions ask of the machine, for users are told by it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.catalogue import Catalogue, load_catalogue
from harness.core.version import Version
from harness.prover import Prover, SuiteFunction
from harness.runtime.base import CAPABILITIES
from harness.scenario import Control, Scenario
from harness.topology import known_topologies, load_topology

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "suites").rglob("test_*.py"))


class Listener(Prover):
    """Runs nothing, and remembers what capabilities it was asked to run with."""

    def __init__(self, topology: str, version: str) -> None:
        self._suite = SuiteFunction("suite-function", "", ())
        self.topology = load_topology(topology)
        self.version = Version.parse(version)
        self.timers = "fast"
        self.client = "java"
        self.needs: set[str] = set()
        self._random = Random(1)

    def skipped(self, reason: str) -> None:
        assert reason

    def prove(self, scenario: Scenario, control: Control | None = None) -> None:
        self.needs |= scenario.needs() | (control.scenario.needs() if control is not None else set())


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def functions(path: Path) -> Iterator[tuple[Any, tuple[str, ...]]]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, function in vars(module).items():
        marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "guarantee"]
        if name.startswith("test_") and marks:
            yield function, tuple(str(word) for mark in marks for word in mark.args)


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_the_catalogue_says_what_the_suite_needs(path, catalogue):
    for function, ids in functions(path):
        asked: set[str] = set()
        for topology in known_topologies():
            for version in ("4.9.7", "5.3.3"):
                listener = Listener(topology, version)
                if any(catalogue.get(name).promised(listener.topology) for name in ids):
                    function(listener)
                    asked |= listener.needs
        said = {need for name in ids for need in catalogue.get(name).needs} & set(CAPABILITIES)
        assert said == asked, f"{function.__name__} judges {', '.join(ids)}"
