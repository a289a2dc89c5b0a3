"""An event loop in a thread of its own: what both remoting clients live in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """Runs for as long as the worker does. An exception nobody waits for ends the worker, loudly."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True, name="remoting")
        self._failure: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.loop.set_exception_handler(self._broken)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` in the loop and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def call(self, function: Callable[[], object]) -> None:
        """Has the loop call `function` soon."""
        self.loop.call_soon_threadsafe(function)

    def keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts a task from within the loop; its exception ends the worker."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._end(task.exception())

    def _broken(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._end(context.get("exception") or RuntimeError(context["message"]))

    def _end(self, failure: BaseException | None) -> None:
        self._failure = self._failure or failure
        self.loop.stop()

    def _run(self) -> None:
        self.loop.run_forever()
        if self._failure is not None:
            raise self._failure
