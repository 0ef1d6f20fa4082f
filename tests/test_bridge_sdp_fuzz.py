"""SDP from the outside through the real HTTP handlers: nothing in it is the server's fault."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from aiortc import RTCPeerConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offers import CHROMIUM, FFMPEG, FIREFOX, GSTREAMER
from peers import eventually, open_sockets
from whip_lab import FRAGMENT, SDP, Site, loopback_only, site

EXAMPLES = 120
MEDIA = CHROMIUM[: CHROMIUM.index("m=application")]
"""Without its data channel, which no publisher may have."""
FRAGMENTS = (
    "a=ice-ufrag:9f3a\r\na=ice-pwd:0123456789abcdef0123456789abcdef\r\nm=audio 9 RTP/AVP 0\r\n"
    "a=mid:0\r\na=candidate:1 1 udp 2122260223 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n"
)
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


async def aiortc_offer() -> str:
    """What aiortc offers who has nothing to send."""
    peer = RTCPeerConnection()
    try:
        for medium in ("audio", "video"):
            peer.addTransceiver(medium)
        with loopback_only():
            await peer.setLocalDescription(await peer.createOffer())
        return str(peer.localDescription.sdp)
    finally:
        await peer.close()


WORDS = st.one_of(
    st.sampled_from(["0", "-1", "1", "65536", "4294967296", "9" * 30, "a=", "m=", "\0", " ", ""]),
    st.sampled_from(["sendonly", "recvonly", "inactive", "0.0.0.0", "::1", "x.local", "é", "*"]),
    st.text(max_size=12),
)
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "double", "swap", "word", "insert", "glue", "cut", "media"]),
        st.integers(0, 10_000),
        st.integers(0, 10_000),
        WORDS,
    ),
    min_size=1,
    max_size=6,
)


def mutated(text: str, operations: list[tuple[str, int, int, str]]) -> str:
    """A description after some accidents."""
    lines = text.splitlines()
    for what, one, other, word in operations:
        if not lines:
            return word
        one, other = one % len(lines), other % len(lines)
        match what:
            case "drop":
                del lines[one]
            case "double":
                lines.insert(other, lines[one])
            case "swap":
                lines[one], lines[other] = lines[other], lines[one]
            case "word":
                words = lines[one].replace(":", " : ").replace("=", " = ").split(" ")
                words[other % len(words)] = word
                lines[one] = " ".join(words).replace(" : ", ":").replace(" = ", "=")
            case "insert":
                lines.insert(one, f"a={word}")
            case "glue":
                lines[one] += lines[other] + word
            case "cut":
                lines[one] = lines[one][: other % (len(lines[one]) + 1)]
            case "media":
                starts = [i for i, line in enumerate(lines) if line.startswith("m=")] or [0]
                lines += lines[starts[one % len(starts)] :][:60]
    return "\r\n".join(lines) + "\r\n"


class Fuzzed:
    """A bridge for many examples, and what it answered; for `with`."""

    def __enter__(self) -> Fuzzed:
        self.sockets = open_sockets()
        self.troubles: list[dict[str, Any]] = []
        self.statuses: Counter[int] = Counter()
        self.runner = asyncio.Runner()
        self.runner.get_loop().set_exception_handler(lambda _, told: self.troubles.append(told))
        limits = {"max_sessions_per_address": 1000, "joins_per_minute_per_address": 10_000}
        self._site = site(empty_room_s=60, **limits)
        self.there: Site = self.runner.run(self._site.__aenter__())
        self.there.bridge.limits.request = lambda address: None  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc: object) -> None:
        self.runner.run(self._site.__aexit__(None, None, None))
        self.runner.close()
        assert not self.troubles, self.troubles[:3]
        assert open_sockets() <= self.sockets, "sockets are left"

    def offer(self, path: str, body: str | bytes) -> None:
        """POST; what was made of it is ended again."""
        self.runner.run(self._offer(path, body))
        assert not self.troubles, self.troubles[:3]

    async def _offer(self, path: str, body: str | bytes) -> None:
        if isinstance(body, str):
            body = body.encode(errors="replace")
        answer = await self.there.ask("POST", path, body, type=SDP)
        self.statuses[answer.status] += 1
        assert answer.status in (201, 400, 413, 422), answer
        if answer.status == 201:
            assert (await self.there.ask("DELETE", answer.header("Location"))).status in (200, 404)
        await eventually(lambda: not self.there.bridge.msp.calls, "no call is left")
        assert not self.there.bridge.limits.sessions

    async def trickle(self, url: str, body: bytes) -> None:
        """PATCH."""
        answer = await self.there.ask("PATCH", url, body, type=FRAGMENT, If_Match="*")
        self.statuses[answer.status] += 1
        assert answer.status in (204, 400, 422, 429), answer


def test_mutated_offers_are_answered_or_refused() -> None:
    with Fuzzed() as fuzzed:
        given_offers = [MEDIA, FIREFOX, FFMPEG, GSTREAMER, fuzzed.runner.run(aiortc_offer())]

        @QUIET
        @given(st.sampled_from(given_offers), OPERATIONS, st.booleans())
        def check(text: str, operations: list[tuple[str, int, int, str]], plays: bool) -> None:
            way = ("sendonly", "recvonly")[plays]
            for other in ("sendrecv", "sendonly", "recvonly"):
                text = text.replace(f"a={other}", f"a={way}")
            fuzzed.offer(("/whip/lobby", "/whep/lobby")[plays], mutated(text, operations))

        check()
        assert fuzzed.statuses[201] > EXAMPLES / 10, fuzzed.statuses  # else nothing was tried
        assert fuzzed.statuses[400] and fuzzed.statuses[422]


def test_random_bytes_are_refused() -> None:
    with Fuzzed() as fuzzed:

        @QUIET
        @given(st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)))
        def check(body: bytes) -> None:
            fuzzed.offer("/whip/lobby", body)

        check()
        assert set(fuzzed.statuses) == {400}


def test_mutated_fragments_are_taken_or_refused() -> None:
    with Fuzzed() as fuzzed:
        created = fuzzed.runner.run(fuzzed.there.publish(FFMPEG))
        url = created.header("Location")

        @QUIET
        @given(OPERATIONS)
        def check(operations: list[tuple[str, int, int, str]]) -> None:
            body = mutated(FRAGMENTS, operations).encode(errors="replace")
            fuzzed.runner.run(fuzzed.trickle(url, body))

        check()
        assert fuzzed.statuses[204] > EXAMPLES / 10 and fuzzed.statuses[400], fuzzed.statuses
        assert len(fuzzed.there.bridge.msp.calls) == 1
        assert fuzzed.runner.run(fuzzed.there.ask("DELETE", url)).status == 200
