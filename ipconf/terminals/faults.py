"""Taking a terminal and giving it back, whatever its code does: a terminal is anybody's.

These calls come from deep inside, such as the datagram with which a person leaves. What a terminal
raises there must hold up nothing, and who called has to tell it.
"""

from ..errors import MediaError, UsageError
from ..ticker import FAULTS
from .base import Terminal, TerminalHost


def take(terminal: Terminal, host: TerminalHost) -> Exception | None:
    """Attach the terminal to `host`; returns why that failed, and then it is not attached.

    A UsageError is the host's mistake, such as a terminal that is in use, and is raised.
    """
    try:
        terminal.attach(host)
    except UsageError:
        raise
    except FAULTS as exc:
        Terminal.detach(terminal, host)
        return as_error(terminal, exc)
    return None


def give_back(terminal: Terminal, host: TerminalHost) -> Exception | None:
    """Detach the terminal from `host`; returns what went wrong, but it is detached then as well."""
    try:
        terminal.detach(host)
    except FAULTS as exc:
        Terminal.detach(terminal, host)  # or nobody else could ever have it
        return as_error(terminal, exc)
    return None


def as_error(terminal: Terminal, fault: BaseException) -> Exception:
    """What a terminal raised, as events tell it; a CancelledError is that of a task of its own."""
    if isinstance(fault, Exception):
        return fault
    return MediaError(
        f"{terminal.identity} raised {type(fault).__name__}; ask a task whether it was cancelled "
        "before you take its result"
    )
