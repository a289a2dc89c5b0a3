"""What every group of calls stands on: one request, and an error for an answer that is not a success."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.wire import fastjson
from harness.wire.codes import ResponseCode, request_name
from harness.wire.errors import Malformed, Refused
from harness.wire.frame import Frame
from harness.wire.remoting import Remoting


class Calls:
    """Base of the call groups."""

    def __init__(self, remoting: Remoting) -> None:
        self.remoting = remoting

    async def ask(
        self,
        address: str,
        code: int,
        ext: Mapping[str, Any] | None = None,
        body: bytes = b"",
        *,
        timeout_s: float,
    ) -> Frame:
        """The answer whose code is SUCCESS. Raises `Refused` for any other and `WireError` for none."""
        answer = await self.remoting.call(address, code, texts(ext or {}), body, timeout_s=timeout_s)
        if answer.code != ResponseCode.SUCCESS:
            raise Refused(address, code, answer.code, answer.remark)
        return answer


def texts(ext: Mapping[str, Any]) -> dict[str, str]:
    """Header fields as the protocol wants them: everything text, booleans in Java's spelling."""
    return {
        name: ("true" if value else "false") if isinstance(value, bool) else str(value)
        for name, value in ext.items()
        if value is not None
    }


def json_body(address: str, code: int, answer: Frame) -> dict[str, Any]:
    """The JSON object in an answer's body; an empty body is an empty object. Raises `Malformed`."""
    if not answer.body:
        return {}
    value = fastjson.loads(answer.body)
    if not isinstance(value, dict):
        raise Malformed(f"{address} answered {request_name(code)} with JSON that is no object")
    return value


def ext_int(address: str, answer: Frame, name: str, default: int | None = None) -> int:
    """A number of the answer's header. Raises `Malformed` if it is absent without a default, or no number."""
    text = answer.ext.get(name)
    if text is None and default is not None:
        return default
    try:
        return int(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Malformed(f"{address} answered with {name} = {text!r}, which is no number") from None
