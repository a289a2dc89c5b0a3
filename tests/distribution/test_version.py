"""Versions compare by number, not by spelling."""

from __future__ import annotations

import pytest

from harness.core.errors import UsageError
from harness.core.version import Version


def test_order_is_by_number():
    texts = ["5.10.0", "4.9.7", "5.4.0", "5.4.0-SNAPSHOT", "5.3.3", "4.10.0"]
    assert [str(v) for v in sorted(map(Version.parse, texts))] == [
        "4.9.7",
        "4.10.0",
        "5.3.3",
        "5.4.0-SNAPSHOT",
        "5.4.0",
        "5.10.0",
    ]


def test_compares_with_tuples():
    version = Version.parse("5.3.3")
    assert version >= (5, 2)
    assert version == (5, 3)
    assert version < (5, 3, 4)
    assert not version > (5, 3)
    assert version != (4,)
    assert version.major == 5


@pytest.mark.parametrize("text", ["5.3", "5.3.3.", "five", "", "5.3.3 beta", "-5.3.3"])
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="three numbers"):
        Version.parse(text)
