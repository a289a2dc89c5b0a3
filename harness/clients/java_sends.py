"""A send and its answer in one crossing between Python and Java, made of method handles: there is no compiler here.

Every crossing gives Python's lock away and takes it back, and every object that crosses gets a wrapper: with a call for
the send and others for what the answer says, eight threads of one process sent a quarter fewer messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import jpype

_PRODUCER: Final = "org.apache.rocketmq.client.producer"
_MESSAGE: Final = "org.apache.rocketmq.common.message"
_BETWEEN: Final = "\n"

Send = Callable[[str, str], str]
"""Takes keys and body (a character a byte), sends that and returns what `read_told` reads.

Raises what the client's `send` throws. What of that is checked comes wrapped in an UndeclaredThrowableException, which
`harness.clients.jvm.thrown` looks into.
"""


def read_told(text: str) -> tuple[str, tuple[str, int, int]]:
    """Status and place (broker, queue, offset) of an answer. Raises `ValueError`."""
    status, broker, queue, offset = text.split(_BETWEEN)
    return status, (broker, int(queue), int(offset))


def message(topic: str, *, wait: bool, delay_level: int | None, properties: Sequence[tuple[str, str]]) -> Any:
    """A method handle: keys and body (a character a byte) -> a Message. The other functions here take it."""
    handles, look, kind = _handles(), _lookup(), _java(f"{_MESSAGE}.Message")
    string, octets, nothing = _java("java.lang.String"), jpype.JArray(jpype.JByte), _primitive("Void")
    make = look.findConstructor(
        kind, _type(nothing, [string, string, string, _primitive("Integer"), octets, _primitive("Boolean")])
    )
    make = handles.insertArguments(make, 5, [_java("java.lang.Boolean").valueOf(wait)])
    make = handles.insertArguments(make, 3, [_java("java.lang.Integer").valueOf(0)])
    make = handles.insertArguments(make, 0, [jpype.JString(topic), None])
    encode = look.findVirtual(string, "getBytes", _type(octets, [_java("java.nio.charset.Charset")]))
    latin = _java("java.nio.charset.StandardCharsets").ISO_8859_1
    make = handles.filterArguments(make, 1, [handles.insertArguments(encode, 1, [latin])])

    def then(name: str, kinds: Sequence[Any], *values: Any) -> Any:
        setter = handles.insertArguments(look.findVirtual(kind, name, _type(nothing, kinds)), 1, list(values))
        return handles.filterReturnValue(make, handles.foldArguments(handles.identity(kind), setter))

    if delay_level:
        make = then("setDelayTimeLevel", [_primitive("Integer")], _java("java.lang.Integer").valueOf(delay_level))
    for name, value in properties:
        make = then("putUserProperty", [string, string], jpype.JString(name), jpype.JString(value))
    return make


def made(message: Any) -> Callable[[str, str], Any]:
    """Keys and body (a character a byte) -> a Message, for a send that is not one of these."""
    made: Callable[[str, str], Any] = _applying(message, "BiFunction")
    return made


def plain(producer: Any, message: Any) -> Send:
    """`send(message)`: the client chooses the queue."""
    return _sending(producer, message, [], [])


def pinned(producer: Any, message: Any, queue: Any) -> Send:
    """`send(message, queue)`."""
    return _sending(producer, message, [_java(f"{_MESSAGE}.MessageQueue")], [queue])


def selected(producer: Any, message: Any, selector: Any, key: Any) -> Send:
    """`send(message, selector, key)`."""
    kinds = [_java(f"{_PRODUCER}.MessageQueueSelector"), _java("java.lang.Object")]
    return _sending(producer, message, kinds, [selector, key])


def told() -> Callable[[Any], str]:
    """What `read_told` reads, of a SendResult."""
    told: Callable[[Any], str] = _applying(_telling(), "Function")
    return told


def _sending(producer: Any, message: Any, kinds: Sequence[Any], values: Sequence[Any]) -> Send:
    handles, result = _handles(), _java(f"{_PRODUCER}.SendResult")
    # The class that declares it, whatever the producer's own is: of that one the lookup is a public one.
    declaring = _java(f"{_PRODUCER}.DefaultMQProducer")
    handle = _lookup().findVirtual(declaring, "send", _type(result, [_java(f"{_MESSAGE}.Message"), *kinds]))
    handle = handles.filterReturnValue(handle.bindTo(producer), _telling())
    handle = handles.insertArguments(handle, 1, list(values)) if values else handle
    send: Send = _applying(handles.collectArguments(handle, 0, message), "BiFunction")
    return send


@cache
def _telling() -> Any:
    """SendResult -> its status, broker, queue and offset, put together by String.join."""
    handles, look = _handles(), _lookup()
    result, queue, status = (
        _java(name) for name in (f"{_PRODUCER}.SendResult", f"{_MESSAGE}.MessageQueue", f"{_PRODUCER}.SendStatus")
    )
    string, piece = _java("java.lang.String"), _java("java.lang.CharSequence")
    int_, long = _primitive("Integer"), _primitive("Long")

    def get(of: Any, name: str, gives: Any) -> Any:
        return look.findVirtual(of, name, _type(gives))

    def text(gives: Any) -> Any:
        return look.findStatic(string, "valueOf", _type(string, [gives]))

    where = get(result, "getMessageQueue", queue)
    parts = (
        handles.filterReturnValue(get(result, "getSendStatus", status), get(status, "name", string)),
        handles.filterReturnValue(where, get(queue, "getBrokerName", string)),
        handles.filterReturnValue(handles.filterReturnValue(where, get(queue, "getQueueId", int_)), text(int_)),
        handles.filterReturnValue(get(result, "getQueueOffset", long), text(long)),
    )
    pieces = jpype.JArray(piece)
    join = look.findStatic(string, "join", _type(string, [piece, pieces]))
    joined = handles.insertArguments(join, 0, [jpype.JString(_BETWEEN)]).asCollector(pieces, len(parts))
    of_four = handles.filterArguments(joined, 0, [part.asType(_type(piece, [result])) for part in parts])
    return handles.permuteArguments(of_four, _type(string, [result]), [0] * len(parts))


def _applying(handle: Any, interface: str) -> Any:
    """The handle as the `apply` of an object, which is what costs least to call from here."""
    kind = _java(f"java.util.function.{interface}")
    return _java("java.lang.invoke.MethodHandleProxies").asInterfaceInstance(kind, handle).apply


def _type(gives: Any, takes: Sequence[Any] = ()) -> Any:
    return _java("java.lang.invoke.MethodType").methodType(gives, list(takes))


def _primitive(name: str) -> Any:
    return _java(f"java.lang.{name}").TYPE


def _lookup() -> Any:
    return _handles().publicLookup()


def _handles() -> Any:
    return _java("java.lang.invoke.MethodHandles")


def _java(name: str) -> Any:
    return jpype.JClass(name)
