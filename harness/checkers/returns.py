"""What every scenario demands though none says so: a node that was killed, stopped or cut from power comes back."""

from __future__ import annotations

from harness.core.history import History
from harness.core.names import RESTART_FAILED


def never_returned(history: History) -> str:
    """The nodes that twice exited by themselves when they were started again, with their last words; empty if none.

    Complete in itself: it rests on nothing that would have come later. Says nothing of a node that was killed, that
    took too long, or whose machine was short of memory or disk or not known not to be.
    """
    found = []
    for seen in {o.name: o for o in history.observations if o.name.startswith(RESTART_FAILED)}.values():
        about = seen.value if isinstance(seen.value, dict) else {}
        exits = about.get("exits", ())
        if about.get("returned") is False and len(exits) > 1 and all(e.get("own") for e in exits):
            node = seen.name[len(RESTART_FAILED) :]
            found.append(f"{node} does not come back: it was started twice; {exits[-1].get('words', '')}")
    return "; ".join(found)
