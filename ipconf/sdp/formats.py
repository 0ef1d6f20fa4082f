"""Formats of a media line: from a=rtpmap, a=fmtp and a=rtcp-fb, or by standing agreement.

Payload types below 35 that no a=rtpmap maps mean what RFC 3551 section 6 says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..engine.session_config import PayloadFormat
from .fields import Attribute

STATIC_FORMATS: Mapping[int, tuple[str, int, int]] = {
    0: ("PCMU", 8_000, 1),
    3: ("GSM", 8_000, 1),
    4: ("G723", 8_000, 1),
    5: ("DVI4", 8_000, 1),
    6: ("DVI4", 16_000, 1),
    7: ("LPC", 8_000, 1),
    8: ("PCMA", 8_000, 1),
    9: ("G722", 8_000, 1),
    10: ("L16", 44_100, 2),
    11: ("L16", 44_100, 1),
    12: ("QCELP", 8_000, 1),
    13: ("CN", 8_000, 1),
    14: ("MPA", 90_000, 1),
    15: ("G728", 8_000, 1),
    16: ("DVI4", 11_025, 1),
    17: ("DVI4", 22_050, 1),
    18: ("G729", 8_000, 1),
    25: ("CelB", 90_000, 1),
    26: ("JPEG", 90_000, 1),
    28: ("nv", 90_000, 1),
    31: ("H261", 90_000, 1),
    32: ("MPV", 90_000, 1),
    33: ("MP2T", 90_000, 1),
    34: ("H263", 90_000, 1),
}
"""Name, RTP clock and channels by payload type (RFC 3551 tables 4 and 5)."""
MAX_PAYLOAD_TYPE = 127

_MAPPING = re.compile(r"([0-9]{1,3})\s+([^/\s]{1,64})/([0-9]{1,9})(?:/([0-9]{1,3}))?\s*", re.ASCII)
_ABOUT = re.compile(r"([0-9]{1,3}|\*)\s+(\S.*)", re.ASCII)


def payload_formats(
    codes: Sequence[str], attributes: Iterable[Attribute]
) -> tuple[PayloadFormat, ...]:
    """The formats with these payload types, in their order; what nothing explains is left out."""
    mapped: dict[int, tuple[str, int, int]] = {}
    parameters: dict[int, dict[str, str]] = {}
    feedback: dict[str, set[str]] = {}
    for attribute in attributes:
        value = attribute.value or ""
        if attribute.name == "rtpmap":
            if match := _MAPPING.fullmatch(value):
                number, name, clock, channels = match.groups()
                mapped.setdefault(int(number), (name, int(clock), int(channels or 1)))
        elif attribute.name in ("fmtp", "rtcp-fb") and (match := _ABOUT.fullmatch(value)):
            if attribute.name == "rtcp-fb":
                feedback.setdefault(match[1], set()).add(match[2].strip())
            elif match[1] != "*":
                parameters.setdefault(int(match[1]), {}).update(_parameters(match[2]))
    found = {}
    for code in codes:
        number = int(code) if re.fullmatch("[0-9]{1,3}", code) else -1
        name, clock, channels = mapped.get(number) or STATIC_FORMATS.get(number) or ("", 0, 0)
        if number <= MAX_PAYLOAD_TYPE and clock and channels and number not in found:
            own = parameters.get(number, {})
            apt = own.get("apt", "")
            found[number] = PayloadFormat(
                number,
                name,
                clock,
                channels,
                own,
                frozenset(feedback.get(str(number), set()) | feedback.get("*", set())),
                int(apt) if re.fullmatch("[0-9]{1,3}", apt) else None,
            )
    return tuple(found.values())


def _parameters(text: str) -> dict[str, str]:
    """What "a=1; b" says, as a mapping; values may have further equals signs in them."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
