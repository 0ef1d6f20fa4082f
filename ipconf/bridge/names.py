"""Names of guests: made fit to be shown, and one for each in a room."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ..model import MAX_SDES_BYTES

MAX_NAME_CHARACTERS = 64
NAMELESS = "Guest"
MAX_MARKS = 3
"""Combining marks in a row: enough for what is written, and too few to cover other lines."""
INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""What takes no ink: Default_Ignorable_Code_Point of Unicode as far as it is not of the categories
that begin with C, and the empty pattern of Braille."""


def tidy_name(text: str) -> str:
    """A name that can be shown: one line, nothing invisible that could mislead, not too long.

    It is composed (NFC), and has no more than `MAX_MARKS` combining marks on one character.
    """
    shown = (" " if c.isspace() else c for c in text[: MAX_NAME_CHARACTERS * 4])
    kept = "".join(c for c in shown if unicodedata.category(c)[0] != "C" and c not in INVISIBLE)
    composed = _with_few_marks(unicodedata.normalize("NFC", kept))
    return _short(" ".join(composed.split()), MAX_NAME_CHARACTERS) or NAMELESS


def _with_few_marks(text: str) -> str:
    """The text without the marks that are too many on one character, or have none to be on."""
    kept, marks = [], MAX_MARKS
    for c in text:
        if unicodedata.category(c)[0] != "M":
            marks = MAX_MARKS if c == " " else 0
        elif marks == MAX_MARKS:
            continue
        else:
            marks += 1
        kept.append(c)
    return "".join(kept)


def _short(name: str, characters: int) -> str:
    """So many characters of a name at most, and no more than fit an SDES item beside a number."""
    octets = name[:characters].encode()[: MAX_SDES_BYTES - 4 * (MAX_NAME_CHARACTERS - characters)]
    return octets.decode(errors="ignore").strip()


def unique_name(name: str, taken: Iterable[str]) -> str:
    """The name itself, or with " (2)" and so on after it where somebody has it.

    Capitals do not count, nor do other forms of the same characters, as wide ones (NFKC).
    """
    names = {_compared(each) for each in taken}
    number, unique = 1, name
    while _compared(unique) in names:
        number += 1
        end = f" ({number})"
        unique = _short(name, MAX_NAME_CHARACTERS - len(end)) + end
    return unique


def _compared(name: str) -> str:
    """What two names have in common that are the same to their readers."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
