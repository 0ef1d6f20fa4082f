"""The server on a real socket: what it answers, whom it refuses, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import (
    ClientSession,
    ClientWebSocketResponse,
    Fingerprint,
    WSMsgType,
    WSServerHandshakeError,
)
from cryptography import x509
from peers import eventually

from ipconf.bridge import certificates, connection, connections, guards, limits, page_session
from ipconf.bridge.server import Bridge
from ipconf.bridge.settings import BridgeSettings, RoomSettings
from ipconf.hub.people import Role

ROOT = Path(__file__).parents[1]
LIMIT_S = 20.0
Work = Callable[[Bridge, ClientSession], Awaitable[None]]


def run(work: Work, **options: Any) -> None:
    """Do something with a bridge and a client; nothing is left behind."""

    async def whole() -> None:
        async with asyncio.timeout(LIMIT_S):
            settings = BridgeSettings(port=0, **options)
            async with Bridge(settings) as bridge, ClientSession(bridge.url) as client:
                await work(bridge, client)
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if tasks:  # aiohttp cancels those of connections without waiting for them
                await asyncio.wait(tasks, timeout=0.2)
            assert all(task.done() for task in tasks), tasks

    asyncio.run(whole())


async def enter(client: ClientSession, room: str, **further: Any) -> ClientWebSocketResponse:
    """A page's socket whose hello was welcomed."""
    page = await client.ws_connect("/ws", protocols=("ipconf.1",))
    await page.send_json({"type": "hello", "version": 1, "room": room, "name": "Ann", **further})
    assert (await page.receive_json())["type"] == "welcome"
    return page


