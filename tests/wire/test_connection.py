from __future__ import annotations

import asyncio
import socket
import struct
import threading

import pytest

from harness.core.errors import WireError
from harness.wire.connection import Connection
from harness.wire.errors import ConnectionLost, Malformed, ReplyTimeout, Unreachable
from harness.wire.frame import FLAG_REPLY, Frame, encode
from harness.wire.remoting import PlainDialer, Remoting
from harness.wire.sending import SendTemplate, send_fields
from tests.fakes.server import FakeConnection, FakeServer


class Scripted(FakeServer):
    """Does what the test says with each request."""

    def __init__(self, script):
        super().__init__()
        self.script = script
        self.seen = []

    def handle(self, connection: FakeConnection, frame: Frame) -> None:
        self.seen.append(frame)
        self.script(self, connection, frame)


def echo(_, connection, frame):
    connection.reply(frame, 0, dict(frame.ext), frame.body)


def run(script, work):
    with Scripted(script) as server:

        async def main():
            connection = await Connection.to("127.0.0.1", server.port)
            try:
                return await work(server, connection)
            finally:
                await connection.close()

        return asyncio.run(main())


def test_many_requests_in_flight_get_each_its_own_answer():
    async def work(server, connection):
        futures = [connection.submit(10, {"n": str(n)}, b"%d" % n) for n in range(5000)]
        assert connection.pending == 5000
        for n, answer in enumerate(await asyncio.gather(*futures)):
            assert (answer.ext, answer.body) == ({"n": str(n)}, b"%d" % n)
        assert connection.pending == 0
        assert [frame.ext["n"] for frame in server.seen] == [str(n) for n in range(5000)]

    run(echo, work)


def test_answers_out_of_order():
    held = []

    def backwards(_, connection, frame):
        held.append(frame)
        if len(held) == 3:
            for request in reversed(held):
                connection.reply(request, 0, body=request.body)

    async def work(server, connection):
        answers = await asyncio.gather(*(connection.submit(1, {}, b"%d" % n) for n in range(3)))
        assert [answer.body for answer in answers] == [b"0", b"1", b"2"]

    run(backwards, work)


def test_requests_of_the_peer_are_handed_on_and_not_taken_for_answers():
    pushed = []

    def push_first(_, connection, frame):
        connection.send(Frame(40, {"consumerGroup": "g"}, opaque=frame.opaque, flag=2))
        connection.send(Frame(39, {}, b"half", opaque=frame.opaque))
        connection.reply(frame, 0, body=b"answer")

    with Scripted(push_first) as server:

        async def main():
            sock = PlainDialer().dial(server.address)
            connection = await Connection.over(sock, "peer", on_request=pushed.append)
            answer = await connection.request(34, {})
            connection.answer(Frame(0, opaque=pushed[1].opaque, flag=FLAG_REPLY))
            await connection.request(34, {})
            await connection.close()
            return answer

        assert asyncio.run(main()).body == b"answer"
    assert [(frame.code, frame.is_oneway) for frame in pushed[:2]] == [(40, True), (39, False)]
    assert server.seen[1].is_reply


def test_a_raising_callback_costs_nobody_else_an_answer():
    async def work(server, connection):
        problems = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))

        def raising(_):
            raise RuntimeError("mine")

        connection.submit_raw(1, {}, b"", raising)
        assert (await connection.request(1, {}, b"x")).body == b"x"
        assert str(problems[0]["exception"]) == "mine"

    run(echo, work)


def test_losing_the_connection_fails_everything_pending_and_everything_after():
    def drop_at_third(server, connection, frame):
        if len(server.seen) == 3:
            connection.drop()

    async def work(server, connection):
        replies = []
        for _ in range(3):
            connection.submit_raw(310, {}, b"", replies.append)
        with pytest.raises(ConnectionLost, match="SEND_MESSAGE_V2"):
            await connection.submit(310, {})
        assert len(replies) == 3
        assert all(isinstance(reply, ConnectionLost) for reply in replies)
        assert connection.closed
        with pytest.raises(Unreachable):
            connection.submit_raw(310, {}, b"", replies.append)
        with pytest.raises(Unreachable):
            connection.oneway(310, {})
        assert len(replies) == 3

    run(drop_at_third, work)


def test_closing_fails_what_is_pending_once():
    async def work(server, connection):
        replies = []
        connection.submit_raw(1, {}, b"", replies.append)
        await connection.close()
        await connection.close()
        assert [type(reply) for reply in replies] == [ConnectionLost]

    run(lambda *_: None, work)


def test_no_answer_in_time_and_the_late_one_is_only_counted():
    def late(server, connection, frame):
        server.later(0.25, connection.reply, frame, 0)

    async def work(server, connection):
        with pytest.raises(ReplyTimeout, match="PULL_MESSAGE"):
            await connection.request(11, {}, timeout_s=0.1)
        assert not connection.closed
        await connection.request(11, {}, timeout_s=2)
        assert connection.late_replies == 1

    run(late, work)


