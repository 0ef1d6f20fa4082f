"""A TSP for clients that offer over HTTP or a WebSocket: one offer in, its answer out.

Whoever speaks HTTP calls `answer`; nothing here knows how the offer came. The far end always
offers, so there is no glare (RFC 3264 section 4), and who wants other transports offers anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

from ..call import Call
from ..calls.negotiator import session_id_of
from ..errors import ClosedError, ConfigurationError, NegotiationError
from ..events import CallStateChanged, Event
from ..model import CallState, Cause
from ..msp import MediaServiceProvider
from ..tsp_data import Candidate, Description, TspMessage
from .base import TelephonyServiceProvider

ANSWER_TIMEOUT_S = 20.0
"""For an answer; TURN servers that do not answer take the most of it."""

_ENDS = {
    Cause.MEDIA_TIMEOUT: "the connection was lost",
    Cause.REMOTE_REQUEST: "the far end hung up",
    Cause.LOCAL_REQUEST: "the call was ended here",
}


class WebTsp(TelephonyServiceProvider):
    """Answers the offers of far ends with the calls of one provider."""

    def __init__(self, provider: MediaServiceProvider) -> None:
        super().__init__(provider)
        # Calls belong to their provider: once closed they must not live on in here.
        self._lines: WeakKeyDictionary[Call, _Line] = WeakKeyDictionary()

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        for line in tuple(self._lines.values()):
            line.fail("the server is stopping")

    async def answer(self, call: Call, offer_sdp: str, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        """The answer to a far end's offer, with all our candidates.

        A call that is connected gets new transports, and goes on with the old ones if the offer
        cannot be used. An offer waits until the one before it is answered. Raises NegotiationError
        where the call says why it cannot answer, with its error as the cause, or does not within
        `timeout_s`; ClosedError when the call is closed, or outside `async with`.
        """
        self._require_open()
        line = self._line(call)
        async with line.turn:
            offered = _description(offer_sdp)
            line.session_id = session_id_of(offer_sdp)
            pending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            line.pending = pending
            try:
                call.receive_tsp_data(offered)
                async with asyncio.timeout(timeout_s):
                    return await pending
            except TimeoutError:
                text = f"there was no answer within {timeout_s:g} s; try again"
                raise NegotiationError(text) from None
            finally:
                line.pending = None

    def add_candidate(self, call: Call, candidate: str, mid: str | None = None) -> None:
        """Hand on a trickled candidate (RFC 8840) for the section `mid` or all; "" was the last.

        It belongs to the latest offer. Raises ClosedError when the call is closed,
        ConfigurationError for what is no text, InvalidStateError when too many wait.
        """
        call.receive_tsp_data(Candidate(candidate=candidate, mid=mid))

    def on_end(self, call: Call, told: Callable[[str], None]) -> None:
        """Call `told` with the reason, in words, once the call is disconnected; at once if it is.

        DTLS that the far end closes is a reason, ICE consent that is lost (RFC 7675), a connection
        that was never made, and `Call.disconnect`.
        """
        line = self._line(call)
        if call.state is CallState.DISCONNECTED:
            told(str(call.error) if call.error is not None else "the call is over")
        else:
            line.ends.append(told)

    async def send(self, call: Call, message: TspMessage) -> None:
        """Give an answer to who waits for it; all else is told by the call's events."""
        line = self._lines.get(call)
        if line is not None and isinstance(message, Description) and message.type == "answer":
            line.answered(message)

    def _line(self, call: Call) -> _Line:
        if call.closed:
            raise ClosedError(f"{call.identity} is closed; create a new call")
        line = self._lines.get(call)
        if line is None:
            line = self._lines[call] = _Line()
            call.watch(line.take)
        return line


class _Line:
    """What is going on with one call."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.pending: asyncio.Future[str] | None = None
        """The answer that somebody waits for."""
        self.session_id: str | None = None
        """Of the offer that it is to answer."""
        self.ends: list[Callable[[str], None]] = []

    def answered(self, message: Description) -> None:
        """The call has answered: this offer, or one that nobody waits for any more."""
        if message.answers in (None, self.session_id) and self._waits():
            assert self.pending is not None
            self.pending.set_result(message.sdp)

    def take(self, event: Event) -> None:
        """Watch the call."""
        if not isinstance(event, CallStateChanged):
            return
        if event.state is CallState.DISCONNECTED:
            why = _ENDS.get(event.cause, "the call ended")
            reason = str(event.error) if event.error is not None else why
            self.fail(reason, event.error)
            ends, self.ends = self.ends, []
            for told in ends:
                told(reason)
        elif event.state is CallState.CONNECTED and event.error is not None:
            # The offer was no good, and the call goes on without it.
            self.fail(str(event.error), event.error)

    def fail(self, reason: str, cause: Exception | None = None) -> None:
        """There will be no answer."""
        if self._waits():
            assert self.pending is not None
            error = NegotiationError(reason)
            error.__cause__ = cause
            self.pending.set_exception(error)

    def _waits(self) -> bool:
        return self.pending is not None and not self.pending.done()


def _description(offer_sdp: str) -> Description:
    try:
        return Description(type="offer", sdp=offer_sdp)
    except ConfigurationError as exc:  # no text, or half a character in it
        raise NegotiationError(f"the far end's offer cannot be read ({exc})") from None
