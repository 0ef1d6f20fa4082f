"""What the telephony service provider and the media service provider say to each other.

In MSPI this is an opaque buffer that only the matching pair understands (ITMSPAddress::
ReceiveTSPData, ME_TSP_DATA). Here each message is a frozen, validated model, so that a TSP can
carry it over any channel as JSON: `message.model_dump_json()` and `parse_tsp_message(text)`.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, TypeAdapter

from .errors import NegotiationError
from .model import Settings

MAX_MESSAGE_CHARACTERS = 500_000
"""A longer message is refused; a description takes some thousands."""
MAX_REASON_CHARACTERS = 1_000
"""Of a reason; what is longer is cut, as in a BYE, which takes 255 bytes."""

MAX_WORDS_CHARACTERS = 10_000
"""Of a text that a person writes."""


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"cannot be written as UTF-8 ({exc.reason})") from None
    return text


def _sayable(reason: str) -> str:
    # Whatever somebody gives as a reason, they must be able to leave: "?" for half a character.
    return reason[:MAX_REASON_CHARACTERS].encode(errors="replace").decode()


Text = Annotated[str, AfterValidator(_utf8)]
_KEY = re.compile("(a=crypto:).*")


class Connect(Settings):
    """TSP to MSP: make an offer, on a new transport if there was one before."""

    kind: Literal["connect"] = "connect"


class Description(Settings):
    """Either way: an SDP offer or answer (RFC 3264). The MSP's own carry all its candidates."""

    kind: Literal["description"] = "description"
    type: Literal["offer", "answer"]
    sdp: Text
    answers: Text | None = None
    """In an answer: the session id (o=) of the offer that it answers, where that is known."""

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        """All but keys (a=crypto), which are not shown where the object is printed."""
        shown = _KEY.sub(r"\1...", self.sdp)
        return [("type", self.type), ("sdp", shown), ("answers", self.answers)]


class Candidate(Settings):
    """TSP to MSP: one more ICE candidate of the far end (RFC 8840); empty means that was all."""

    kind: Literal["candidate"] = "candidate"
    candidate: Text
    """The value of an SDP attribute a=candidate, with or without "candidate:" before it."""
    mid: Text | None = None
    """The line that it is for (a=mid); None means all."""


class Disconnect(Settings):
    """TSP to MSP: leave the call. MSP to TSP: media has ended, with the reason in words."""

    kind: Literal["disconnect"] = "disconnect"
    reason: Annotated[str, AfterValidator(_sayable)] = ""


class Words(Settings):
    """Either way: something that a person wrote to those at the other end."""

    kind: Literal["words"] = "words"
    text: Annotated[Text, Field(max_length=MAX_WORDS_CHARACTERS)]
    sender: Annotated[Text, Field(max_length=MAX_REASON_CHARACTERS)] = ""
    """Who wrote it, where that is not the far end itself."""


TspMessage = Annotated[
    Connect | Description | Candidate | Disconnect | Words, Field(discriminator="kind")
]

_adapter: TypeAdapter[TspMessage] = TypeAdapter(TspMessage)


def parse_tsp_message(text: str | bytes) -> TspMessage:
    """A message from its JSON form; NegotiationError, and nothing else, for what is none.

    More than `MAX_MESSAGE_CHARACTERS` characters (of bytes: bytes) are wrong as well.
    """
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise NegotiationError(f"a signalling message of {len(text)} characters is too long")
    try:
        return _adapter.validate_json(text)
    except ValueError as exc:
        # It may be told to whoever sent it: so nothing of it, nor of how it is read.
        raise NegotiationError(
            'not a signalling message: each is an object of JSON on a line, with its "kind"'
        ) from exc
