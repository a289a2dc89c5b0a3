"""What a look says that it sees is what its documentation says."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from harness.workloads.probes import AnyProbe

KINDS = list(get_args(get_args(AnyProbe)[0]))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_fields_are_those_of_the_documentation(kind: Any) -> None:
    told = re.search(r"`\{(.*?)\}`", kind.run.__doc__, re.DOTALL)
    if kind.SEEN and told is not None:
        flat = re.sub(r"\{[^{}]*\}", "", re.sub(r"\{[^{}]*\}", "", told.group(1)))
        assert set(re.findall(r'"(\w+)"', flat)) <= kind.SEEN
    elif kind.SEEN is not None and not kind.SEEN:
        assert told is None, "it is said to have no fields"
