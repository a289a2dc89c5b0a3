from __future__ import annotations

import pytest

from harness.clients.decisions import Decision, decision_of
from harness.clients.outcome import of_status


def test_a_quarter_of_the_messages_comes_to_each_end():
    assert [decision_of(f"p-1-{n}") for n in range(4, 8)] == list(Decision)


def test_whoever_is_asked_answers_the_same():
    assert decision_of("p-1-6") is decision_of("p-1-6") is Decision.COMMIT_WHEN_ASKED


def test_half_commit_and_half_are_told_at_once():
    assert [d.commits for d in Decision] == [True, False, True, False]
    assert [d.at_once for d in Decision] == [True, True, False, False]


def test_an_id_that_is_no_message_of_ours_is_refused():
    with pytest.raises(ValueError, match="invalid literal"):
        decision_of("somebody-else's")


def test_a_commit_is_to_be_seen_and_a_rollback_never():
    assert (of_status("COMMIT_MESSAGE"), of_status("ROLLBACK_MESSAGE")) == ("ok", "fail")