async def until(page: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next message of that type."""
    while True:
        message: dict[str, Any] = await page.receive_json()
        if message["type"] == kind:
            return message


# -- what it answers


@pytest.mark.parametrize("path", ["/", "/lobby", "/Team-1_b"])
def test_the_page_is_under_every_room(path: str) -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        async with client.get(path) as answer:
            assert answer.status == 200 and answer.content_type == "text/html"
            assert "<!doctype html>" in (await answer.text()).lower()
            assert answer.headers["Cache-Control"] == "no-cache"
            again = {"If-None-Match": answer.headers["ETag"]}
        async with client.get(path, headers=again) as answer:
            assert answer.status == 304

    run(work)


def test_parts_of_the_page_have_their_types() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        page = await (await client.get("/")).text()
        parts = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
        assert parts
        for part in parts:
            async with client.get(part) as answer:
                assert answer.status == 200, part
                kind = {"js": "javascript", "css": "css"}.get(part.rpartition(".")[2], "")
                assert kind in answer.content_type

    run(work)


def test_every_answer_says_what_browsers_must_not_do() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        paths = ["/", "/static/style.css", "/healthz", "/metrics", "/no/where", "/static/none"]
        for path in paths:
            async with client.get(path) as answer:
                check(path, answer.headers)
        async with client.post("/") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")
            check("POST", answer.headers)
        page = await client.ws_connect("/ws", protocols=("ipconf.1",))
        check("/ws", page._response.headers)
        await page.close()

    def check(path: str, headers: Any) -> None:
        policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'", path
        assert policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "camera=(self)" in headers["Permissions-Policy"]
        assert headers["Server"] == "ipconf"  # and no version of anything
        assert "Set-Cookie" not in headers and "Strict-Transport-Security" not in headers

    run(work)


def test_who_may_come_in_is_told_what_a_room_is_called() -> None:
    rooms = {"board": RoomSettings(subject="The board"), "hall": RoomSettings(open=True)}

    async def work(bridge: Bridge, client: ClientSession) -> None:
        async def told(path: str, token: str | None = None, **headers: str) -> Any:
            headers |= {} if token is None else {"Authorization": f"Bearer {token}"}
            async with client.get(path, headers=headers) as answer:
                found = await answer.json()
            return found["subject"] if answer.status == 200 else (answer.status, found)

        token = bridge.invitations.invite("board", Role.LISTENER)
        assert await told("/Board/about", token) == "The board"
        assert await told("/hall/about") == "hall"
        status, refusal = await told("/board/about")
        assert (status, refusal["code"]) == (403, "bad-token")
        assert await told("/nowhere/about") == (status, refusal), (
            "which rooms there are is not told"
        )
        assert await told("/board/about", "x") == await told("/nowhere/about", "x")
        assert (await told("/hall/about", Host="rebound.example"))[0] == 403
        assert (await told("/ws/about"))[0] == 400
        assert not bridge.rooms.rooms, "none was made"

    run(work, open_rooms=False, rooms=rooms)


def test_what_is_not_there_is_told_as_json() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        for path in ("/no/where", "/static/../server.py", "/static/%2e%2e/server.py", "/a.b"):
            async with client.get(path) as answer:
                assert answer.status == 404
                assert (await answer.json())["code"] == "not-found"

    run(work)


def test_health_counts_rooms_and_names_none() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        page = await enter(client, "secret-room")
        async with client.get("/healthz") as answer:
            text = await answer.text()
        told = json.loads(text)
        assert (answer.status, told["status"], told["rooms"], told["guests"]) == (200, "ok", 1, 1)
        assert "secret" not in text
        bridge.stop()
        async with client.get("/healthz") as answer:
            assert (answer.status, (await answer.json())["status"]) == (503, "stopping")
        await page.close()

    run(work)


def test_a_fault_of_the_server_is_a_sentence_and_a_traceback_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        def fail() -> bytes:
            raise RuntimeError("inner workings")

        monkeypatch.setattr(bridge.metrics, "page", fail)
        async with client.get("/metrics") as answer:
            text = await answer.text()
        assert answer.status == 500 and json.loads(text)["code"] == "failed"
        assert "inner" not in text

    run(work)
    assert "inner workings" in caplog.text


def test_a_fault_in_a_socket_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("inner workings")

    async def work(bridge: Bridge, client: ClientSession) -> None:
        page = await client.ws_connect("/ws")
        assert (await page.receive()).type is WSMsgType.CLOSED
        assert page.close_code == 1006

    monkeypatch.setattr(page_session, "PageSession", fail)
    run(work)
    assert caplog.text.count("Traceback") == 1


def test_who_is_not_let_in_is_in_the_log_without_what_they_brought(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        page = await client.ws_connect("/ws", protocols=("ipconf.1",))
        hello = {"type": "hello", "version": 1, "room": "lobby", "name": "Ann", "token": "secret"}
        await page.send_json(hello)
        await until(page, "bye")
        await page.close()
        bearer = {"Authorization": "Bearer secret", "Content-Type": "application/sdp"}
        await (await client.post("/whip/lobby", data="v=0", headers=bearer)).read()

    caplog.set_level(logging.INFO, "ipconf.bridge")
    run(work)
    refused = [record.fields for record in caplog.records if record.msg == "guest refused"]
    assert refused == [{"kind": kind, "code": "bad-token"} for kind in ("page", "whip")]


def test_requests_are_logged_with_the_length_of_the_body_and_files_for_debugging_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lengths: list[int] = []

    async def work(bridge: Bridge, client: ClientSession) -> None:
        for path in ("/", "/static/style.css", "/lobby", "/healthz", "/static/none"):
            async with client.get(path) as answer:
                lengths.append(len(await answer.read()))
        async with client.head("/lobby"), client.get("/lobby") as page:
            etag = {"If-None-Match": page.headers["ETag"]}
        async with client.get("/lobby", headers=etag) as answer:
            assert answer.status == 304

    caplog.set_level(logging.DEBUG, "ipconf.bridge.access")
    run(work, host="127.0.0.1")
    requests = [record for record in caplog.records if record.msg == "request"]
    assert [r.levelname for r in requests] == ["DEBUG"] * 2 + ["INFO"] * 6
    assert lengths[0] > 1000 and lengths[1] > 1000
    assert [r.fields["bytes"] for r in requests] == [*lengths, 0, lengths[2], 0]


# -- metrics


def numbers_of(text: str) -> dict[str, float]:
    """The samples of a page of metrics."""
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_metrics_count_and_name_nobody() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        page = await enter(client, "secret-room")
        with pytest.raises(WSServerHandshakeError):
            await client.ws_connect("/ws", headers={"Origin": "https://evil.example"})
        await asyncio.sleep(0.6)
        async with client.get("/metrics") as answer:
            text = await answer.text()
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
        await page.close()
        told = numbers_of(text)
        expected = {
            "rooms": 1,
            "legs": 1,
            "talkers": 0,
            "recordings": 0,
            'guests{kind="page"}': 1,
            'guests{kind="whep"}': 0,
            'joins_total{kind="page"}': 1,
            'refusals_total{code="bad-origin"}': 1,
            'http_requests_total{route="/ws",status="101"}': 1,
            'http_requests_total{route="/ws",status="403"}': 1,
            'packets_total{direction="in"}': 0,
            'packets_dropped_total{reason="flooded"}': 0,
            "skipped_ticks_total": 0,
        }
        assert {name: told[f"ipconf_bridge_{name}"] for name in expected} == expected
        late = 'ipconf_bridge_loop_lateness_seconds_bucket{le="+Inf"}'
        assert told[late] == told["ipconf_bridge_loop_lateness_seconds_count"] >= 1
        assert told["process_resident_memory_bytes"] > 0
        assert "secret" not in text and "Ann" not in text
        page_of_docs = (ROOT / "docs" / "bridge.md").read_text()
        named = set(re.findall(r"`(ipconf_bridge_\w+)`", page_of_docs))
        assert named == set(re.findall(r"^# HELP (ipconf_bridge_\w+)", text, re.MULTILINE))

    run(work)


def test_metrics_are_for_this_machine_and_whoever_has_the_token() -> None:
    token = "a-token-of-a-scraper"

    async def work(bridge: Bridge, client: ClientSession) -> None:
        async def status(**headers: str) -> int:
            async with client.get("/metrics", headers=headers) as answer:
                return answer.status

        assert await status() == 200
        for ours in ("localhost", f"[::1]:{bridge.port}", socket.gethostname()):
            assert await status(Host=ours) == 200
        for rebound in ("rebound.example", f"rebound.example:{bridge.port}", "", "x:y"):
            assert await status(Host=rebound) == 403
        assert await status(Host="rebound.example", Authorization=f"Bearer {token}") == 200
        proxied = {"X-Forwarded-For": "192.0.2.1"}
        assert await status(**proxied) == 403
        assert await status(**proxied, Authorization="Bearer another-token-altogether") == 403
        assert await status(**proxied, Authorization=f"Bearer {token}") == 200

    run(work, metrics_token=token)


def test_metrics_can_be_off() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        async with client.get("/metrics") as answer:
            assert answer.status == 404

    run(work, metrics=False)


# -- whom it refuses


def test_a_page_of_another_site_cannot_open_a_socket() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{bridge.port + 1}"):
            with pytest.raises(WSServerHandshakeError) as caught:
                await client.ws_connect("/ws", headers={"Origin": origin})
            assert caught.value.status == 403
        for ours in (bridge.url, "https://www.example.org"):
            page = await client.ws_connect("/ws", headers={"Origin": ours})
            await page.close()

    run(work, origins=["https://www.example.org"])


def test_too_many_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUESTS_PER_S", 0.001)
    monkeypatch.setattr(limits, "REQUESTS_AT_ONCE", 3.0)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        statuses = []
        for _ in range(5):
            async with client.get("/healthz") as answer:
                statuses.append(answer.status)
        assert statuses == [200, 200, 200, 429, 429]
        assert int(answer.headers["Retry-After"]) > 0

    run(work)


def test_of_requests_in_one_go_those_that_are_too_many_are_not_even_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "REQUESTS_PER_S", 0.001)
    monkeypatch.setattr(limits, "REQUESTS_AT_ONCE", 3.0)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        answers = await ask_raw(bridge, KEPT * 100)
        assert answers.count(b" 200 OK") == 3 and answers.count(b" 429 ") == 1

    run(work)


def test_requests_in_one_go_are_no_more_than_can_be_read_at_once() -> None:
    most = int(connection.BYTES_AT_ONCE / connection.REQUEST_COST)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        assert b" 200 " in await ask_raw(bridge, f"{GET}\r\n")
        assert await ask_raw(bridge, KEPT * most) == b""
        assert b'refusals_total{code="cut-off"} 1' in bridge.metrics.page()

    run(work)


def test_too_many_guests_of_one_address_are_refused() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        pages = [await enter(client, "lobby") for _ in range(2)]
        third = await client.ws_connect("/ws", protocols=("ipconf.1",))
        await third.send_json({"type": "hello", "version": 1, "room": "lobby", "name": "Bob"})
        assert (await until(third, "error"))["code"] == "too-many-sessions"
        assert (await until(third, "bye"))["code"] == "refused"
        await pages[0].send_json({"type": "leave"})
        await until(pages[0], "bye")
        pages[0] = await enter(client, "lobby")
        for page in (third, *pages):
            await page.close()

    run(work, max_sessions_per_address=2)


def test_behind_a_proxy_guests_are_told_apart() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        pages = []
        for number in range(3):
            headers = {"X-Forwarded-For": f"6.6.6.6, 192.0.2.{number}"}
            page = await client.ws_connect("/ws", headers=headers, protocols=("ipconf.1",))
            await page.send_json({"type": "hello", "version": 1, "room": "lobby", "name": "Bob"})
            assert (await page.receive_json())["type"] == "welcome"
            pages.append(page)
        for page in pages:
            await page.close()
        assert b'{route="/ws",status="101"} 3' in bridge.metrics.page()

    run(work, max_sessions_per_address=1, trusted_proxies=["127.0.0.1"])


def test_a_request_that_is_too_big_or_too_slow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "BODY_LIMIT_S", 0.2)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        kind = {"Content-Type": "application/sdp"}
        async with client.post("/whip/a", data=b"x" * 10_001, headers=kind) as answer:
            assert answer.status == 413
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        head = "POST /whip/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\n"
        writer.write(f"{head}Content-Length: 10\r\n\r\nv=0".encode())
        answer = await reader.readuntil(b"}")
        assert b" 408 " in answer and b"Content-Type: application/problem+json" in answer
        writer.write(b"1234567")
        writer.close()

    run(work, max_request_bytes=10_000)


def test_a_request_that_breaks_off_is_no_fault_of_the_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        head = "POST /whip/a HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\n"
        writer.write(f"{head}Content-Length: 10\r\n\r\nv=0".encode())
        await eventually(lambda: bridge.connections._heard, "it has begun")
        writer.close()
        await gone(bridge)
        told = b'refusals_total{code="bad-request"} 1'
        await eventually(lambda: told in bridge.metrics.page(), "it is refused")

    run(work)
    assert "Traceback" not in caplog.text and "Error handling" not in caplog.text


def test_who_connects_and_asks_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_REQUEST_S", 0.3)
    monkeypatch.setattr(connections, "LOOK_EVERY_S", 0.05)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        page = await enter(client, "lobby")
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        with pytest.raises(ConnectionError):
            while await reader.read(100) or not reader.at_eof():
                pass
            raise ConnectionResetError  # closed in order
        writer.close()
        await page.send_json({"type": "leave"})  # who has asked for something stays
        await until(page, "bye")
        await page.close()

    run(work)


async def ask_raw(bridge: Bridge, request: str, source: str = "127.0.0.1") -> bytes:
    """All that comes back; b"" where the connection is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port, local_addr=(source, 0))
    writer.write(request.encode())
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


