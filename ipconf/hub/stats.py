"""What a conference can tell about itself in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ..stats import CallStats


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStats:
    """A camera or a screen, as it comes on a leg."""

    attendee: str | None
    """Whose it is, by identity."""
    content: str
    """"slides" for a screen."""
    codec: str
    """Of the latest key frame; "" before any."""
    live: bool
    """Whether pictures come that can be shown."""
    excessive: bool
    """Whether they are so many bits that nobody is shown them."""
    barren: bool
    """Whether no key frame comes, however often it is asked for, so that it gives way to others."""
    bit_rate_bps: float
    told_bps: float | None
    """What the sender was told to send at most; None: nothing yet."""
    malformed: int
    """Packets whose payload made no sense, and ..."""
    unknown_format: int
    """... those of a format that was not agreed on, or cannot be switched; none is sent on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotStats:
    """What a leg is sent in one of its slots."""

    attendee: str | None
    """Who is seen in it, by identity."""
    bit_rate_bps: float
    forwarded: int
    """Packets sent on."""
    switches: int
    """Times it went over to somebody's pictures."""
    mismatched: int
    """Packets of a codec that the far end does not take."""
    dropped: int
    """Packets that came too late, again, or from before a switch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureStats:
    """Pictures of a leg."""

    feeds: tuple[FeedStats, ...]
    """What it shows."""
    slots: tuple[SlotStats, ...]
    """What it is shown."""
    paused_slots: int
    """How many are empty because the far end takes too little."""
    takes_bps: float | None
    """What it can be sent; None as long as nothing tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegStats:
    """One leg; `call` is None for terminals of this machine."""

    identity: str
    name: str
    people: int
    voices: int
    """Sources of sound."""
    awake: int
    """Of them those that are decoded now."""
    failed: int
    """Times the sound of one could not be decoded at all."""
    refused: int
    """Packets of more sources than a leg may have."""
    looped: int
    """Packets of mixers that had something in them which this conference sends there itself."""
    pictures: PictureStats | None
    """None for a leg without."""
    call: CallStats | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceStats:
    """A conference as a whole."""

    people: int
    mixes: int
    """Distinct ones of the latest tick."""
    encoders: int
    encoder_failures: int
    """Times an encoder could not be made, or failed."""
    skipped_ticks: int
    """Ticks of 10 ms that the provider's clock could not make good after the loop stood still."""
    feeds: int
    """Cameras and screens that can be shown now."""
    slots: int
    """Slots of all legs, of which so many ..."""
    filled_slots: int
    """... show somebody now."""
    switches: int
    """Of the legs present; so are ..."""
    forwarded: int
    """... packets of pictures that were sent on."""
    legs: tuple[LegStats, ...]
