"""Why the bridge does not do what a client asks for."""

from __future__ import annotations

RETRY_AFTER_S = {429: "10", 503: "30"}
"""By status: when to try again."""


class Refused(Exception):
    """A client's request is refused; `status` is HTTP's, `code` is for programs, `text` for people.

    Nothing in it tells more than the client may know: what a wrong token was wrong about, say.
    """

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
