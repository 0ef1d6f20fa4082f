"""Every exception of the package, one sentence each.

IpconfError
├── UsageError                    you asked for something that cannot be done as asked
│   ├── ConfigurationError        a setting or argument has a value it cannot have
│   ├── InvalidMediaTypeError     audio where video is meant, or neither
│   ├── InvalidDirectionError     capture where render is meant
│   ├── InvalidTerminalError      wrong medium or direction, on twice, or not selected here
│   ├── InvalidTerminalClassError no such terminal class
│   ├── InvalidStreamError        not a stream or substream of this call
│   ├── NotSupportedError         this provider does not do that
│   ├── InterfaceNotFoundError    query() for an interface that is not here
│   ├── NoItemError               the thing you asked about has no value yet
│   ├── LimitError                one more than may be
│   │   ├── MaxStreamsError
│   │   ├── MaxTerminalsError
│   │   └── ConferenceFullError
│   └── InvalidStateError         not now
│       ├── ClosedError
│       ├── NotStoppedError
│       ├── NoTerminalSelectedError
│       └── TerminalInUseError
├── CallDeclinedError             `on_call` does not want this call
├── NegotiationError              the other side's description cannot be used
├── DescriptionError              a conference's description is malformed; says in which line
├── TransportError                the network failed
│   └── ConnectTimeoutError
├── MediaError                    a device, file or codec failed
└── WireError                     malformed bytes; raised by parsers, counted by sessions

The network never raises into an application: sessions catch WireError and count it in `stats()`.
The numbers in the docstrings are the TAPI_E_* codes each class stands for (MSPI, 0x800400xx).
"""


class IpconfError(Exception):
    """The root of all exceptions of this package."""


class UsageError(IpconfError):
    """The caller asked for something that cannot be done as asked."""


class ConfigurationError(UsageError, ValueError):
    """A setting or argument has a value it cannot have."""


class InvalidMediaTypeError(UsageError, ValueError):
    """A media type that this call, stream or terminal does not have (04)."""


class InvalidDirectionError(UsageError, ValueError):
    """A direction that does not fit here (3A)."""


class InvalidTerminalError(UsageError, ValueError):
    """No terminal, or one of the wrong medium or direction, on twice or not selected here (3B)."""


class InvalidTerminalClassError(UsageError, LookupError):
    """No terminal class of that name is registered (3C)."""


class InvalidStreamError(UsageError, ValueError):
    """A stream or substream that does not belong to this call (43)."""


class NotSupportedError(UsageError):
    """This provider, call or terminal does not offer the operation (03)."""


class InterfaceNotFoundError(UsageError, LookupError):
    """The object does not have the interface that `query` asked for (E_NOINTERFACE)."""


class NoItemError(UsageError, LookupError):
    """There is no such value: the person has not announced it, nobody is there (02)."""


class LimitError(UsageError):
    """One more than the provider allows."""


class MaxStreamsError(LimitError):
    """The call cannot have another stream or substream of that kind (3E)."""


class MaxTerminalsError(LimitError):
    """The stream cannot take another terminal (42)."""


class ConferenceFullError(LimitError):
    """The conference has reached its limit of people (09)."""


class InvalidStateError(UsageError, RuntimeError):
    """The operation is not possible in the present state (10, 57, 58)."""


class ClosedError(InvalidStateError):
    """The provider, call, stream or terminal is closed (59)."""


class NotStoppedError(InvalidStateError):
    """`start` on a stream that already runs (41)."""


class NoTerminalSelectedError(InvalidStateError):
    """`start` on a stream that has no terminal (3F)."""


class TerminalInUseError(InvalidStateError):
    """The terminal is selected on another stream already (40)."""


class CallDeclinedError(IpconfError):
    """Raised by an `on_call`: the call is not answered, and the caller is told these words."""


class NegotiationError(IpconfError):
    """The other side's offer, answer or candidate cannot be used."""


class DescriptionError(IpconfError, ValueError):
    """The text that describes a conference is not what RFC 8866 allows; the message says where."""

    def __init__(self, message: str, line_number: int | None = None, line: str = "") -> None:
        super().__init__(message)
        self.line_number = line_number
        """From 1 on; None where a line is missing, or no single one is to blame."""
        self.line = line
        """The beginning of that line."""


class TransportError(IpconfError, ConnectionError):
    """The network connection could not be made or was lost."""


class ConnectTimeoutError(TransportError, TimeoutError):
    """The connection was not made in the time the settings allow (44)."""


class MediaError(IpconfError):
    """A device, a file or a codec failed."""


class WireError(IpconfError, ValueError):
    """Bytes from the network are not what the protocol allows; the message says where."""
