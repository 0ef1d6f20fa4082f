"""Which H.264 formats two ends can use with each other (RFC 6184 sections 8.1 and 8.2.2).

We send constrained baseline, which decoders of all usual profiles take, and decode all of them. So
profiles match when constrained baseline is a part of both; the packetization mode must be the same.
A level counts for each direction by itself if both allow that, else the lower one for both.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import NamedTuple

MODE = "packetization-mode"
PROFILE = "profile-level-id"
ASYMMETRY = "level-asymmetry-allowed"
SETS = "sprop-parameter-sets"
DEFAULT_PROFILE_LEVEL_ID = "42e01f"
"""What stands nowhere is taken for constrained baseline 3.1, as others do: the level 1 of the RFC
is a picture the size of a stamp."""

MAX_PICTURE_BLOCKS = {
    10: 99, 11: 396, 12: 396, 13: 396, 20: 396, 21: 792, 22: 1620, 30: 1620, 31: 3600, 32: 5120,
    40: 8192, 41: 8192, 42: 8704, 50: 22080, 51: 36864, 52: 36864,
}  # fmt: skip
"""Macroblocks of 16 x 16 pixels per picture by level_idc (ITU-T H.264 table A-1, MaxFS)."""

MAX_SETS = 16
"""Parameter sets taken from a description; usual are two."""

_BASELINE, _MAIN, _HIGH = 0x42, 0x4D, 0x64
_CONSTRAINED = 0x40
"""constraint_set1_flag: of baseline only what main knows as well."""
_HEX = re.compile("[0-9a-fA-F]{6}")
_UNIT_TYPE = 0x1F
_SET_TYPES = (7, 8)  # SPS and PPS
_START_CODE = b"\0\0\0\1"


class Profile(NamedTuple):
    """A profile-level-id in its parts, each a byte."""

    idc: int
    constraints: int
    level: int

    @property
    def kind(self) -> tuple[int, bool]:
        """What must be equal for a perfect match; constraints of other profiles only restrict."""
        return self.idc, self.idc == _BASELINE and bool(self.constraints & _CONSTRAINED)

    def __str__(self) -> str:
        return f"{self.idc:02x}{self.constraints:02x}{self.level:02x}"


def profile_of(parameters: Mapping[str, str]) -> Profile | None:
    """The profile of a format; None if it is nonsense, or one that lacks constrained baseline."""
    text = parameters.get(PROFILE, DEFAULT_PROFILE_LEVEL_ID)
    if not _HEX.fullmatch(text):
        return None
    profile = Profile(*bytes.fromhex(text))
    usable = profile.idc in (_BASELINE, _MAIN, _HIGH) and profile.level in MAX_PICTURE_BLOCKS
    return profile if usable else None


def mode_of(parameters: Mapping[str, str]) -> int | None:
    """The packetization mode of a format; None if it is none that is known here."""
    return {"0": 0, "1": 1}.get(parameters.get(MODE, "0"))


def parameter_sets(parameters: Mapping[str, str]) -> bytes:
    """The parameter sets that a description gave, in Annex B form; nonsense among them is left out.

    Who sends what was encoded before, a file for example, may put them nowhere else.
    """
    units = []
    for text in parameters.get(SETS, "").split(",")[:MAX_SETS]:
        try:
            unit = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if unit and unit[0] & _UNIT_TYPE in _SET_TYPES:
            units.append(_START_CODE + unit)
    return b"".join(units)


def likeness(own: Mapping[str, str], other: Mapping[str, str]) -> int:
    """How well two formats fit: 0 not at all, 1 well enough, 2 perfectly."""
    ours, theirs = profile_of(own), profile_of(other)
    if ours is None or theirs is None or mode_of(own) is None or mode_of(own) != mode_of(other):
        return 0
    return 2 if ours.kind == theirs.kind else 1


def received_parameters(own: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """What we may be sent, of two formats that fit: in the far end's profile and with its sets."""
    level, free = _level(own, other)
    parameters = {PROFILE: level, MODE: own.get(MODE, "0")}
    if free:
        parameters[ASYMMETRY] = "1"
    if SETS in other:
        parameters[SETS] = other[SETS]
    return parameters


def sent_parameters(own: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """What we may send, likewise: the far end's, with the level that was agreed on."""
    level, free = _level(own, other)
    return dict(other) if free else {**other, PROFILE: level}


def _level(own: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, bool]:
    """The profile-level-id of what we receive, and whether the other way has one of its own."""
    ours, theirs = profile_of(own), profile_of(other)
    assert ours is not None and theirs is not None  # or they would not fit
    free = other.get(ASYMMETRY) == own.get(ASYMMETRY) == "1"
    level = ours.level if free else min(ours.level, theirs.level)
    return str(theirs._replace(level=level)), free


def forwarding_variant(parameters: Mapping[str, str]) -> str:
    """What must be the same where pictures go from one far end to another undecoded."""
    profile = profile_of(parameters)
    kind = None if profile is None else profile.kind
    return f"{mode_of(parameters)}" + ("" if kind == (_BASELINE, True) else f" {kind}")


def forwarding_base(parameters: Mapping[str, str]) -> str:
    """The variant that who takes this one takes as well: constrained baseline."""
    return f"{mode_of(parameters)}"
