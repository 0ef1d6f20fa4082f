"""Which terminals a provider has and which it can make (MSPI: ITTerminalSupport).

Static terminals are the devices of a machine. All others are made on demand, from classes: those of
this package, those that you `register`, and those that installed packages offer as plug-ins. A
plug-in is an entry point of the group `ipconf.terminals` that leads to a `TerminalClass`:

    [project.entry-points."ipconf.terminals"]
    metronome = "my_package.terminals:METRONOME"
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from weakref import WeakSet

from ..errors import (
    ConfigurationError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    InvalidTerminalClassError,
    InvalidTerminalError,
)
from ..events import AddressEvent, TerminalAvailable, TerminalUnavailable
from ..model import Direction, MediaType
from ..ticker import FAULTS
from .base import Terminal
from .classes import BUILT_IN, TerminalClass

__all__ = ["PLUGIN_GROUP", "PluginFailure", "TerminalClass", "TerminalRegistry"]

PLUGIN_GROUP = "ipconf.terminals"
"""The group of entry points in which plug-ins are found."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PluginFailure:
    """A plug-in that could not be used."""

    name: str
    """Of the entry point."""
    target: str
    """Where the entry point leads."""
    error: Exception | SystemExit


def _nobody(kind: type[AddressEvent], terminal: Terminal) -> None:
    """Nobody is told what is plugged in and out."""


