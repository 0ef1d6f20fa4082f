"""What the web costs: joining from a browser, many joins, and what pages are told.

Chromium, or pages without one ── WebSocket, ICE, DTLS-SRTP ──> the bridge's process
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from functools import partial
from statistics import median

from .children import Child
from .hubs import FASTER_LOOP
from .machine import Machine, described
from .report import Broken, Plan, Row, attempt

ROOM, ROOM_SIZE = "bench", 20
FIRST_SOUND_GOAL_S, JOINS_PER_S, SIGNALLING_GOAL = 1.0, 20, 0.02
JOIN_GOAL_S = 1.0
"""Of the slowest, where 20 join each second: who is slower has waited in a queue."""
BROWSER = "chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints",
    "--allow-loopback-in-peer-connection", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
FIRST_SOUND = """async () => {
  const context = new AudioContext(), samples = new Float32Array(2048);
  const clicked = performance.now();
  document.getElementById("join-button").click();
  let analyser = null;
  while (performance.now() - clicked < 15000) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const stream = document.getElementById("sound").srcObject;
    if (stream && !analyser) {
      analyser = context.createAnalyser();
      context.createMediaStreamSource(stream).connect(analyser);
    }
    if (!analyser) continue;
    analyser.getFloatTimeDomainData(samples);
    if (samples.some((sample) => Math.abs(sample) > 0.01)) return performance.now() - clicked;
  }
  return null;
}"""
"""Seconds from the click to the first sound of others, looked at every 10 ms."""


async def _first_sound(plan: Plan) -> Row:
    """From the click on Join to the first sound, in a browser, in a room where somebody talks."""
    name = "web: from the click to the first sound, Chromium"
    browser_path = shutil.which(BROWSER)
    if browser_path is None:
        return Row(name, None, "s", FIRST_SOUND_GOAL_S, "there is no chromium here")
    from playwright.async_api import async_playwright

    delays = []
    async with Child("subject_web", *FASTER_LOOP) as web, async_playwright() as playwright:
        url = await web.ask("open")
        browser = await playwright.chromium.launch(
            executable_path=browser_path, headless=True, args=list(FLAGS)
        )
        for number in range(plan.pick(9, 2)):
            page = await (await browser.new_context()).new_page()
            await page.goto(f"{url}/{ROOM}")
            await page.fill("#join-name", f"Browser {number}")
            await page.wait_for_timeout(1_000)  # as somebody needs for that
            if not number:
                await page.click("#join-button")
                await web.ask("connected", room=ROOM, count=1)
                await web.ask("talk", room=ROOM)
                continue  # it was in the room before there was anything to hear
            delay_ms = await page.evaluate(FIRST_SOUND)
            if delay_ms is None:
                raise Broken("nothing was heard within 15 s")
            delays.append(delay_ms / 1e3)
            await page.context.close()
        await browser.close()
    note = f"{min(delays):.2f} to {max(delays):.2f} in {len(delays)} joins, one after the other"
    return Row(name, median(delays), "s", FIRST_SOUND_GOAL_S, note)


async def _joins(plan: Plan) -> tuple[Row, Row]:
    """Twenty a second, into rooms of twenty."""
    count = plan.pick(10 * JOINS_PER_S, 2 * JOINS_PER_S)
    machine = Machine.now()
    web, pages = Child("subject_web", *FASTER_LOOP), Child("subject_pages", *FASTER_LOOP)
    async with web, pages:
        url = await web.ask("open")
        seconds = count / JOINS_PER_S
        used, joins = await asyncio.gather(
            web.ask("measure", seconds=seconds),
            pages.ask(
                "join", url=url, room=ROOM, count=count, per_s=JOINS_PER_S, room_size=ROOM_SIZE
            ),
        )
        await web.ask("connected", room=ROOM, count=count)
    name = f"web: {JOINS_PER_S} joins a second, {count} into rooms of {ROOM_SIZE}"
    core = used["cpu"] / used["seconds"]
    goal = None if plan.quick else 1.0
    note = f"of pages without a browser; {described([machine])}"
    return (
        Row(name, core, "core", goal, note),
        Row(f"{name}: the slowest", max(joins), "s", goal and JOIN_GOAL_S,
            f"median {median(joins):.2f} s"),
    )  # fmt: skip


async def _signalling(plan: Plan) -> Row:
    """What it takes to tell a hundred idle pages what they are told, beyond their calls."""
    count = plan.pick(100, 10)
    web, pages = Child("subject_web", *FASTER_LOOP), Child("subject_pages", *FASTER_LOOP)
    async with web, pages:
        url = await web.ask("open")
        await pages.ask("join", url=url, room=ROOM, count=count, per_s=JOINS_PER_S, room_size=count)
        await web.ask("connected", room=ROOM, count=count)
        await asyncio.sleep(4.0)
        before = await pages.ask("heard")
        told = await web.ask("measure", seconds=2 * plan.window_s)
        heard = await pages.ask("heard") - before
        await pages.ask("vanish")
        await asyncio.sleep(2.0)
        untold = await web.ask("measure", seconds=2 * plan.window_s)
    if heard < count * told["seconds"] / 4:
        raise Broken(f"{heard} messages came to {count} pages: too few to be all")
    share = told["cpu"] / told["seconds"] - untold["cpu"] / untold["seconds"]
    note = (
        f"{heard / told['seconds']:.0f} messages/s; all in all {told['cpu'] / told['seconds']:.3f}"
    )
    goal = None if plan.quick else SIGNALLING_GOAL
    return Row(f"web: signalling of {count} idle people", share, "core", goal, note)


async def run(plan: Plan) -> AsyncIterator[Row]:
    """Each in processes of its own."""
    yield await attempt(partial(_first_sound, plan))
    for row in await attempt(partial(_joins, plan)):
        yield row
    yield await attempt(partial(_signalling, plan))
