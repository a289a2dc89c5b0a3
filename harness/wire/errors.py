"""What can go wrong on the wire. All are `WireError`; the subclasses say what may have reached the peer."""

from __future__ import annotations

from harness.core.errors import WireError
from harness.wire.codes import request_name, response_name


class Unreachable(WireError):
    """No connection could be made: nothing was sent."""


class ConnectionLost(WireError):
    """The connection ended with the request pending: the peer may or may not have carried it out."""


class ReplyTimeout(WireError):
    """No answer in time: the peer may or may not have carried the request out, or may still do so."""


class Malformed(WireError):
    """Bytes that are no frame, header, message or JSON of the protocol."""


class Refused(WireError):
    """A complete answer with a code other than the one that means success (`code`, `remark`)."""

    def __init__(self, address: str, request: int, code: int, remark: str | None) -> None:
        self.address = address
        self.request = request
        self.code = code
        self.remark = remark or ""
        super().__init__(
            f"{address} answered {request_name(request)} with {code} {response_name(code)}: "
            f"{self.remark or 'no remark'}"
        )
