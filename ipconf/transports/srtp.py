"""One direction of an SRTP session: libsrtp on one buffer, without an object or error per packet.

The buffer is our own: in pylibsrtp's a packet of 180 ms of G.711 has no room beside the trailer.

pylibsrtp's own methods make a C integer and check types for every packet, which costs about as much
as the cipher. Its private names stand in this file only; tests/test_aiortc_contract.py pins them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from pylibsrtp import ERRORS, Error, Policy, Session
from pylibsrtp._binding import ffi, lib

from ..engine.rtp_wire import is_rtcp
from ..sdp.keys import AES_32, AES_80, GCM_128, GCM_256, KEY_BYTES, Crypto

MAX_TRAILER_BYTES = 160
"""More than libsrtp ever appends (SRTP_MAX_TRAILER_LEN, SRTP_MAX_SRTCP_TRAILER_LEN)."""
MAX_DATAGRAM_BYTES = 1500
"""What Ethernet carries at once; nobody sends longer RTP or RTCP on purpose."""
REPLAY_WINDOW = 1024
"""Packets of one source that may overtake one another."""

_PROFILES = {
    GCM_256: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    GCM_128: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    AES_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    AES_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
_REPEATED = {ERRORS.index(f"replay check failed ({why})") for why in ("bad index", "index too old")}

Work = Callable[[Any, Any, Any], int]
"""A function of libsrtp that changes a datagram in place; 0 if it could."""


class Srtp:
    """Protects, or takes the protection off, with the keys of a session of pylibsrtp."""

    __slots__ = ("_buffer", "_length", "_room", "_session", "_state", "_status")

    def __init__(self, session: Session) -> None:
        self._session = session  # it owns what the state points to
        self._state = session._srtp[0]
        self._room = ffi.new("char[]", MAX_DATAGRAM_BYTES + MAX_TRAILER_BYTES)
        self._buffer = ffi.buffer(self._room)
        self._length = ffi.new("int *")
        self._status = 0

    @property
    def forged(self) -> bool:
        """Whether what was not opened last did not verify; else it came before, or is too old."""
        return self._status > 0 and self._status not in _REPEATED

    def protect(self, datagram: bytes) -> bytes | None:
        """The protected RTP or RTCP datagram; None if it is none, or too long for one."""
        rtcp = is_rtcp(datagram)
        return self._protect(lib.srtp_protect_rtcp if rtcp else lib.srtp_protect, datagram)

    def protect_rtp(self, datagram: bytes) -> bytes | None:
        """The protected RTP datagram; None if it is too short or too long for one."""
        return self._protect(lib.srtp_protect, datagram)

    def _protect(self, work: Work, datagram: bytes) -> bytes | None:
        size = len(datagram)
        if size > MAX_DATAGRAM_BYTES:
            return None
        length = self._length
        length[0] = size
        self._buffer[0:size] = datagram
        return None if work(self._state, self._room, length) else self._buffer[0 : length[0]]

    def unprotect(self, datagram: bytes) -> bytes | None:
        """The RTP or RTCP datagram; None if it is not authentic, came before, or is too long."""
        size = len(datagram)
        if size > len(self._buffer):
            self._status = 0
            return None
        length = self._length
        length[0] = size
        self._buffer[0:size] = datagram
        work = lib.srtp_unprotect_rtcp if is_rtcp(datagram) else lib.srtp_unprotect
        status = work(self._state, self._room, length)
        if status:
            self._status = status
            return None
        opened: bytes = self._buffer[0 : length[0]]
        return opened

    def forget(self, ssrc: bytes) -> None:
        """Keep no state any more of a source that has been unprotected."""
        self._session.remove_stream(int.from_bytes(ssrc, "big"))


def keyed(crypto: Crypto, *, outbound: bool) -> Srtp:
    """SRTP of any number of sources with that key; the same packet may be protected again."""
    kind = Policy.SSRC_ANY_OUTBOUND if outbound else Policy.SSRC_ANY_INBOUND
    policy = Policy(crypto.key, kind, srtp_profile=_PROFILES[crypto.suite])
    policy.allow_repeat_tx = outbound
    policy.window_size = REPLAY_WINDOW
    return Srtp(Session(policy))


@cache
def suites() -> tuple[str, ...]:
    """The suites that libsrtp can do here, best first; AES-GCM depends on how it was built."""
    return tuple(suite for suite in KEY_BYTES if _works(suite))


def _works(suite: str) -> bool:
    try:
        keyed(Crypto(1, suite, bytes(KEY_BYTES[suite])), outbound=True)
    except Error:
        return False
    return True
