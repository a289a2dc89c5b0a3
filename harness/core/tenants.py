"""Names of scenarios that come after others on one cluster: with a prefix, which says nothing of what is demanded."""

from __future__ import annotations

import re
from typing import Final

_GROUP: Final = re.compile(r"(?<=\bgroup=)s\d+-")
_OF_RUN: Final = re.compile(r"rmqh-[0-9a-f]{6}-\d+-")


def prefix(tenant: int) -> str:
    """What stands before the topics and groups of the `tenant`-th scenario (2, 3...) on a cluster."""
    return f"s{tenant}-"


def prefix_of_run(token: str, number: int) -> str:
    """What stands before everything that the `number`-th scenario of a run makes on a cluster of others.

    `token` is the run's own, six hexadecimal digits.
    """
    return f"rmqh-{token}-{number}-"


def declared(demand: str) -> str:
    """A demand in words as the scenario was written: under the names it would have on a cluster of its own."""
    return _OF_RUN.sub("", _GROUP.sub("", demand))
