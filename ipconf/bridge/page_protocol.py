"""The messages of a page, read: one JSON object each, validated, unknown fields refused.

What the server says is written by `page_news` and `page_session`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..engine.hearing import MAX_GAIN
from ..hub.people import Role
from .refusals import Refused

SUBPROTOCOL = "ipconf.1"
"""Of the WebSocket (RFC 6455 section 1.9)."""
VERSION = 1
MAX_MESSAGE_BYTES = 300_000
MAX_ID = 2**53 - 1
"""JavaScript counts exactly up to here."""

Name = Annotated[str, Field(max_length=1_000)]
"""Made tidy afterwards, and shorter."""
Token = Annotated[str, Field(max_length=2_000)]
Key = Annotated[str, Field(max_length=100)]
Sdp = Annotated[str, Field(min_length=1, max_length=100_000)]
Mid = Annotated[str, Field(max_length=200)]
Line = Annotated[str, Field(max_length=2_000)]
"""A candidate."""
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Reason = Annotated[str, Field(max_length=200)]
Person = Annotated[str, Field(min_length=1, max_length=64)]
"""Somebody in the room, by identity."""
Gain = Annotated[float, Field(ge=0, le=MAX_GAIN, allow_inf_nan=False)]
Slot = Annotated[int, Field(ge=0, le=15)]
Height = Annotated[int, Field(ge=1, le=16_384)]
Count = Annotated[int, Field(ge=0, le=16)]


class Message(BaseModel):
    """Base of all: strict, so that 1 is not true and "1" is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Hello(Message):
    """The first message; `resume` is the key of the guest to be again."""

    type: Literal["hello"]
    version: int
    room: Annotated[str, Field(max_length=200)]
    name: Name = ""
    token: Token | None = None
    resume: Key | None = None


class Offer(Message):
    """A new peer connection's; the answer has the same `id`."""

    type: Literal["offer"]
    sdp: Sdp
    id: Annotated[int, Field(ge=0, le=MAX_ID)]


class Trickled(Message):
    """One more candidate; an empty one was the last."""

    type: Literal["candidate"]
    candidate: Line
    mid: Mid | None = None


class Hand(Message):
    """One's own hand."""

    type: Literal["hand"]
    raised: bool


class Say(Message):
    """Something written to all, or to one."""

    type: Literal["say"]
    text: Text
    to: Person | None = None


class Camera(Message):
    """One's own camera was switched."""

    type: Literal["camera"]
    on: bool


class Microphone(Message):
    """One's own microphone was switched."""

    type: Literal["microphone"]
    on: bool


class Volume(Message):
    """How loud one hears somebody; 1 is as they come."""

    type: Literal["volume"]
    person: Person
    gain: Gain


class Pin(Message):
    """See somebody whoever talks, in any slot or in a certain one."""

    type: Literal["pin"]
    person: Person
    slot: Slot | None = None


class Unpin(Message):
    """No longer."""

    type: Literal["unpin"]
    person: Person


class Slots(Message):
    """How many to see at most; None is as many as there are sections."""

    type: Literal["slots"]
    count: Count | None


class Heights(Message):
    """How many lines of a picture are of use in each slot, in order; None: as many as come."""

    type: Literal["heights"]
    heights: Annotated[tuple[Height | None, ...], Field(max_length=16)]


class Leave(Message):
    """Go."""

    type: Literal["leave"]


class Mute(Message):
    """Let nobody hear somebody, or again (moderators)."""

    type: Literal["mute"]
    person: Person
    muted: bool


class Remove(Message):
    """Send somebody away (moderators)."""

    type: Literal["remove"]
    person: Person
    reason: Reason = ""


class Lock(Message):
    """Let nobody in, or again (moderators)."""

    type: Literal["lock"]
    locked: bool


class Record(Message):
    """Begin or end a recording (moderators)."""

    type: Literal["record"]
    on: bool


class GiveRole(Message):
    """Make somebody a listener, speaker or moderator (moderators)."""

    type: Literal["role"]
    person: Person
    role: Literal["listener", "speaker", "moderator"]

    @property
    def given(self) -> Role:
        """As the conference knows it."""
        return Role(self.role)


class Lower(Message):
    """Take somebody's hand down (moderators)."""

    type: Literal["lower"]
    person: Person


class Spotlight(Message):
    """Let all see somebody (moderators)."""

    type: Literal["spotlight"]
    person: Person
    on: bool


class End(Message):
    """End the meeting for all (moderators)."""

    type: Literal["end"]
    reason: Reason = ""


Moderation = Mute | Remove | Lock | Record | GiveRole | Lower | Spotlight | End
"""What moderators alone may ask for."""
Request = (
    Offer | Trickled | Hand | Say | Camera | Microphone | Volume | Pin | Unpin | Slots
    | Heights | Leave
    | Moderation
)  # fmt: skip
"""What may come after the hello."""

M = TypeVar("M")

_HELLO: TypeAdapter[Hello] = TypeAdapter(Hello)
_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])


def read_hello(text: str) -> Hello:
    """The first message; Refused (bad-message, bad-version) for anything else."""
    hello = _read(_HELLO, text)
    if hello.version != VERSION:
        raise Refused(400, "bad-version", f"The server speaks version {VERSION}: load it anew.")
    return hello


def read_request(text: str) -> Request:
    """A later message; Refused (bad-message) says what is wrong with it."""
    return _read(_REQUEST, text)


def _read(adapter: TypeAdapter[M], text: str) -> M:
    try:
        return adapter.validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise Refused(400, "bad-message", said[:300]) from None