def truncated(_, connection, frame):
    connection.raw(encode(Frame(0, opaque=frame.opaque, flag=1))[:-3])
    connection.transport.close()


def oversized(_, connection, frame):
    connection.raw(struct.pack(">i", 2**30))


def garbage(_, connection, frame):
    connection.raw(b"\0\0\0\x08\0\0\0\x04!!!!")


def http(_, connection, frame):
    connection.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("script", "error", "says"),
    [
        (truncated, ConnectionLost, "middle of a frame"),
        (oversized, Malformed, "not between"),
        (garbage, Malformed, "not JSON"),
        (http, Malformed, "not between"),
    ],
)
def test_broken_bytes_fail_what_is_pending(script, error, says):
    async def work(server, connection):
        first = connection.submit(1, {})
        second = connection.submit(1, {})
        for future in (first, second):
            with pytest.raises(error, match=says):
                await future
        assert connection.closed

    run(script, work)


def test_pending_requests_are_bounded():
    with Scripted(lambda *_: None) as server:

        async def main():
            connection = Connection("peer", max_pending=2)
            await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", server.port)
            futures = [connection.submit(1, {}) for _ in range(2)]
            with pytest.raises(WireError, match="2 requests pending"):
                connection.submit(1, {})
            connection.abort()
            for outcome in await asyncio.gather(*futures, return_exceptions=True):
                assert isinstance(outcome, ConnectionLost)

        asyncio.run(main())


def test_nothing_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

        async def main():
            with pytest.raises(Unreachable):
                await Connection.to("127.0.0.1", port)
            remoting = Remoting()
            with pytest.raises(Unreachable, match=str(port)):
                await remoting.call(f"127.0.0.1:{port}", 105)
            with pytest.raises(Unreachable, match="host:port"):
                await remoting.call("nowhere", 105)
            await remoting.close()

        asyncio.run(main())


def test_one_kept_connection_per_address_and_a_new_one_after_a_loss():
    with Scripted(echo) as server:

        class Counting(PlainDialer):
            dialled = 0

            def dial(self, address):
                Counting.dialled += 1
                return super().dial(address)

        async def main():
            remoting = Remoting(Counting())
            await asyncio.gather(*(remoting.call(server.address, 1) for _ in range(20)))
            assert Counting.dialled == 1
            await asyncio.to_thread(server.disconnect_all)
            while not (await remoting.connection(server.address)).closed and Counting.dialled == 1:
                await asyncio.sleep(0.01)
            await remoting.call(server.address, 1)
            assert Counting.dialled == 2
            await remoting.oneway(server.address, 37)
            await remoting.call(server.address, 1)
            await remoting.close()
            await remoting.close()

        asyncio.run(main())
    assert [frame.is_oneway for frame in server.seen if frame.code == 37] == [True]


def test_a_dial_that_hangs_is_given_up_in_time():
    release = threading.Event()

    class Hanging:
        def dial(self, address):
            release.wait(5)
            raise OSError("late")

    async def main():
        remoting = Remoting(Hanging())
        with pytest.raises(Unreachable, match=r"within 0\.1 s"):
            await remoting.call("127.0.0.1:1", 1, timeout_s=0.1)
        release.set()
        await remoting.close()

    asyncio.run(main())


def test_callers_of_an_unreachable_peer_fail_together_not_one_after_another():
    dialled = []

    class Slow:
        def dial(self, address):
            dialled.append(address)
            threading.Event().wait(0.2)
            raise OSError("refused")

    async def main():
        remoting = Remoting(Slow())
        outcomes = await asyncio.gather(*(remoting.call("127.0.0.1:1", 1) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(outcome, Unreachable) for outcome in outcomes)
        assert len({id(outcome) for outcome in outcomes}) == 10
        assert dialled == ["127.0.0.1:1"]
        await remoting.close()

    asyncio.run(main())


def test_a_raising_callback_does_not_stop_timeouts_of_others():
    async def work(server, connection):
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)

        def raising(_):
            raise RuntimeError("mine")

        connection.submit_raw(1, {}, b"", raising, timeout_s=0.05)
        for _ in range(2):
            with pytest.raises(ReplyTimeout):
                await connection.request(1, {}, timeout_s=0.1)

    run(lambda *_: None, work)


def test_a_send_template_writes_what_the_slow_path_writes():
    async def work(server, connection):
        properties = 'KEYS\x01k"é\x02TAGS\x01\\t\x02'
        opened = SendTemplate("topic", "group", "broker-a").opened(3, properties, 12)
        replies = []
        connection.submit_opened(opened, b"body", replies.append)
        await connection.request(1, {})
        slow = send_fields("topic", 3, {"KEYS": 'k"é', "TAGS": "\\t"}, "group", "broker-a") | {"g": "12"}
        assert server.seen[0].ext == slow
        assert (server.seen[0].code, server.seen[0].body, len(replies)) == (310, b"body", 1)

    run(echo, work)
