"""Telephone events (RFC 4733): what the keys of a telephone send in place of their tones."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .session_config import PayloadFormat

DIGITS = "0123456789*#ABCD!"
"""Each at the place of its event code (section 3.2); the last one is the flash of the hook, as in
RFC 2833."""
MAX_DURATION = 0xFFFF
"""Ticks that a report can say; what lasts longer goes on as another segment (section 2.5.1.3)."""
MAX_REPORTS = 4
"""Events in a packet: that there are more than one is rare (section 2.5.1.5), and more is abuse."""

_REPORT = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 0x3F
_ASSUMED = "0-15"  # where a description has no list (section 2.4)
_LIST = re.compile(r"[0-9][0-9, -]*")
_RANGE = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")


class EventReport(NamedTuple):
    """What a packet says of one event, or of one segment of it."""

    code: int
    """Place in `DIGITS`, if it is one."""
    end: bool
    volume: int
    """Of the tone, 0 (loudest) .. 63 for 0 to -63 dBm0."""
    duration: int
    """Up to now, in ticks of the format's clock."""

    def pack(self) -> bytes:
        """The payload that says it."""
        flags = self.volume | (_END if self.end else 0)
        return _REPORT.pack(self.code, flags, self.duration)


def unpack_reports(payload: bytes) -> list[EventReport]:
    """What a payload says, one event after the other; nothing if it is malformed."""
    if not payload or len(payload) % _REPORT.size or len(payload) > MAX_REPORTS * _REPORT.size:
        return []
    return [
        EventReport(code, bool(flags & _END), flags & _VOLUME, duration)
        for code, flags, duration in _REPORT.iter_unpack(payload)
    ]


def is_telephone_event(payload_format: PayloadFormat) -> bool:
    """Whether packets of the format are telephone events."""
    return payload_format.name.lower() == "telephone-event"


def digits_of(payload_format: PayloadFormat) -> str:
    """Those of `DIGITS` that the far end takes, as its description lists them (section 2.4).

    What cannot be read of a list counts as not there; without any list there are events 0 to 15.
    """
    lists = [*_lists(payload_format.parameters)] or [_ASSUMED]
    taken: set[int] = set()
    for part in ",".join(lists).split(","):
        if match := _RANGE.fullmatch(part.strip()):
            first, last = int(match[1]), int(match[2] or match[1])
            taken.update(range(first, min(last + 1, len(DIGITS))))
    return "".join(digit for code, digit in enumerate(DIGITS) if code in taken)


def _lists(parameters: Mapping[str, str]) -> Iterator[str]:
    for name, value in parameters.items():
        if name.lower() == "events":
            yield value
        elif not value and _LIST.fullmatch(name):
            yield name
