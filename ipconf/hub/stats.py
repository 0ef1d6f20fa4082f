"""What a conference can tell about itself in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ..stats import CallStats


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
    legs: tuple[LegStats, ...]
