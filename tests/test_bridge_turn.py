"""TURN: guests whose networks let them reach nothing but a relay; coturn is that relay."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint
from bridge_lab import PageClient, running_bridge
from peers import LOCALHOST, eventually, scenario
from senses import ALICE, BOB

from ipconf.bridge.relays import LIFETIME_S, TurnServer
from ipconf.transports.binding import bind_udp

COTURN = shutil.which("turnserver")
"""Debian's and Ubuntu's package `coturn`."""
pytestmark = pytest.mark.skipif(COTURN is None, reason="there is no coturn")

SECRET = "north and south"
RELAYED = range(49_200, 49_300)
"""Ports that the relay takes for its clients."""


@asynccontextmanager
async def relay(folder: Path) -> AsyncIterator[int]:
    """A TURN server that shares SECRET with whoever hands out passwords; its port."""
    with bind_udp(LOCALHOST, None) as probe:
        port: int = probe.getsockname()[1]
    lines = (
        f"listening-ip={LOCALHOST}", f"relay-ip={LOCALHOST}", f"listening-port={port}",
        f"min-port={RELAYED[0]}", f"max-port={RELAYED[-1]}", "allow-loopback-peers",
        "use-auth-secret", f"static-auth-secret={SECRET}", "realm=ipconf.test", "fingerprint",
        "no-tls", "no-dtls", "no-cli", "relay-threads=1", f"userdb={folder}/turndb",
        f"pidfile={folder}/pid", "log-file=stdout",
    )  # fmt: skip
    config = folder / "turn.conf"
    config.write_text("\n".join(lines) + "\n")
    assert COTURN is not None
    with subprocess.Popen(  # noqa: ASYNC220 - asyncio's leave a thread for a moment
        [COTURN, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            await _listens(port)
            yield port
        finally:
            server.kill()  # it waits a second for a signal that asks


async def _listens(port: int) -> None:
    """Return when somebody takes connections there."""
    async with asyncio.timeout(10.0):
        while True:
            try:
                _, writer = await asyncio.open_connection(LOCALHOST, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return


def pair_of(page: PageClient) -> Any:
    """The way that ICE has found for a page."""
    assert page.pc is not None
    (transport,) = {t.receiver.transport.transport for t in page.pc.getTransceivers()}
    return transport.iceGatherer._connection._nominated[1]


@pytest.mark.parametrize("way", ["udp", "tcp"])
@scenario()
async def test_who_reaches_a_relay_alone_is_heard_and_seen(way: str, tmp_path: Path) -> None:
    async with relay(tmp_path) as port:
        server = {"url": f"turn:{LOCALHOST}:{port}?transport={way}", "secret": SECRET}
        async with (
            running_bridge(ice_servers=[server]) as bridge,
            PageClient(bridge, "Ann", relayed=True) as ann,
            PageClient(bridge, "Bob") as bob,
        ):
            await bob.call(700, BOB)
            await ann.call(440, ALICE)
            assert pair_of(ann).local_candidate.type == "relay"
            assert pair_of(ann).local_candidate.port in RELAYED
            await eventually(lambda: bob.seen.get(bob.slot_of("Ann") or ""), "Bob sees Ann")
            await eventually(lambda: ann.seen.get(ann.slot_of("Bob") or ""), "Ann sees Bob")
            ann_id = bob.person("Ann")
            await eventually(lambda: ann_id in bob.latest["levels"]["levels"], "Ann is heard")
            assert SECRET not in str(ann.messages)


@scenario()
async def test_passwords_end(tmp_path: Path) -> None:
    async with relay(tmp_path) as port:
        server = TurnServer(url=f"turn:{LOCALHOST}:{port}", secret=SECRET)
        for now, taken in ((time.time(), True), (time.time() - LIFETIME_S - 10, False)):
            told = server.with_password(now)
            allocating = create_turn_endpoint(
                asyncio.DatagramProtocol, (LOCALHOST, port), told.username, told.credential
            )
            if taken:
                transport, _ = await allocating
                transport.close()
            else:
                with pytest.raises(TransactionFailed):
                    await allocating
