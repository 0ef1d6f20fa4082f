"""People in real browsers, each with a tone and a colour of their own, in the rooms of a bridge.

Everybody has a Chromium of their own: its microphone plays a tone out of a file, its camera a film
of one colour. What they hear is measured on the stream of the page's audio element, what they see
on its video elements. The tests read the page as people do, by its text, labels and attributes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import wave
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import LOCALHOST, webrtc
from senses import AUDIO, CAPTURE, VIDEO

pytest.importorskip("aiohttp")
playwright = pytest.importorskip("playwright.async_api")

from ipconf import (  # noqa: E402
    Identity,
    LoopbackTsp,
    MediaServiceProvider,
    TestPictureTerminal,
    ToneTerminal,
)
from ipconf.bridge.server import Bridge  # noqa: E402
from ipconf.bridge.settings import BridgeSettings  # noqa: E402
from ipconf.hub.people import Role  # noqa: E402

CHROMIUM = os.environ.get("IPCONF_CHROMIUM") or shutil.which("chromium")
"""Debian's and Ubuntu's; where it is elsewhere the environment says so."""
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--force-prefers-reduced-motion",
)
FAKE_DEVICES = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
ROOM = "lab"
PATIENCE_S = 20.0
"""Several browsers and a bridge on a small machine: so long a person waits before it is a fault."""
RED, GREEN, BLUE = (81, 90, 240), (145, 54, 34), (41, 240, 110)
"""Y, U and V."""
FILM = (160, 120, 10)
"""Width, height, and pictures a second."""
ABSENT_DB = 25.0
"""So far below the loudest of them is a tone that is not heard."""

HEARD = """
async (tones) => {
  const stream = document.getElementById("sound").srcObject;
  if (!stream) return tones.map(() => -200);
  window.labAudio ??= new AudioContext();
  await window.labAudio.resume();
  const source = window.labAudio.createMediaStreamSource(stream);
  const analyser = new AnalyserNode(window.labAudio, { fftSize: 16384, smoothingTimeConstant: 0 });
  source.connect(analyser);
  await new Promise((resolve) => setTimeout(resolve, 450));
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  source.disconnect();
  const width = window.labAudio.sampleRate / analyser.fftSize;
  return tones.map((hz) => {
    const middle = Math.round(hz / width);
    return Math.max(-200, ...bins.slice(middle - 4, middle + 5));
  });
}
"""
"""How loud each of these tones is, in dB."""

SEEN = """
async (name) => {
  const tile = [...document.querySelectorAll(".tile")].find((each) => each.dataset.name === name
    && each.dataset.own !== "true" && each.dataset.content === CONTENT);
  if (!tile || tile.dataset.picture !== "on") return null;
  const video = tile.querySelector("video");
  const canvas = new OffscreenCanvas(32, 24);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const look = () => (pen.drawImage(video, 0, 0, 32, 24), pen.getImageData(0, 0, 32, 24).data);
  const first = look();
  await new Promise((resolve) => setTimeout(resolve, 700));
  const second = look();
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const colour = [0, 1, 2].map((c) => sum([...second].filter((_, n) => n % 4 === c)) / 768);
  const moved = sum([...second].map((value, n) => Math.abs(value - first[n]))) / second.length;
  return { colour, moved, opacity: getComputedStyle(video).opacity, width: video.videoWidth };
}
"""
"""The mean colour of somebody's picture, 0 to 255, and how much it changes within 0.7 s."""