GET = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
KEPT = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


def test_one_address_has_so_many_connections(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "LOOK_EVERY_S", 0.05)
    most = connections.CONNECTIONS_PER_GUEST * connections.FEWEST_GUESTS

    async def work(bridge: Bridge, client: ClientSession) -> None:
        port = bridge.port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(most)]
        for _ in range(3):
            assert await ask_raw(bridge, f"{GET}\r\n") == b""
        assert b" 200 " in await ask_raw(bridge, f"{GET}\r\n", "127.0.0.2")
        held[0][1].close()
        await asyncio.sleep(0.2)
        assert b" 200 " in await ask_raw(bridge, f"{GET}\r\n")
        for _, writer in held:
            writer.close()

    run(work, max_sessions_per_address=1)
    assert caplog.text.count("connections cut off") == 1


def test_in_a_crowd_an_address_has_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    few = connections.IN_A_CROWD
    monkeypatch.setattr(connections, "most_files", lambda: 4 * few)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        port = bridge.port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2 * few)]
        assert await ask_raw(bridge, f"{GET}\r\n") == b"", "it has more than its part"
        local = ("127.0.0.2", 0)
        for _ in range(few - 1):
            held.append(await asyncio.open_connection("127.0.0.1", port, local_addr=local))
        assert b" 200 " in await ask_raw(bridge, f"{GET}\r\n", "127.0.0.2")
        for _, writer in held[: 1 + 2 * few]:
            writer.close()
        await asyncio.sleep(0.1)
        assert b" 200 " in await ask_raw(bridge, f"{GET}\r\n"), "there is room again"
        for _, writer in held:
            writer.close()

    run(work)


