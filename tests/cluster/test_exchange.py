"""How an exchange over a link ended, whatever the machine says of the connection."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from harness.cluster.exchange import exchange, farewell


class Connection:
    def __init__(self, error: OSError) -> None:
        self._error = error

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def settimeout(self, _seconds: float) -> None:
        pass

    def shutdown(self, _how: int) -> None:
        pass

    def sendall(self, _data: bytes) -> None:
        pass

    def recv(self, _most: int) -> bytes:
        raise self._error


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (TimeoutError("timed out"), "silent"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "reset"),
        (ConnectionAbortedError(errno.ECONNABORTED, "aborted"), "reset"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "reset"),
    ],
)
def test_no_end_of_a_connection_is_an_error_of_ours(error: OSError, word: str) -> None:
    connection: Any = Connection(error)
    assert exchange(connection, "clients", "t", 0, 1.0).word == word
    assert farewell(connection, 1.0).word == word