class Visitor:
    """A person with a browser."""

    def __init__(self, page: Any, context: Any, hz: float, faults: list[str]) -> None:
        self.page = page
        self.context = context
        self.hz = hz
        self.faults = faults
        """What the browser complains of, the content security policy for one."""
        self.log: list[str] = []

    async def join(self, link: str, name: str) -> None:
        """Open the link, give a name, and go in."""
        await self.page.goto(link)
        await self.page.fill("#join-name", name)
        await self.page.click("#join-button")
        await self.misses("#join")

    async def connected(self) -> None:
        """Return when sound and pictures go through."""
        await self._wait("#state[data-state=good]", None, "attached")  # not shown on telephones

    async def sees(self, selector: str, text: str | None = None) -> None:
        """Return when there is such an element, with that text, and it is visible."""
        await self._wait(selector, text, "visible")

    async def misses(self, selector: str) -> None:
        """Return when no such element is visible."""
        await self._wait(selector, None, "hidden")

    async def is_told(self, text: str) -> None:
        """Return when that has been read out, as news or as an alarm."""
        await self._wait("#live p, #alert", text, "attached")

    async def _wait(self, selector: str, text: str | None, state: str) -> None:
        place = self.page.locator(selector)
        if text is not None:
            place = place.filter(has_text=text)
        try:
            await place.first.wait_for(state=state, timeout=PATIENCE_S * 1000)
        except playwright.TimeoutError:
            there = await self.page.inner_text("body")
            told = await self.page.text_content("#live")
            raise AssertionError(
                f"{selector} {text or ''} is not {state}; {there=}, {told=}, log={self.log}"
            ) from None

    async def hears(self, heard: Iterable[float], unheard: Iterable[float] = ()) -> None:
        """Return when exactly these tones are heard: about as loud as each other, and no others."""
        heard, unheard = list(heard), list(unheard)
        levels: list[float] = []

        async def right() -> bool:
            levels[:] = await self.page.evaluate(HEARD, heard + unheard)
            there, gone = levels[: len(heard)], levels[len(heard) :]
            loudest = max(there, default=-60.0)
            return all(level > max(loudest - 15, -70) for level in there) and all(
                level < loudest - ABSENT_DB for level in gone
            )

        await until(right, lambda: f"of {heard}, not {unheard} is heard {levels}")

    async def sees_moving(
        self, name: str, yuv: tuple[int, int, int] | None, content: str = "camera"
    ) -> None:
        """Return when a picture of somebody's tile has that colour, and moves."""
        seen: Any = None
        script = SEEN.replace("CONTENT", repr(content))

        async def right() -> bool:
            nonlocal seen
            seen = await self.page.evaluate(script, name)
            if seen is None or seen["moved"] < 0.2 or seen["opacity"] != "1":
                return False
            return yuv is None or bool(np.abs(np.array(seen["colour"]) - rgb(yuv)).max() < 60)

        await until(right, lambda: f"{name} should be {yuv}, and is {seen}")

    async def names(self) -> set[str]:
        """The names on the tiles."""
        return set(await self.page.locator(".tile .name").all_text_contents())

    async def more(self, does: str) -> None:
        """Choose something in the menu of the toolbar."""
        await self.page.click("#more")
        await self.page.click(f"#more-menu [data-does={does}]")


