"""What both kinds of C++ client need of `rocketmq-client-python`. Imported only by workers of the C++ client.

Beside the wheel's Python layer the C functions below it are called where it has none of its own.
"""

from __future__ import annotations

import ctypes
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from harness.clients.config import CppSetup
from harness.core.errors import ClientError

LOGS: Final = "logs/rocketmq-cpp"
"""Below HOME: where the library writes what it does."""


class Binding:
    """The wheel's classes, and the C library below them."""

    def __init__(self, setup: CppSetup) -> None:
        """Loads the library. Raises `ClientError` naming where it was looked for."""
        if not (Path(setup.path) / "rocketmq").is_dir():
            raise ClientError(f"the cpp client is not at {setup.path!r}; it is what `obtain_cpp` unpacks")
        sys.path.insert(0, setup.path)
        try:
            self.client: Any = import_module("rocketmq.client")
            self.ffi: Any = import_module("rocketmq.ffi")
            self.error: type[Exception] = import_module("rocketmq.exceptions").RocketMQException
        except (ImportError, OSError, AttributeError) as error:
            raise ClientError(f"the cpp client at {setup.path!r} could not be loaded: {error}") from None
        self._setup = setup

    def versions(self) -> dict[str, str]:
        """Of the wheel, and whose library it is."""
        return {"rocketmq-client-python": self._setup.version, "librocketmq": self._setup.library}

    def call(self, function: str, handle: Any, value: bytes | int) -> None:
        """One setter of the C library that the Python layer has not wrapped. Raises `ClientError` if it refuses."""
        setter = getattr(self.ffi.dll, function)
        setter.argtypes = (ctypes.c_void_p, ctypes.c_int if isinstance(value, int) else ctypes.c_char_p)
        setter.restype = ctypes.c_int
        code = setter(handle, value)
        if code != 0:
            raise ClientError(f"{function}({value!r}) of the cpp client failed with {code}")


def log_text() -> str:
    """All that the library of this process has logged so far."""
    files = sorted((Path.home() / LOGS).glob("*.log*"))
    return "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
