"""The telephony service provider: the signalling half, which carries descriptions between MSPs.

The rule of TAPI holds: the TSP speaks first. It tells an MSP to make an offer (`Connect`) or hands
it one (`Description`), and carries what the MSP posts as `TspData` to the far end.
"""

import asyncio
from abc import ABC, abstractmethod
from contextlib import closing
from typing import Self

from ..call import Call
from ..errors import ClosedError, ConfigurationError
from ..event_hub import EventStream
from ..events import TspData
from ..msp import MediaServiceProvider
from ..tsp_data import TspMessage


class TelephonyServiceProvider(ABC):
    """Base of all TSPs: brings what its providers post to `send`; use it with `async with`.

    What they post while it is not entered is carried nowhere. So enter it before calls are to be
    connected; before or after its providers is all the same. Calls that are connected stay so when
    it is left (MSPI: TSPI_lineCreateMSPInstance).
    """

    def __init__(self, *providers: MediaServiceProvider) -> None:
        for provider in providers:
            if not isinstance(provider, MediaServiceProvider):
                raise ConfigurationError(
                    f"{provider!r} is no provider: give the MediaServiceProvider that makes the "
                    "calls to signal"
                )
        self.providers = providers
        self.is_open = False
        """Whether it is inside `async with`."""
        self._pumps: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.is_open = True
        for provider in self.providers:
            self._pumps.append(asyncio.create_task(self._pump(provider.events(TspData))))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.is_open = False
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._pumps.clear()

    def _require_open(self) -> None:
        if not self.is_open:
            raise ClosedError("use the TSP inside `async with`; it is not open")

    async def _pump(self, events: EventStream[TspData]) -> None:
        with closing(events):
            async for event in events:
                if event.call is not None:
                    await self._send(event.call, event.data)
                del event  # or its call would live until the next event of whichever call

    async def _send(self, call: Call, message: TspMessage) -> None:
        try:
            await self.send(call, message)
        except Exception as exc:  # the other calls' signalling goes on
            context = {"message": f"signalling of {call.identity} failed", "exception": exc}
            asyncio.get_running_loop().call_exception_handler(context)

    @abstractmethod
    async def send(self, call: Call, message: TspMessage) -> None:
        """Carry a message that the provider of `call` posted to the far end of that call.

        Do not wait here for a far end that is slow: the messages of all calls of that provider come
        one after the other (MSPI: TSPI_lineReceiveMSPData). What it raises goes to the loop's
        exception handler.
        """