async def until(right: Callable[[], Awaitable[bool]], what: Callable[[], str]) -> None:
    """Return when that is so; AssertionError with `what` if it is not in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE_S
    while not await right():
        assert loop.time() < end, what()
        await asyncio.sleep(0.1)


def rgb(yuv: tuple[int, int, int]) -> Any:
    """The colour in red, green and blue, 0 to 255 (ITU-R BT.601, video range)."""
    y, u, v = 1.164 * (yuv[0] - 16), yuv[1] - 128, yuv[2] - 128
    mixed = (y + 1.596 * v, y - 0.392 * u - 0.813 * v, y + 2.017 * u)
    return np.clip(np.array(mixed), 0, 255)


def write_tone(path: Path, hz: float, duration_s: int = 10) -> None:
    """A WAV file for a microphone; whole periods, so that it goes on without a gap."""
    rate = 48_000
    sound = np.sin(2 * np.pi * hz * np.arange(rate * duration_s) / rate) * 0.25
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())


def write_film(path: Path, yuv: tuple[int, int, int]) -> None:
    """A YUV4MPEG2 file for a camera: that colour, and a dark bar that moves over it."""
    width, height, rate = FILM
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(rate * 2):
            luma = np.full((height, width), yuv[0], np.uint8)
            luma[:, number * 8 % width :][:, :16] = 30
            file.write(b"FRAME\n" + luma.tobytes())
            for chroma in yuv[1:]:
                file.write(bytes([chroma]) * (width * height // 4))


class Lab:
    """A bridge, and the people who come to it; made by `lab`."""

    def __init__(self, folder: Path, driver: Any, stack: AsyncExitStack) -> None:
        self.bridge: Bridge
        self.folder = folder
        self.stack = stack
        self._driver = driver
        self._bridge_stack = AsyncExitStack()
        self._faults: list[str] = []

    async def start(self, **settings: Any) -> None:
        """A bridge; again after `stop`, at the same port."""
        self.bridge = await self._bridge_stack.enter_async_context(
            Bridge(BridgeSettings(**{"host": LOCALHOST, "port": 0, "video_slots": 4, **settings}))
        )

    async def stop(self) -> None:
        """End the bridge."""
        await self._bridge_stack.aclose()

    async def browser(self, *flags: str) -> Any:
        """A Chromium with these flags."""
        browser = await self._driver.chromium.launch(
            executable_path=CHROMIUM,
            headless=True,
            args=[*FLAGS, *flags],
            ignore_default_args=["--mute-audio"],  # with it a shared tab has no sound
        )
        self.stack.push_async_callback(browser.close)
        return browser

    async def visitor(
        self,
        hz: float = 440.0,
        yuv: tuple[int, int, int] = RED,
        *,
        devices: Iterable[str] = FAKE_DEVICES,
        remembered: dict[str, str] | None = None,
        **context: Any,
    ) -> Visitor:
        """Somebody with a browser; `remembered` is what the page finds in the storage."""
        tone, film = self.folder / f"{hz:g}.wav", self.folder / f"{'-'.join(map(str, yuv))}.y4m"
        write_tone(tone, hz)
        write_film(film, yuv)
        browser = await self.browser(
            *devices,
            f"--use-file-for-fake-audio-capture={tone}",
            f"--use-file-for-fake-video-capture={film}",
        )
        return await self.window(browser, hz, remembered, **context)

    async def window(
        self,
        browser: Any,
        hz: float = 0.0,
        remembered: dict[str, str] | None = None,
        **context: Any,
    ) -> Visitor:
        """A window of its own, with storage of its own, in a browser."""
        own = await browser.new_context(**context)
        # Tones are noise to a filter of noise.
        kept = {"processing": "off", "picture": "small", "sounds": "off", **(remembered or {})}
        lines = [f"localStorage.setItem('ipconf.{key}', '{value}');" for key, value in kept.items()]
        await own.add_init_script(
            "if (!localStorage.getItem('ipconf.processing')) {" + "".join(lines) + "}"
        )
        page = await own.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        visitor = Visitor(page, own, hz, self._faults)
        page.on("pageerror", lambda error: self._faults.append(str(error)))
        page.on("console", lambda line: self._written(visitor, line.text))
        return visitor

    def _written(self, visitor: Visitor, text: str) -> None:
        visitor.log.append(text)
        if "Content Security Policy" in text or "Permissions policy" in text:
            self._faults.append(text)

    async def bot(self, name: str, hz: float, room: str = ROOM, picture: bool = True) -> Any:
        """Somebody without a browser: a call with a tone and a test picture; its end here."""
        settings = webrtc()
        provider = await self.stack.enter_async_context(
            MediaServiceProvider(Identity(name=name), settings)
        )
        tsp = await self.stack.enter_async_context(LoopbackTsp(provider, self.bridge.msp))
        call, far = tsp.pair({AUDIO, VIDEO} if picture else {AUDIO})
        call.stream(AUDIO, CAPTURE).select_terminal(ToneTerminal(frequency_hz=hz))
        if picture:
            terminal = TestPictureTerminal(name, 320, 180, 10.0)
            call.stream(VIDEO, CAPTURE).select_terminal(terminal)
        self.bridge.rooms.rooms[room].conference.add(far, name)
        await tsp.connect(pair=(call, far))
        return call

    def link(self, room: str = ROOM, token: str = "") -> str:
        """How people come in."""
        return f"http://{LOCALHOST}:{self.bridge.port}/{room}" + (f"#{token}" if token else "")


@asynccontextmanager
async def lab(**settings: Any) -> AsyncIterator[Lab]:
    """A bridge with these settings; at the end no browser may have had to complain."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        driver = await stack.enter_async_context(playwright.async_playwright())
        found = Lab(Path(folder), driver, stack)
        stack.push_async_callback(found.stop)
        await found.start(**settings)
        yield found
        assert not found._faults, found._faults


async def pair(place: Lab, ann_role: Role | None = None) -> tuple[Visitor, Visitor]:
    """Ann (440 Hz, red) and Bob (700 Hz, blue) are in the room, and connected."""
    ann, bob = await place.visitor(440.0, RED), await place.visitor(700.0, BLUE)
    token = "" if ann_role is None else place.bridge.invitations.invite(ROOM, ann_role)
    await ann.join(place.link(token=token), "Ann")
    await bob.join(place.link(), "Bob")
    await ann.connected()
    await bob.connected()
    await ann.sees(".tile[data-name=Bob]")
    return ann, bob
