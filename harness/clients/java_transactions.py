"""The local transactions of a Java producer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import jpype

from harness.clients import outcome
from harness.clients.decisions import decision_of

_PACKAGE: Final = "org.apache.rocketmq.client.producer"
PRODUCER: Final = f"{_PACKAGE}.TransactionMQProducer"


def listener(decided: Callable[[int, int, outcome.Outcome, str], None]) -> Any:
    """A TransactionListener. `decided(n, time_ns, outcome, status)` is called when a half message was stored.

    That is while the local transaction runs, before the broker is told its end: whoever is killed between the two has
    recorded what must come of the message. Of one whose end nobody tells the broker asks, and is answered the same.
    """
    state = jpype.JClass(f"{_PACKAGE}.LocalTransactionState")
    ends = {True: state.COMMIT_MESSAGE, False: state.ROLLBACK_MESSAGE}

    @jpype.JImplements(f"{_PACKAGE}.TransactionListener")
    class Listener:
        @jpype.JOverride  # type: ignore[untyped-decorator]
        def executeLocalTransaction(self, message: Any, _argument: Any) -> Any:
            message_id = str(message.getKeys())
            decision = decision_of(message_id)
            end = ends[decision.commits]
            status = str(end.name())
            decided(int(message_id.rpartition("-")[2]), time.monotonic_ns(), outcome.of_status(status), status)
            return end if decision.at_once else state.UNKNOW

        @jpype.JOverride  # type: ignore[untyped-decorator]
        def checkLocalTransaction(self, message: Any) -> Any:
            return ends[decision_of(str(message.getKeys())).commits]

    return Listener()
