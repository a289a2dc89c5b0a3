"""What a pull is answered, and whom it is sent to: no answer is no other answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.wire.errors import ReplyTimeout
from harness.wire.replies import PullReply
from harness.workloads.probes import PullDirect


def reply(code: int = 0, suggested: int = 0, messages: int = 0) -> PullReply:
    return PullReply(code, "", 0, 0, 0, (None,) * messages, suggested)  # type: ignore[arg-type]


def stage(*replies: PullReply | None) -> Any:
    """A master with as many queues as there are replies; None is silence."""
    left = list(replies)

    def pull(*_about: object, **_more: object) -> PullReply:
        answer = left.pop(0)
        if answer is None:
            raise ReplyTimeout("silent")
        return answer

    nothing: Any = tuple
    cluster = SimpleNamespace(
        masters=lambda: ("broker-a-0",), slaves=nothing, brokers=nothing, nameservers=nothing, clients=nothing,
        address=lambda node: "10.0.0.1:10911",
        admin=SimpleNamespace(pull=pull, drop=lambda _address: None),
        plan=SimpleNamespace(topics=[SimpleNamespace(queues=len(replies))]),
    )  # fmt: skip
    return SimpleNamespace(cluster=cluster, topics=("topic-0",))


@pytest.mark.parametrize(
    ("replies", "seen"),
    [
        ((reply(26), reply(26)), {"answered": 2, "messages": 0, "suggested_least": None}),
        ((reply(26), None), {"answered": 1, "messages": 0}),
        ((reply(0, 1, 3), reply(0, 0, 2)), {"answered": 2, "messages": 5, "suggested_least": 0, "suggested_most": 1}),
        ((reply(19, 1), reply(0, 1, 1)), {"suggested_least": 1, "suggested_most": 1}),
        ((None, None), {"asked": 2, "answered": 0, "suggested_most": None}),
    ],
)
def test_what_was_answered(replies: tuple[PullReply | None, ...], seen: dict[str, Any]) -> None:
    got = PullDirect(target="master/0", group="g").run(stage(*replies))
    assert got.items() >= seen.items()
    assert set(got) == PullDirect.SEEN


def test_silence_is_no_other_code() -> None:
    got = PullDirect(target="master/0", group="g", among=(26,)).run(stage(reply(26), None, reply(19)))
    assert got["codes"] == {"26": 1, "none": 1, "19": 1, "other": 1}
    got = PullDirect(target="master/0", group="g", among=(26,)).run(stage(None))
    assert (got["codes"]["26"], got["codes"]["other"]) == (0, 0)
