"""One TCP connection of a call's signalling: each message is a line of JSON."""

import asyncio

from ..errors import NegotiationError, TransportError
from ..tsp_data import MAX_MESSAGE_CHARACTERS, Disconnect, TspMessage, parse_tsp_message

MAX_UNSENT_BYTES = 1_000_000
"""What a far end that does not read may leave unsent; with more the connection is given up."""
FLUSH_LIMIT_S = 5.0
"""How long a connection that is closed still tries to send what is unsent."""


class Connection:
    """Sends without waiting, whoever reads or not; what is unsent is bounded.

    asyncio's transport is the queue and what empties it: nobody waits for `drain`, because one far
    end that does not read must not hold up the calls of the others.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.failure = ""
        """Why this end gave the connection up, if it did, as a sentence."""

    @property
    def peer(self) -> str:
        """Who is at the far end, for messages."""
        return str(self._writer.get_extra_info("peername"))

    def send(self, message: TspMessage) -> None:
        """Send a message as soon as the far end takes it; nothing follows a `Disconnect`.

        Raises TransportError when the far end has not read for `MAX_UNSENT_BYTES`; the connection
        is gone then. One that was closed before ignores the message.
        """
        if self._writer.is_closing():
            return
        self._writer.write(message.model_dump_json().encode() + b"\n")
        unsent = self._writer.transport.get_write_buffer_size()
        if unsent > MAX_UNSENT_BYTES:
            self.failure = f"the far end does not read its signalling; {unsent} bytes are unsent"
            self.abort()
            raise TransportError(self.failure)
        if isinstance(message, Disconnect):
            self.close()

    async def receive(self) -> TspMessage | None:
        """The next message; None when the connection has ended.

        Raises NegotiationError for what is no message or too long, TransportError when the
        connection is lost.
        """
        try:
            line = await self._reader.readline()
        except OSError as exc:
            raise TransportError(f"the signalling connection was lost ({exc})") from exc
        except ValueError:
            raise NegotiationError(
                f"a signalling message of more than {MAX_MESSAGE_CHARACTERS} bytes is too long"
            ) from None
        return parse_tsp_message(line) if line else None

    def close(self) -> None:
        """Hang up when everything is sent, or after `FLUSH_LIMIT_S`."""
        self._writer.close()
        asyncio.get_running_loop().call_later(FLUSH_LIMIT_S, self.abort)

    def abort(self) -> None:
        """Hang up at once; harmless when repeated."""
        self._writer.transport.abort()
