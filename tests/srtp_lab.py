"""Keys in descriptions, and transports and calls that encrypt with them."""

from __future__ import annotations

from ipconf.sdp import ConferenceDescription
from ipconf.sdp.keys import AES_80, KEY_BYTES, Crypto
from ipconf.transports.protection import Protection
from ipconf.transports.srtp import keyed


def crypto(suite: str = AES_80, seed: int = 1, tag: int = 1) -> Crypto:
    """A key that is the same for the same seed."""
    return Crypto(tag, suite, bytes((seed + n) % 256 for n in range(KEY_BYTES[suite])))


def encrypted(
    description: ConferenceDescription, key: Crypto | None = None, protocol: str = "RTP/SAVP"
) -> ConferenceDescription:
    """The same conference, all of whose media are encrypted with that key."""
    value = (key or crypto()).to_value()
    media = tuple(
        medium.replace(protocol=protocol).with_attribute("crypto", value)
        for medium in description.media
    )
    return description.replace(media=media)


class Told(list[tuple[int, bool, str]]):
    """What a protection tells of sources."""

    def __call__(self, ssrc: int, verifies: bool, text: str) -> None:
        self.append((ssrc, verifies, text))


class Member:
    """Somebody who has a key: seals what the others open."""

    def __init__(self, key: Crypto | None = None, **changes: bool) -> None:
        self.told = Told()
        key = key or crypto()
        self.protection = Protection(key, key, self.told, **{"shared": True, **changes})
        self._out = keyed(key, outbound=True)

    def seal(self, datagram: bytes) -> bytes:
        """As libsrtp does it, whatever rules there are besides."""
        sealed = self._out.protect(datagram)
        assert sealed is not None
        return sealed
