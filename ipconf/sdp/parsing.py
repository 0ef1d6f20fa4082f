"""Text to a description: strict in what a line says, lenient in the order of lines of a section.

Whatever is wrong is a `DescriptionError` that says in which line; sizes are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..errors import DescriptionError
from .description import NAMELESS, ConferenceDescription
from .fields import FurtherLine
from .lines import (
    number_of,
    read_adjustments,
    read_attribute,
    read_bandwidth,
    read_connection,
    read_key,
    read_media,
    read_origin,
    span_of,
    words_of,
)
from .media import Media
from .times import Repeat, Timing

MAX_DESCRIPTION_BYTES = 65_536
MAX_DESCRIPTION_LINES = 4096
SHOWN_CHARACTERS = 120
"""So much of a line is quoted."""
OPTIONAL_TEXTS = "iuep"
"""Lines that, empty, say nothing, and are taken as not there."""
SECRET = ("k=", "a=crypto")
"""Of these lines only their type: errors are logged."""

_LINE_END = re.compile(r"\r?\n")
_SESSION_ONLY = frozenset("vosueptrz")


def parse_description(text: str | bytes) -> ConferenceDescription:
    """Read a description; DescriptionError says what is wrong with it, and in which line.

    Bytes are UTF-8. Line ends may be LF alone, and a name that is empty is read as "-".
    """
    return _Parser(_lines(text)).description()


def _lines(text: str | bytes) -> list[str]:
    if len(text) > MAX_DESCRIPTION_BYTES:
        raise DescriptionError(
            f"the description is too long: at most {MAX_DESCRIPTION_BYTES} bytes are read"
        )
    lines = _LINE_END.split(_decoded(text) if isinstance(text, bytes) else text)
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) > MAX_DESCRIPTION_LINES:
        raise DescriptionError(
            f"the description has {len(lines)} lines; at most {MAX_DESCRIPTION_LINES} are read"
        )
    return lines


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as exc:
        number = text.count(b"\n", 0, exc.start) + 1
        raise DescriptionError(f"line {number} is not UTF-8", number) from None


class _Section:
    """What has been read of the session, or of one medium."""

    def __init__(self, number: int) -> None:
        self.number = number
        """The line that it begins with."""
        self.values: dict[str, Any] = {}
        """What can be there only once, by field."""
        self.lists: dict[str, list[Any]] = {}
        """What can be there several times."""

    def put(self, letter: str, field: str, value: object) -> None:
        if field in self.values:
            raise ValueError(f"this is the second {letter}= line where one can be")
        self.values[field] = value

    def add(self, field: str, value: object) -> None:
        self.lists.setdefault(field, []).append(value)

    def fields(self) -> dict[str, Any]:
        return {**self.values, **{name: tuple(values) for name, values in self.lists.items()}}


class _Parser:
    """Goes through the lines once."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._number = 1
        """The line that is to blame for what is wrong; 0 for none."""
        self._session = _Section(1)
        self._section = self._session
        """The one that is being read."""
        self._media: list[_Section] = []
        self._times: list[_Section] = []

    def description(self) -> ConferenceDescription:
        try:
            return self._parse()
        except ValueError as exc:  # a ConfigurationError is one
            if not self._number:
                raise DescriptionError(_reason(exc)) from None
            number, line = self._number, "".join(self._lines[self._number - 1 : self._number])
            line = line[: 2 if line.startswith(SECRET) else SHOWN_CHARACTERS]
            raise DescriptionError(
                f"line {number}, {line!r}: {_reason(exc)}", number, line
            ) from None

    def _parse(self) -> ConferenceDescription:
        if not self._lines or self._lines[0].rstrip() != "v=0":
            raise ValueError("a description begins with v=0")
        for number, line in enumerate(self._lines[1:], start=2):
            self._number = number
            self._read(line)
        self._number = 0
        self._complete()
        times, media = [], []
        for section in self._times:
            self._number = section.number
            times.append(Timing(**section.fields()))
        for section in self._media:
            self._number = section.number
            media.append(Media(**section.fields()))
        self._number = 0
        return ConferenceDescription(
            **self._session.fields(), times=tuple(times), media=tuple(media)
        )

    def _complete(self) -> None:
        there = {**self._session.values, "times": self._times}
        for letter, field in (("o", "origin"), ("s", "name"), ("t", "times")):
            if not there.get(field):
                raise ValueError(
                    f"there is no {letter}= line above the first m= line; one has to be there"
                )

    def _read(self, line: str) -> None:
        letter, sign, value = line[:1], line[1:2], line[2:]
        if sign != "=" or not (letter.isascii() and letter.isalpha()):
            raise ValueError("a line begins with a letter and an equals sign")
        if letter == "m":
            self._section = _Section(self._number)
            self._media.append(self._section)
            self._section.values.update(read_media(value))
        elif self._media and letter in _SESSION_ONLY:
            raise ValueError(f"{letter}= lines stand above the first m= line")
        elif letter in "trz":
            self._read_time(letter, value)
        elif not value and letter in OPTIONAL_TEXTS:
            pass
        elif letter == "i":
            self._section.put(letter, "title" if self._media else "information", value)
        elif letter == "c" and self._media:
            self._section.add("connections", read_connection(value))
        elif letter in _SINGLE:
            field, single = _SINGLE[letter]
            self._section.put(letter, field, single(value))
        elif letter in _SEVERAL:
            field, several = _SEVERAL[letter]
            self._section.add(field, several(value))
        else:
            self._section.add("further", FurtherLine(type=letter, value=value))

    def _read_time(self, letter: str, value: str) -> None:
        if letter == "t":
            start, stop = words_of(value, 2)
            timing = _Section(self._number)
            timing.values.update(start=number_of(start), stop=number_of(stop))
            self._times.append(timing)
        elif not self._times:
            raise ValueError(f"{letter}= lines stand below a t= line")
        elif letter == "r":
            interval, duration, *offsets = map(span_of, words_of(value, 3, more=True))
            repeat = Repeat(interval=interval, duration=duration, offsets=tuple(offsets))
            self._times[-1].add("repeats", repeat)
        else:
            self._times[-1].put(letter, "adjustments", read_adjustments(value))


def _reason(exc: Exception) -> str:
    """What a model says is wrong, without the names of things that are not in the text."""
    return str(exc).replace(": : ", ": ").replace("Value error, ", "")


_SINGLE: dict[str, tuple[str, Callable[[str], object]]] = {
    "o": ("origin", read_origin),
    "s": ("name", lambda value: value or NAMELESS),
    "u": ("uri", str),
    "c": ("connection", read_connection),
    "k": ("key", read_key),
}
"""Lines that can be there once in a section: the field, and how its value is read."""
_SEVERAL: dict[str, tuple[str, Callable[[str], object]]] = {
    "e": ("emails", str),
    "p": ("phones", str),
    "b": ("bandwidths", read_bandwidth),
    "a": ("attributes", read_attribute),
}
"""Lines that can be there several times."""