def test_a_server_asks_for_as_many_files_as_it_may_have() -> None:
    program = (
        "import resource\nfrom ipconf.bridge import files\n"
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, min(hard, 900)))\n"
        "files.ask_for_files()\nprint(files.most_files())"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "900\n"


def test_a_proxy_that_is_trusted_has_any_number_of_connections() -> None:
    most = connections.CONNECTIONS_PER_GUEST * connections.FEWEST_GUESTS

    async def work(bridge: Bridge, client: ClientSession) -> None:
        port = bridge.port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(most)]
        assert b" 200 " in await ask_raw(bridge, f"{GET}\r\n")
        for _, writer in held:
            writer.close()

    run(work, max_sessions_per_address=1, trusted_proxies=["127.0.0.1"])


def test_who_does_not_read_an_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipconf.bridge.connection.ANSWER_S", 0.3)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.setblocking(False)
        await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", bridge.port))
        deaf.send(b"GET /static/style.css HTTP/1.1\r\nHost: a\r\n\r\n" * 300)
        await gone(bridge)
        deaf.close()

    run(work)


@pytest.mark.parametrize(("waiting", "aborted"), [(1, True), (0, False)])
def test_what_waits_too_long_is_thrown_away(
    waiting: int, aborted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a connection that is closed, but for that."""
    monkeypatch.setattr("ipconf.bridge.connection.ANSWER_S", 0.2)
    monkeypatch.setattr(connections, "LOOK_EVERY_S", 0.05)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        await asyncio.sleep(0.1)
        (waits,) = bridge.connections._there
        transport = Mock(**{"get_write_buffer_size.return_value": waiting})
        waits._socket = transport
        await asyncio.sleep(0.4)
        assert transport.abort.called == aborted
        writer.close()

    run(work)


async def gone(bridge: Bridge) -> None:
    """Return when the server has no connection any more."""
    await asyncio.sleep(0.1)
    await eventually(lambda: not bridge.connections._open, "nobody is connected")


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
PING, FRAGMENT_BEGINS, FRAGMENT = b"\x89\x80abcd", b"\x01\x80abcd", b"\x00\x80abcd"


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
@pytest.mark.parametrize(("first", "flood"), [(b"", PING), (FRAGMENT_BEGINS, FRAGMENT)])
def test_frames_that_say_nothing_are_counted(
    first: bytes, flood: bytes, proxies: tuple[str, ...]
) -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        writer.write(UPGRADE + b"\r\n")
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        came = 0
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(5.0):
                for _ in range(1000):
                    writer.write(flood * 1000)
                    await writer.drain()
                while data := await reader.read(10_000):
                    came += len(data)
            raise ConnectionResetError  # closed in order
        assert came < 1000  # 100 pongs at the most, and not one for each
        writer.close()

    run(work, trusted_proxies=proxies)


@pytest.mark.parametrize("greets", [True, False])
def test_pings_are_answered(greets: bool) -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        if greets:
            page = await enter(client, "lobby")
            page._autoping = False
        else:
            page = await client.ws_connect("/ws", autoping=False)
        await page.ping(b"are you there")
        async with asyncio.timeout(5.0):
            while (await page.receive()).data != b"are you there":
                pass
        await page.close()

    run(work)


def test_who_sends_single_bytes_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipconf.bridge.connection.BYTES_AT_ONCE", 5_000.0)
    monkeypatch.setattr("ipconf.bridge.connection.BYTES_PER_S", 1.0)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        with pytest.raises(ConnectionError):
            for _ in range(200):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.0005)
            await reader.read()
            raise ConnectionResetError  # closed in order
        writer.close()
        assert b'refusals_total{code="cut-off"} 1' in bridge.metrics.page()

    run(work)


@pytest.mark.parametrize("forged", ["6.6.6.6", "192.0.2.7"])
def test_each_proxy_may_add_a_header_of_its_own(forged: str) -> None:
    seen: list[str] = []

    async def work(bridge: Bridge, client: ClientSession) -> None:
        bridge.limits.request = seen.append  # type: ignore[method-assign]
        headers = f"X-Forwarded-For: {forged}\r\nX-Forwarded-For: 203.0.113.9\r\n"
        assert b" 200 " in await ask_raw(bridge, f"{GET}{headers}\r\n")

    run(work, trusted_proxies=["127.0.0.1"])
    assert seen == ["203.0.113.9"]


def test_what_is_no_http_is_told_so_with_our_headers() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        answer = await ask_raw(bridge, "GET /secret HTTP/9.9\r\nA\0: secret\r\n\r\n")
        assert b" 400 " in answer and b"bad-request" in answer
        assert b"Server: ipconf\r\n" in answer and b"nosniff" in answer
        assert b"secret" not in answer and b"aiohttp" not in answer

    run(work)


# -- HTTPS


def test_who_connects_and_begins_no_tls_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HANDSHAKE_S", 0.3)
    most = connections.CONNECTIONS_PER_GUEST * connections.FEWEST_GUESTS

    async def work(bridge: Bridge, client: ClientSession) -> None:
        port = bridge.port
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(most)]
        _, noisy = await asyncio.open_connection("127.0.0.1", port)
        noisy.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.1)
        assert sum(bridge.connections._open.values()) == most  # and not one more
        await gone(bridge)
        async with client.get("/healthz", ssl=False) as answer:
            assert answer.status == 200
        for _, writer in held:
            writer.close()
        noisy.close()

    run(work, tls_self_signed=True, state_dir=tmp_path, max_sessions_per_address=1)


def test_a_certificate_of_our_own_is_kept_and_can_be_trusted(tmp_path: Path) -> None:
    seen = []

    async def work(bridge: Bridge, client: ClientSession) -> None:
        assert bridge.url.startswith("https://127.0.0.1:") and bridge.fingerprint is not None
        seen.append(bridge.fingerprint)
        pin = Fingerprint(bytes.fromhex(bridge.fingerprint.replace(":", "")))
        async with client.get("/healthz", ssl=pin) as answer:
            assert answer.status == 200
            assert "Strict-Transport-Security" not in answer.headers
        trusting = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        for host in ("127.0.0.1", "localhost"):
            url = f"https://{host}:{bridge.port}/healthz"
            async with ClientSession() as other, other.get(url, ssl=trusting) as answer:
                assert answer.status == 200

    run(work, tls_self_signed=True, state_dir=tmp_path)
    run(work, tls_self_signed=True, state_dir=tmp_path)
    assert seen[0] == seen[1]
    assert {oct(path.stat().st_mode)[-3:] for path in tmp_path.iterdir()} == {"600"}
    # Another name needs another certificate.
    settings = BridgeSettings(
        tls_self_signed=True, state_dir=tmp_path, public_url="https://conf.example.org"
    )
    renewed = certificates.tls_for(settings)
    assert renewed is not None and renewed.fingerprint != seen[0]


def test_a_certificate_that_ends_soon_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = BridgeSettings(tls_self_signed=True, state_dir=tmp_path)
    first = certificates.tls_for(settings)
    monkeypatch.setattr(certificates, "RENEW", certificates.VALID - timedelta(hours=1))
    second = certificates.tls_for(settings)
    assert first and second and first.fingerprint != second.fingerprint
    made = x509.load_pem_x509_certificate((tmp_path / "certificate.pem").read_bytes())
    length = made.not_valid_after_utc - made.not_valid_before_utc
    assert length <= timedelta(days=398)  # the most that browsers take


def test_a_certificate_that_is_given_is_used(tmp_path: Path) -> None:
    made = certificates.make_certificate(["127.0.0.1"])
    (tmp_path / "a.pem").write_bytes(made.authority)
    (tmp_path / "c.pem").write_bytes(made.chain)
    (tmp_path / "k.pem").write_bytes(made.key)

    async def work(bridge: Bridge, client: ClientSession) -> None:
        trusting = ssl.create_default_context(cafile=str(tmp_path / "a.pem"))
        async with client.get("/healthz", ssl=trusting) as answer:
            assert "max-age" in answer.headers["Strict-Transport-Security"]

    run(work, tls_certificate=tmp_path / "c.pem", tls_key=tmp_path / "k.pem")


# -- links


def test_links_have_their_invitation_in_the_fragment() -> None:
    async def work(bridge: Bridge, client: ClientSession) -> None:
        assert bridge.link("team") == f"{bridge.url}/team"
        page, _, token = bridge.link("team", Role.MODERATOR).partition("#")
        assert page == f"http://127.0.0.1:{bridge.port}/team"
        welcome = await enter(client, "team", token=token)
        await welcome.close()

    run(work, open_rooms=False)


# -- the process


class Process:
    """`ipconf bridge` in a process of its own; ended at the end of the block, if not before."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-W", "error", "-m", "ipconf", "bridge", "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
        self.limit = threading.Timer(2 * LIMIT_S, self.process.kill)  # rather than to wait for ever

    def __enter__(self) -> Process:
        self.limit.start()
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()
        self.second = self.process.stdout.readline()
        assert self.first, self.process.communicate()[1]
        self.url = self.first.split()[1].rstrip("/")
        return self

    def __exit__(self, *exc: object) -> None:
        self.limit.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, number: int) -> tuple[int, float, str]:
        """Send a signal; returns the exit code, how long it took, and what was logged."""
        began = time.monotonic()
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, time.monotonic() - began, log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_guests_are_told(number: int) -> None:
    async def visit(bridge: Process) -> tuple[int, float, str]:
        async with ClientSession(bridge.url) as client:
            page = await enter(client, "lobby")
            ending = asyncio.create_task(asyncio.to_thread(bridge.end, number))
            bye = await until(page, "bye")
            assert (bye["code"], bye["again"]) == ("stopping", True)
            await page.receive()
            assert page.close_code == 1012
            return await ending

    with Process() as bridge:
        code, took, log = asyncio.run(visit(bridge))
    assert (code, took < 10.0) == (0, True), log
    assert "Traceback" not in log and "stopped" in log


