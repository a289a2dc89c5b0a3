"""What is known of each kind of fault: a new one is to be thought of here, and not to be taken for another."""

from __future__ import annotations

from typing import get_args

from harness.checkers.kinds import KINDS, traits
from harness.faults import AnyFault


def test_something_is_known_of_every_fault_there_is() -> None:
    assert set(KINDS) == {kind.model_fields["kind"].default for kind in get_args(get_args(AnyFault)[0])}


def test_an_unknown_one_may_have_ended_anything() -> None:
    assert traits("of another version").ends_process
    assert not traits("of another version").goes_on
