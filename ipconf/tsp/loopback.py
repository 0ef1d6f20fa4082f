"""A TSP that pairs two providers of one process: calls without a network between the signallers."""

from collections.abc import Iterable
from contextlib import suppress
from weakref import WeakKeyDictionary, ref

from ..call import Call
from ..errors import ClosedError, InvalidStreamError
from ..model import MediaType, name_of
from ..msp import CALL_MEDIA, MediaServiceProvider
from ..tsp_data import Connect, Description, Disconnect, TspMessage
from .base import TelephonyServiceProvider


class LoopbackTsp(TelephonyServiceProvider):
    """Calls from the first provider to the second, signalled within the process."""

    def __init__(self, caller: MediaServiceProvider, callee: MediaServiceProvider) -> None:
        super().__init__(caller, callee)
        # Calls belong to their providers: once closed they must not live on in here.
        self._far: WeakKeyDictionary[Call, ref[Call]] = WeakKeyDictionary()

    def pair(self, media: Iterable[MediaType] = CALL_MEDIA) -> tuple[Call, Call]:
        """A call at each provider, joined but not connected: select terminals, then `connect`.

        Raises what `create_call` raises: InvalidMediaTypeError, ClosedError.
        """
        media = tuple(media)
        one, other = (provider.create_call(media) for provider in self.providers)
        self._far[one], self._far[other] = ref(other), ref(one)
        return one, other

    async def connect(
        self, media: Iterable[MediaType] = CALL_MEDIA, pair: tuple[Call, Call] | None = None
    ) -> tuple[Call, Call]:
        """Connect a pair of calls, or a new one; returns the caller's and the callee's call.

        Raises what stopped it: NegotiationError, TransportError, ConnectTimeoutError; and
        InvalidStreamError for calls that `pair` has not joined, ClosedError for closed ones or
        outside `async with`. A pair that was connected before gets new transports.
        """
        self._require_open()
        one, other = pair or self.pair(media)
        if not isinstance(one, Call) or self._far_of(one) is not other:
            raise InvalidStreamError(
                f"{name_of(one)} and {name_of(other)} are not joined; connect what pair() returns"
            )
        still_open = {call for provider in self.providers for call in provider.calls}
        for call in (one, other):
            if call not in still_open:
                raise ClosedError(f"{call.identity} is closed; make another pair()")
        one.receive_tsp_data(Connect())
        await one.wait_connected()
        await other.wait_connected()
        return one, other

    async def send(self, call: Call, message: TspMessage) -> None:
        """Hand the message to the call at the other end; who asks one that is closed is told."""
        if call not in self._far:
            return  # another provider of signalling carries it
        far = self._far_of(call)
        with suppress(ClosedError):
            if far is not None:
                far.receive_tsp_data(message)
                return
        if isinstance(message, Description) and message.type == "offer":
            with suppress(ClosedError):
                call.receive_tsp_data(Disconnect(reason="the call at the far end is closed"))

    def _far_of(self, call: Call) -> Call | None:
        far = self._far.get(call)
        return None if far is None else far()