def test_what_is_printed_leads_in() -> None:
    async def visit(bridge: Process) -> None:
        async with ClientSession(bridge.url) as client:
            room, _, token = bridge.second.split()[-1].rpartition("/")[2].partition("#")
            page = await client.ws_connect("/ws", protocols=("ipconf.1",))
            hello = {"type": "hello", "version": 1, "room": room, "name": "Ann", "token": token}
            await page.send_json(hello)
            assert (await page.receive_json())["role"] == "moderator"
            await page.close()

    with Process("--no-open-rooms") as bridge:
        assert bridge.second.startswith("Moderators of lobby: ")
        asyncio.run(visit(bridge))


def test_no_token_is_in_any_line_of_the_log() -> None:
    async def visit(bridge: Process, token: str) -> None:
        bearer = {"Authorization": f"Bearer {token}"}
        async with ClientSession(bridge.url) as client:
            for path in (f"/lobby?token={token}", f"/healthz?{token}", f"/{token}", f"/x/{token}"):
                await (await client.get(path, headers=bearer)).read()
            sdp = {**bearer, "Content-Type": "application/sdp"}
            await (await client.post("/whip/lobby", data="v=0", headers=sdp)).read()
            await (await client.delete(f"/whip/lobby/{token}", headers=bearer)).read()
            page = await enter(client, "lobby", token=token)
            other = await client.ws_connect("/ws", protocols=(token,))
            await other.close()
            await page.send_str(f'{{"type": "{token}"}}')
            await page.send_json({"type": "leave"})
            await until(page, "bye")
            await page.close()
        host, _, port = bridge.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as raw:  # what aiohttp itself refuses
            raw.sendall(f"GET /{token} HTTP/9.9\r\nA\0: {token}\r\n\r\n".encode())
            raw.recv(1000)

    with Process("--log-format", "json", "--log-level", "debug") as bridge:
        token = bridge.second.split("#")[1].strip()
        asyncio.run(visit(bridge, token))
        code, _, log = bridge.end(signal.SIGTERM)
    assert code == 0
    lines = [json.loads(line) for line in log.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert {"/{room}", "/healthz", "/whip/{room}", "/ws"} <= {line["route"] for line in requests}
    parts = (token, *token.split("."))
    assert not [line for line in log.splitlines() if any(part in line for part in parts)]


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with Process("--port", port, "--any-port") as bridge:  # unless any other will do
            assert not bridge.url.endswith(f":{port}")
        command = [sys.executable, "-m", "ipconf", "bridge", "--port", port]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"ipconf bridge: cannot listen on 127.0.0.1:{port}: ")
    assert ran.stderr.count("\n") == 1


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(LIMIT_S)
        manager.bind(str(tmp_path / "notify"))
        with Process(NOTIFY_SOCKET=str(tmp_path / "notify")) as bridge:
            assert manager.recv(100) == b"READY=1"
            assert "#" not in bridge.first + bridge.second  # what is printed stays in the journal
            bridge.end(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"


def test_without_its_packages_it_says_what_to_install() -> None:
    hidden = "import sys; sys.modules['aiohttp'] = sys.modules['prometheus_client'] = None\n"
    code = f"{hidden}import ipconf\nfrom ipconf.cli import main\nsys.exit(main(['bridge']))"
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        cwd=ROOT,
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "pip install '.[web]'" in ran.stderr


def test_lines_of_the_log_for_people_and_for_programs() -> None:
    from ipconf.bridge.log import JsonLines, TextLines

    record = logging.makeLogRecord(
        {"name": "root", "msg": "joined", "levelname": "INFO", "created": 0.0}
    )
    record.fields = {"room": 'a"\n', "number": 1}
    when = "1970-01-01T00:00:00.000+00:00"
    assert TextLines().format(record) == f'{when} INFO joined room="a\\"\\n" number=1'
    assert json.loads(JsonLines().format(record)) == {
        "time": when,
        "level": "info",
        "logger": "root",
        "event": "joined",
        "room": 'a"\n',
        "number": 1,
    }
