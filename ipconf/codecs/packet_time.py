"""How much sound goes into one packet: the far end's wishes and limits, then ours (RFC 3264 6.1).

Descriptions say `a=ptime` and `a=maxptime` once for an m-line; in the registrations of the formats
they are parameters of the format like any other (RFC 7587 section 6.1, RFC 4856), and so they are
here: "ptime", "maxptime" and, for Opus, "minptime", all in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..engine.session_config import PayloadFormat

_MILLISECONDS = re.compile(r"([0-9]{1,4})(?:\.[0-9]*)?")


def fitting_ptime_ms(payload_format: PayloadFormat, wished_ms: int, choices: Sequence[int]) -> int:
    """The longest of `choices` that is no longer than wished and allowed, else the shortest.

    The far end's ptime goes before `wished_ms`, its maxptime before everything; its minptime is
    heeded where that is possible.
    """
    parameters = payload_format.parameters
    wanted = _milliseconds(parameters, "ptime") or wished_ms
    wanted = max(wanted, _milliseconds(parameters, "minptime") or 0)
    wanted = min(wanted, _milliseconds(parameters, "maxptime") or wanted)
    return max((ms for ms in choices if ms <= wanted), default=min(choices))


def _milliseconds(parameters: Mapping[str, str], name: str) -> int | None:
    """A positive parameter; None if it is absent or nonsense."""
    match = _MILLISECONDS.fullmatch(parameters.get(name, ""))
    return int(match[1]) or None if match else None
