"""Reading a whole queue of one replica, message by message: what the oracle rests on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from harness.core.errors import WireError
from harness.wire.codes import ResponseCode, response_name
from harness.wire.errors import Refused, ReplyTimeout
from harness.wire.message import StoredMessage
from harness.wire.messaging import MessageCalls
from harness.wire.remoting import DEFAULT_TIMEOUT_S
from harness.wire.replies import Jump, PullReply, QueueRead, QueueRef

_NOTHING_HERE = frozenset(
    {
        ResponseCode.PULL_NOT_FOUND,
        ResponseCode.PULL_RETRY_IMMEDIATELY,
        ResponseCode.PULL_OFFSET_MOVED,
    }
)
_LOOKS = 2
_MAX_STALLS = 40


class ReaderCalls(MessageCalls):
    """Whole queues."""

    async def read_queue(self, queue: QueueRef, *, settle_s: float = 0.05, timeout_s: float = 120.0) -> QueueRead:
        """Every message the replica serves, from its min offset on, in its order, nothing deduplicated.

        Never raises for what the broker or the network does: a read that did not reach the end says so
        (`complete`, `code`, `remark`). The end is reached when a pull finds nothing and the max offset is not
        beyond it, twice, `settle_s` apart. Messages not yet dispatched to the queue's index are not there:
        wait for dispatchBehindBytes = 0 first. `timeout_s` bounds the whole read.
        """
        reading = _Reading(self, queue, settle_s)
        try:
            async with asyncio.timeout(timeout_s):
                await reading.run()
        except TimeoutError:
            reading.stop(None, f"not at the end after {timeout_s} s")
        except Refused as refused:
            reading.stop(refused.code, str(refused))
        except WireError as error:
            reading.stop(None, str(error))
            reading.unanswered = isinstance(error, ReplyTimeout)
        return reading.result()

    async def read_queues(
        self,
        queues: Iterable[QueueRef],
        *,
        parallel: int = 16,
        settle_s: float = 0.05,
        timeout_s: float = 120.0,
    ) -> list[QueueRead]:
        """Many queues, `parallel` at a time, in the order asked; `timeout_s` bounds each one's read."""
        gate = asyncio.Semaphore(parallel)

        async def read(queue: QueueRef) -> QueueRead:
            async with gate:
                return await self.read_queue(queue, settle_s=settle_s, timeout_s=timeout_s)

        return list(await asyncio.gather(*(read(queue) for queue in queues)))


@dataclass
class _Reading:
    calls: MessageCalls
    queue: QueueRef
    settle_s: float
    messages: list[StoredMessage] = field(default_factory=list)
    jumps: list[Jump] = field(default_factory=list)
    complete: bool = False
    code: int | None = None
    remark: str = ""
    first: int = 0
    at: int = 0
    end: int = -1
    looks: int = 0
    stalls: int = 0
    stopped: bool = False
    unanswered: bool = False

    async def run(self) -> None:
        self.first = self.at = await self.calls.min_offset(self.queue, timeout_s=DEFAULT_TIMEOUT_S)
        while not self.stopped:
            reply = await self.calls.pull(self.queue, self.at)
            self.code = reply.code
            if reply.found:
                self._found(reply)
            elif reply.code not in _NOTHING_HERE:
                self.stop(reply.code, f"{response_name(reply.code)}: {reply.remark}")
            elif reply.next_offset > self.at:
                self._jump(reply)
            else:
                await self._perhaps_the_end(reply)

    def stop(self, code: int | None, remark: str) -> None:
        self.stopped = True
        self.code = code
        self.remark = f"{self.queue} was not read to its end, stopped at offset {self.at}: {remark}"

    def result(self) -> QueueRead:
        return QueueRead(
            queue=self.queue,
            messages=tuple(self.messages),
            complete=self.complete,
            code=self.code,
            remark=self.remark,
            min_offset=self.first,
            max_offset=self.end if self.complete else self.at,
            jumps=tuple(self.jumps),
            unanswered=self.unanswered,
        )

    def _found(self, reply: PullReply) -> None:
        if reply.next_offset <= self.at:
            self.stop(reply.code, f"the broker found messages and sent the reader to {reply.next_offset}")
            return
        self.messages += reply.messages
        self.at = reply.next_offset
        self.looks = self.stalls = 0

    def _jump(self, reply: PullReply) -> None:
        self.jumps.append(Jump(self.at, reply.next_offset, reply.code))
        self.at = reply.next_offset
        self.looks = self.stalls = 0

    async def _perhaps_the_end(self, reply: PullReply) -> None:
        end = await self.calls.max_offset(self.queue)
        if end < self.at:
            # Going back would deliver some messages a second time, as if the broker held them twice.
            self.stop(reply.code, f"the queue became shorter than what was read: its max offset is {end}")
            return
        if end > self.at:
            self.looks = 0
            self.stalls += 1
            if self.stalls > _MAX_STALLS:
                self.stop(reply.code, f"nothing is delivered though the max offset is {end}")
                return
        else:
            self.looks += 1
            self.end = end
            if self.looks >= _LOOKS:
                self.complete = self.stopped = True
                return
        await asyncio.sleep(self.settle_s)
