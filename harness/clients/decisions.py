"""What becomes of each half message of a producer in mode transaction, decided by its number alone."""

from __future__ import annotations

from enum import IntEnum


class Decision(IntEnum):
    """What the local transaction of message n comes to: `Decision(n % 4)`.

    The number alone decides, so that whoever is asked, of any process of the group and any number of times, answers
    what was recorded.
    """

    COMMIT = 0
    ROLLBACK = 1
    COMMIT_WHEN_ASKED = 2
    ROLLBACK_WHEN_ASKED = 3

    @property
    def commits(self) -> bool:
        """In the end the message is to be seen."""
        return self in (Decision.COMMIT, Decision.COMMIT_WHEN_ASKED)

    @property
    def at_once(self) -> bool:
        """The broker is told when the transaction ends; else it is told that this is not known, and must ask."""
        return self in (Decision.COMMIT, Decision.ROLLBACK)


def decision_of(message_id: str) -> Decision:
    """The decision on the message of this id, `<process>-<n>`. Raises ValueError for another id."""
    return Decision(int(message_id.rpartition("-")[2]) % len(Decision))
