"""What the pictures of an m-line are of: its a=content (RFC 4796). Sans-IO."""

import re

from aiortc.sdp import grouplines

SLIDES = "slides"
"""A presentation, as a shared screen (RFC 4796 section 4)."""

_CONTENT = re.compile(r"a=content:([A-Za-z0-9,._-]{1,64})\s*")


def contents_of(text: str) -> list[str]:
    """The content of each m-line of a description that was read; "" where it says none.

    It stays as it was written, which may be several words between commas.
    """
    _, lines = grouplines(text)
    return [_content(line) for line in lines]


def _content(lines: list[str]) -> str:
    """Of several attributes the first one counts."""
    return next((match[1] for line in lines if (match := _CONTENT.fullmatch(line))), "")
