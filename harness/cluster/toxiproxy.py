"""Toxiproxy's HTTP API, dialled through the runtime: the few calls that links need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final, Literal
from urllib.parse import quote

from harness.core.errors import FaultError
from harness.runtime.base import HUB, Runtime

API_PORT: Final = 8474
DIAL_S: Final = 5.0
TIMEOUT_S: Final = 60.0
"""What changes a proxy waits for each of its connections in turn, and for one that is stuck it takes its time."""
Stream = Literal["upstream", "downstream"]
"""`upstream` is what goes to the node behind the link, `downstream` what comes from it."""


@dataclass(frozen=True, slots=True)
class Toxic:
    """One damage to one direction of a proxy: what Toxiproxy calls it, and its figures in Toxiproxy's units."""

    type: str
    stream: Stream
    attributes: Mapping[str, int]

    @property
    def name(self) -> str:
        """Unique for a proxy, as long as it has one of a type in a direction."""
        return f"{self.type}-{self.stream}"


class Api:
    """One server. Every call is a connection of its own, and fits the server's own words into one `FaultError`."""

    def __init__(self, runtime: Runtime, node: str) -> None:
        self._runtime = runtime
        self._node = node

    def proxies(self) -> dict[str, Any]:
        """Every proxy by its name, with its toxics. Raises `FaultError`."""
        found = self._call("GET", "/proxies")
        return found if isinstance(found, dict) else {}

    def add(self, proxy: str, toxic: Toxic) -> None:
        """From now on everything through the proxy meets it, open connections included. Raises `FaultError`."""
        fields = {"name": toxic.name, "type": toxic.type, "stream": toxic.stream, "attributes": dict(toxic.attributes)}
        self._call("POST", f"/proxies/{quote(proxy)}/toxics", {**fields, "toxicity": 1.0})

    def remove(self, proxy: str, toxic: Toxic) -> None:
        """Takes it away; what is not there is no error. Raises `FaultError`."""
        self._call("DELETE", f"/proxies/{quote(proxy)}/toxics/{quote(toxic.name)}", absent_is_fine=True)

    def _call(self, method: str, path: str, value: object = None, *, absent_is_fine: bool = False) -> Any:
        body = None if value is None else json.dumps(value)
        doing = f"{method} {path} at the toxiproxy of {self._node}"
        connection = HTTPConnection(self._node, API_PORT, timeout=TIMEOUT_S)
        try:
            connection.sock = self._runtime.dial(HUB, self._node, API_PORT, DIAL_S)
            connection.sock.settimeout(TIMEOUT_S)
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            raise FaultError(f"{doing} was not answered: {error}") from error
        finally:
            connection.close()
        if answer.status == 404 and absent_is_fine:
            return None
        if answer.status >= 300:
            raise FaultError(f"{doing} was refused with {answer.status}: {text.strip()}")
        try:
            return json.loads(text) if text.strip() else None
        except ValueError as error:
            raise FaultError(f"{doing} was answered with no JSON: {text[:80]!r}") from error