class TerminalRegistry:
    """The terminals of one provider: what is there for good, and classes to make others from.

    `announce` is told what is plugged in and out.
    """

    def __init__(
        self,
        static: Iterable[Terminal] = (),
        announce: Callable[[type[AddressEvent], Terminal], None] = _nobody,
    ) -> None:
        self._static: list[Terminal] = []
        self._announce: Callable[[type[AddressEvent], Terminal], None] = _nobody
        for terminal in static:
            self.add_static(terminal)
        self._announce = announce
        self._classes = {each.name: each for each in BUILT_IN}
        self._plugins: list[TerminalClass] = []
        self._failures: list[PluginFailure] = []
        self._looked_at: set[EntryPoint] = set()
        self._created: WeakSet[Terminal] = WeakSet()

    # -- devices

    @property
    def static(self) -> tuple[Terminal, ...]:
        """The devices of this machine, in order of preference."""
        return tuple(self._static)

    def add_static(self, terminal: Terminal) -> None:
        """A device was plugged in; it is preferred least. Posts `TerminalAvailable`.

        Raises ConfigurationError if it is listed already.
        """
        if terminal in self._static:
            raise ConfigurationError(f"{terminal.identity} is static already: list it once")
        self._static.append(terminal)
        self._announce(TerminalAvailable, terminal)

    def remove_static(self, terminal: Terminal) -> None:
        """A device was unplugged. Posts `TerminalUnavailable`; streams keep it until unselected.

        From now on closing it is up to the caller. Raises InvalidTerminalError if it is not listed.
        """
        if terminal not in self._static:
            raise InvalidTerminalError(f"{terminal.identity} is no static terminal here")
        self._static.remove(terminal)
        self._announce(TerminalUnavailable, terminal)

    def default_static(self, media_type: MediaType, direction: Direction) -> Terminal | None:
        """The preferred device of that kind, or None; a bidirectional one serves both ways."""
        for terminal in self._static:
            if terminal.media_type is media_type and terminal.direction in (
                direction,
                Direction.BIDIRECTIONAL,
            ):
                return terminal
        return None

    # -- classes

    def classes(
        self, media_type: MediaType | None = None, superclass: str | None = None
    ) -> tuple[str, ...]:
        """Names for `create`: of one medium, of one category, or all."""
        return tuple(
            each.name
            for each in self._classes.values()
            if (media_type is None or media_type in each.media_types)
            and superclass in (None, each.superclass)
        )

    @property
    def superclasses(self) -> tuple[str, ...]:
        """The categories of the classes there are (MSPI: EnumeratePluggableSuperclasses)."""
        return tuple(dict.fromkeys(each.superclass for each in self._classes.values()))

    def describe(self, terminal_class: str) -> TerminalClass:
        """All about a class; InvalidTerminalClassError if there is none of that name."""
        found = self._classes.get(terminal_class)
        if found is None:
            raise InvalidTerminalClassError(
                f"no terminal class {terminal_class!r}: there are {', '.join(self._classes)}; "
                "those of installed plug-ins come with load_plugins()"
            )
        return found

    def register(self, terminal_class: TerminalClass) -> None:
        """Offer another class; ConfigurationError when the name is taken, or it is no class."""
        if not isinstance(terminal_class, TerminalClass):
            raise ConfigurationError(f"{terminal_class!r} is no TerminalClass; make one")
        if terminal_class.name in self._classes:
            raise ConfigurationError(
                f"a terminal class {terminal_class.name!r} exists already: choose another name"
            )
        self._classes[terminal_class.name] = terminal_class

    def create(
        self, terminal_class: str, media_type: MediaType, direction: Direction, **options: Any
    ) -> Terminal:
        """A new terminal; `options` are the keyword arguments of the class.

        Raises InvalidTerminalClassError, InvalidMediaTypeError or InvalidDirectionError with the
        choices there are, ConfigurationError for options that are missing, unknown or of the wrong
        type, and what the class raises.
        """
        found = self.describe(terminal_class)
        if media_type not in found.media_types:
            raise InvalidMediaTypeError(
                f"{terminal_class!r} terminals carry {_names(found.media_types)}, not {media_type}"
            )
        if direction not in found.directions:
            raise InvalidDirectionError(
                f"{terminal_class!r} terminals are for {_names(found.directions)}, not {direction}"
            )
        try:
            terminal = found.make(media_type, direction, **options)
        except TypeError as exc:
            raise ConfigurationError(
                f"{terminal_class!r} terminals are not made like that: {exc}; give all options of "
                "the class by their names"
            ) from exc
        if not isinstance(terminal, Terminal):
            raise InvalidTerminalClassError(
                f"{terminal_class!r} made {terminal!r}, which is no Terminal; tell its author"
            )
        self._created.add(terminal)
        return terminal

    # -- plug-ins

    @property
    def plugins(self) -> tuple[TerminalClass, ...]:
        """The classes that `load_plugins` has found."""
        return tuple(self._plugins)

    @property
    def plugin_failures(self) -> tuple[PluginFailure, ...]:
        """The plug-ins that `load_plugins` had to leave out, and why."""
        return tuple(self._failures)

    def load_plugins(self) -> tuple[TerminalClass, ...]:
        """Find what installed packages offer, and register it; returns what is new.

        Nothing is looked for before you ask, because this imports their code, which may take its
        time. One that is broken, or has the name of another, is left out with a warning in the log
        and an entry in `plugin_failures`.
        """
        found: list[TerminalClass] = []
        for point in entry_points(group=PLUGIN_GROUP):
            if point in self._looked_at:
                continue
            self._looked_at.add(point)
            try:
                terminal_class = point.load()
                self.register(terminal_class)
            except (Exception, SystemExit) as exc:  # anybody's code; its fault stays its own
                self._failures.append(PluginFailure(point.name, point.value, exc))
                _log.warning("terminal plug-in %s (%s) left out: %s", point.name, point.value, exc)
            else:
                found.append(terminal_class)
        self._plugins += found
        return tuple(found)

    async def close(self) -> None:
        """Close the static terminals and all that `create` made; wait until they are.

        One that fails in that is left as it is, with a warning in the log.
        """
        closed: list[Terminal] = []
        for terminal in (*self._static, *self._created):
            try:
                terminal.close()
            except FAULTS as exc:  # a terminal is anybody's code
                _not_closed(terminal, exc)
            else:
                closed.append(terminal)
        # Each in a task of its own: so a terminal's CancelledError is told from ours.
        ends = await asyncio.gather(*map(_wait_closed, closed), return_exceptions=True)
        for terminal, fault in zip(closed, ends, strict=True):
            if fault is not None:
                _not_closed(terminal, fault)


async def _wait_closed(terminal: Terminal) -> None:
    await terminal.wait_closed()


def _not_closed(terminal: Terminal, fault: BaseException) -> None:
    _log.warning("%s could not be closed: %r", terminal.identity, fault)


def _names(values: Iterable[MediaType] | Iterable[Direction]) -> str:
    return " and ".join(sorted(value.value for value in values))
