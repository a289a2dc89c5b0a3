"""JSON as the product's fastjson writes it: also with unquoted integer keys and with objects as keys."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from harness.wire.errors import Malformed

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN")
_MAX_DEPTH = 64


def loads(text: str | bytes) -> Any:
    """Parses standard JSON and fastjson's dialect.

    Every key of the result is a string: an integer key `{0:"a"}` becomes "0", an object key becomes its own
    compact standard JSON with sorted names, which `json.loads` takes apart again. Raises `Malformed`.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text)
    except UnicodeDecodeError as error:
        raise Malformed(f"not JSON: bytes that are not UTF-8 at {error.start}") from None
    except RecursionError:
        raise Malformed("not JSON of the protocol: nested too deeply") from None
    except ValueError:
        pass
    assert isinstance(text, str)
    return _Dialect(text).document()


class _Dialect:
    """A recursive-descent parser; only used where the standard one has refused."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> Any:
        value = self._value(0)
        if self._peek():
            raise self._error("something after the end")
        return value

    def _error(self, what: str) -> Malformed:
        around = self._text[max(0, self._at - 20) : self._at + 20]
        return Malformed(f"not JSON: {what} at character {self._at}, near {around!r}")

    def _peek(self) -> str:
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> None:
        if self._peek() != wanted:
            raise self._error(f"expected {wanted!r}")
        self._at += 1

    def _value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise self._error("nested too deeply")
        first = self._peek()
        if first == "{":
            return self._object(depth)
        if first == "[":
            return self._array(depth)
        if first == '"':
            return self._string()
        return self._scalar()

    def _string(self) -> str:
        try:
            value, self._at = scanstring(self._text, self._at + 1, False)
        except ValueError as error:
            raise self._error(str(error)) from None
        return str(value)

    def _scalar(self) -> Any:
        match = _SCALAR.match(self._text, self._at)
        if match is None:
            raise self._error("expected a value")
        self._at = match.end()
        try:
            return json.loads(match.group())
        except ValueError:
            raise self._error(f"bad number {match.group()}") from None

    def _array(self, depth: int) -> list[Any]:
        self._take("[")
        items: list[Any] = []
        while self._peek() != "]":
            if items:
                self._take(",")
            items.append(self._value(depth + 1))
        self._take("]")
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        self._take("{")
        members: dict[str, Any] = {}
        while self._peek() != "}":
            if members:
                self._take(",")
            key = self._value(depth + 1)
            self._take(":")
            members[_as_key(key)] = self._value(depth + 1)
        self._take("}")
        return members


def _as_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return json.dumps(key, sort_keys=True, separators=(",", ":"))
