"""A bug that shows itself now and then: expected where it does, and nothing is odd where it does not."""

from __future__ import annotations

import pytest

from harness.core.verdict import Verdict
from tests.plugin.conftest import Inner, Stub

pytest_plugins = ["pytester"]

ROW = "async-flush-loses-only-a-tail"
CUT = '''
from harness.suite import *

@guarantee("async-flush-loses-only-a-tail")
def test_cut(scenario):
    """A power cut costs only the newest."""
    scenario(load=[produce()], demand=[forbid("torn")])
'''


def test_one_that_held_surprises_nobody(inner: Inner) -> None:
    ended = inner(suite=CUT)
    row = ended.row(ROW)
    assert (ended.code, ended.outcomes) == (0, {"passed": 1})
    assert (row["verdict"], row["known"], row["expected"]) == ("held", False, "held")
    assert "checksum" in row["sometimes"]


def test_one_that_showed_it_is_known(inner: Inner, stub: Stub) -> None:
    stub.outcomes["cut"] = Verdict.BROKEN
    ended = inner(suite=CUT)
    row = ended.row(ROW)
    assert (ended.code, ended.outcomes) == (0, {"xfailed": 1})
    assert (row["verdict"], row["known"]) == ("broken", row["sometimes"])


@pytest.mark.parametrize("seen", [Verdict.INCONCLUSIVE, Verdict.BROKEN])
def test_nothing_else_is_excused(inner: Inner, stub: Stub, seen: Verdict) -> None:
    stub.outcomes["cut"] = seen
    ended = inner(suite=CUT.replace('"torn"', '"lost"'))
    assert ended.code == (1 if seen is Verdict.BROKEN else 6)


def test_explained(inner: Inner) -> None:
    from harness.catalogue.text import explain

    assert "expected   sometimes broken for" in explain(ROW)
