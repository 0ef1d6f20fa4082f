"""A loop whose time passes only while nobody waits for anything else, codecs included."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

from conference_lab import PatientLoop, PatientSelector
from peers import _bounded, _threads, open_sockets

from ipconf import MediaServiceProvider


class GallerySelector(PatientSelector):
    """Lets no time pass while codecs are at work."""

    def __init__(self, working: Callable[[], bool]) -> None:
        super().__init__()
        self._working = working

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout != 0 and self._working():
            return selectors.DefaultSelector.select(self, 0.01)
        return super().select(timeout)


class GalleryLoop(PatientLoop):
    """A patient loop that waits for the workers of these providers."""

    def __init__(self) -> None:
        self.providers: list[MediaServiceProvider] = []
        self._patient = GallerySelector(self._working)
        asyncio.SelectorEventLoop.__init__(self, self._patient)

    def _working(self) -> bool:
        return any(provider._workers._jobs for provider in self.providers)


def wait_for_workers(provider: MediaServiceProvider) -> None:
    """Let no time pass while its workers are busy, if time is ours to hold."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, GalleryLoop):
        loop.providers.append(provider)


def visibly(
    limit_s: float = 90.0,
) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """As `peers.scenario`, in a `GalleryLoop`, whose seconds `limit_s` are."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            threads, sockets = _threads(), open_sockets()
            with asyncio.Runner(loop_factory=GalleryLoop) as runner:
                runner.run(_bounded(test(*args, **kwargs), limit_s))
            assert _threads() <= threads, "threads are left"
            assert open_sockets() <= sockets, "sockets are left"

        return run

    return decorate
