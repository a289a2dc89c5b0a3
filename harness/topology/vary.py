"""A topology with another number of nameservers or another flush, under a name of its own."""

from __future__ import annotations

from pydantic import ValidationError

from harness.core.errors import UsageError
from harness.topology.model import Flush, Topology


def with_changes(topology: Topology, *, nameservers: int | None = None, flush: Flush | None = None) -> Topology:
    """The topology as changed; the same if nothing is. Its name tells what was: results are filed by it.

    What it promises follows from its nodes and its flush. Raises UsageError if it would be none, such as a stock
    cluster that is not as shipped.
    """
    changes: dict[str, object] = {}
    words = [topology.name]
    if flush is not None and flush != topology.flush:
        changes["flush"] = flush
        words.append(f"{flush}flush")
    if nameservers is not None and nameservers != topology.nameservers:
        changes["nameservers"] = nameservers
        words.append(f"{nameservers}ns")
    if not changes:
        return topology
    try:
        return Topology.model_validate(topology.model_dump() | changes | {"name": "-".join(words)})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        told = problem["msg"].removeprefix("Value error, ")
        raise UsageError(f"{topology.name}: {f'{key}: ' if key else ''}{told}") from None
