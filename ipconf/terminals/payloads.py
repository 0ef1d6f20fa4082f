"""Media as they came: terminals that take what one person sends without it being decoded.

They are selected on a substream, which is one person's; a mix of everybody has no payloads. Whoever
writes one implements `write_payload`, and `needs_key_frame` if it may miss pictures.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..engine.session_config import PayloadFormat
from ..errors import NotSupportedError
from .base import MAX_VOLUME, Terminal


@dataclass(frozen=True, slots=True)
class Payload:
    """A packet of sound, or a whole picture, in the format that it was sent in."""

    data: bytes
    """Sound as in RFC 3551 and RFC 7587; pictures as decoders take them, H.264 in Annex B form."""
    format: PayloadFormat
    """What was negotiated: name, clock and parameters."""
    timestamp: int
    """Of RTP, 32 bits, on the clock of the format."""
    duration_s: float = 0.0
    """How long the sound is; 0 for a picture, which stays until the next one."""
    key_frame: bool = True
    """Whether it needs no other picture; sound never does."""


class PayloadTerminal(Terminal, ABC):
    """A terminal to which the payloads of one person go."""

    @property
    def needs_key_frame(self) -> bool:
        """Whether no picture but a key frame is of use now: the far end is asked for one."""
        return False

    @abstractmethod
    def write_payload(self, payload: Payload, at: float) -> None:
        """Take a payload, due at `at` in seconds of the provider's clock.

        Payloads come in order, and those times are as regular as the timestamps; where sound was
        lost they leave a gap. Sound and pictures of a person that belong together are due at the
        same time. Each picture can be decoded after the one before it, or is a key frame. Called on
        the loop; must not block. What it raises is told by TerminalFailed.
        """

    @property
    def volume(self) -> int:
        """Payloads are as loud as they came: setting it raises NotSupportedError."""
        return MAX_VOLUME

    @volume.setter
    def volume(self, value: int) -> None:
        raise NotSupportedError(f"{self.identity} has no volume: it takes sound undecoded")
