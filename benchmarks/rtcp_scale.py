"""RTCP of thousands, drawn: `python -m benchmarks.rtcp_scale [--out docs/img/rtcp-scale.png]`.

What happens where everybody joins at once, leaves at once, stays, or stays while nearly all others
leave; with the rules of RFC 3550 section 6.3 as this package has them, and, for comparison, without
one of them. Takes about half a minute. docs/rtcp-at-scale.md says what is to be seen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ipconf.engine.rtcp_timing import RtcpTimer

from .picture import ABSENT, DOTS_PER_INCH, can_draw
from .rtcp_crowd import BANDWIDTH_BPS, DELAY_S, GOODBYE_OCTETS, REPORT_OCTETS, Crowd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = Path("docs/img/rtcp-scale.png")
MANY, FEWER = 10_000, 1_000
STAYING = 500
TALKERS = 3
SIZES = (3, 10, 30, 100, 300, 1_000, 3_000, MANY)
JOIN_S = 60.0
LONG_DELAY_S = 0.25
LEAVE_S = 4_000.0
REMAIN_S = 1_500.0
ROUNDS = 5
"""Intervals for which the steady state is measured."""
SIZE_INCHES = 12.0, 8.5
OURS, OTHER, LIMIT = "tab:blue", "tab:red", "dimgrey"

Points = tuple[list[float], list[float]]


class Rfc1889Timer(RtcpTimer):
    """The rule of RFC 1889, before there was reconsideration: each time is drawn once."""

    __slots__ = ()

    def expired(self, now: float) -> bool:
        """Send, whoever has come meanwhile."""
        self.pmembers = self.members
        return True

    def draw_interval_s(self) -> float:
        """Without the factor that makes up for reconsideration."""
        return self.deterministic_interval_s() * (self._rng.random() + 0.5)


class WithoutReverse(RtcpTimer):
    """All of RFC 3550 section 6.3 but reverse reconsideration."""

    __slots__ = ()

    def members_left(self, members: int, now: float) -> None:
        """Keep to what was drawn when the group was large."""
        self.members = members


def joined(
    count: int, rule: type[RtcpTimer] = RtcpTimer, delay_s: float = DELAY_S, until: float = JOIN_S
) -> Crowd:
    """`count` members who all come at 0, and nobody was there before."""
    crowd = Crowd(count, timer=rule, delay_s=delay_s)
    crowd.run(until)
    return crowd


def left(count: int, until: float = LEAVE_S) -> Crowd:
    """All of `count` members, who know one another, leave at 0."""
    crowd = Crowd(count)
    crowd.know_everybody()
    crowd.leave(range(1, count + 1))
    crowd.run(until)
    return crowd


def remaining(
    count: int, staying: int, rule: type[RtcpTimer] = RtcpTimer, until: float = REMAIN_S
) -> Crowd:
    """Of `count` members, who know one another, only the first `staying` are left from 0 on."""
    crowd = Crowd(count, timer=rule)
    crowd.know_everybody()
    crowd.vanish(range(staying + 1, count + 1))
    crowd.run(until)
    return crowd


def steady_share(count: int) -> tuple[float, float]:
    """RTCP of `count` members, `TALKERS` of them senders, as a share of the session's bandwidth.

    All of it, and that of the senders.
    """
    crowd = Crowd(count, senders=TALKERS)
    crowd.know_everybody()
    interval_s = max(5.0, count * REPORT_OCTETS * 8 / (BANDWIDTH_BPS * 0.05 * 0.75))
    begin, end = 2 * interval_s, (2 + ROUNDS) * interval_s
    crowd.run(end)
    of_senders = sum(o for at, who, o in crowd.sent if who <= TALKERS and begin <= at < end)
    return crowd.share(begin, end), of_senders * 8 / (end - begin) / BANDWIDTH_BPS


def _steps(times: Sequence[float]) -> Points:
    return list(times), [float(n) for n in range(1, len(times) + 1)]


def _allowed(octets: int, until: float) -> Points:
    """What 5 % of the bandwidth carries from 0 on."""
    times = [until * step / 200 for step in range(201)]
    return times, [t * BANDWIDTH_BPS * 0.05 / 8 / octets for t in times]


def _draw_joins(axes: Axes) -> None:
    lines = (
        ("10,000 join, RFC 1889", MANY, Rfc1889Timer, DELAY_S, OTHER, "-"),
        ("1,000 join, RFC 1889", FEWER, Rfc1889Timer, DELAY_S, OTHER, "--"),
        ("10,000 join, RFC 3550, 250 ms apart", MANY, RtcpTimer, LONG_DELAY_S, OURS, ":"),
        ("10,000 join, RFC 3550", MANY, RtcpTimer, DELAY_S, OURS, "-"),
        ("1,000 join, RFC 3550", FEWER, RtcpTimer, DELAY_S, OURS, "--"),
    )
    for label, count, rule, delay_s, colour, style in lines:
        times, numbers = _steps([at for at, _, _ in joined(count, rule, delay_s).sent])
        axes.plot([*times, JOIN_S], [*numbers, numbers[-1]], style, color=colour, label=label)
    axes.plot(*_allowed(REPORT_OCTETS, JOIN_S), color=LIMIT, lw=1, label="5 % of the bandwidth")
    axes.set(xlim=(0, JOIN_S), ylim=(1, 1e5), yscale="log", title="All join at once")
    axes.set(xlabel="s after the join", ylabel="reports sent so far")


def _draw_goodbyes(axes: Axes) -> None:
    axes.axvline(0, color=OTHER, label="BYE at once, RFC 1889: all 10,000 at 0 s")
    for count, style in ((MANY, "-"), (FEWER, "--")):
        times, numbers = _steps(left(count).goodbyes)
        label = f"{count:,} leave, BYEs with back-off"
        axes.plot([*times, LEAVE_S], [*numbers, numbers[-1]], style, color=OURS, label=label)
    axes.plot(*_allowed(GOODBYE_OCTETS, LEAVE_S), color=LIMIT, lw=1, label="5 % of the bandwidth")
    axes.set(xlim=(-100, LEAVE_S), ylim=(0, MANY * 1.1), title="All leave at once")
    axes.set(xlabel="s after the leave", ylabel="BYEs sent so far")


def _draw_shares(axes: Axes) -> None:
    shares = [steady_share(count) for count in SIZES]
    everybody, senders = ([100 * share for share in column] for column in zip(*shares, strict=True))
    axes.plot(SIZES, everybody, "o-", color=OURS, label="everybody")
    axes.plot(SIZES, senders, "s--", color=OURS, mfc="white", label=f"the {TALKERS} who send")
    axes.axhline(5, color=LIMIT, lw=1, label="what RTCP may take")
    axes.set(xscale="log", ylim=(0, 6), title="A group that nobody joins or leaves")
    axes.set(xlabel="members", ylabel="RTCP, % of the session's bandwidth")


def _draw_remaining(axes: Axes) -> None:
    for rule, label, colour in (
        (WithoutReverse, "without reverse reconsideration", OTHER),
        (RtcpTimer, "with reverse reconsideration", OURS),
    ):
        times, numbers = _steps([at for at, _, _ in remaining(MANY, STAYING, rule).sent])
        axes.plot([*times, REMAIN_S], [*numbers, numbers[-1]], color=colour, label=label)
    axes.plot(*_allowed(REPORT_OCTETS, REMAIN_S), color=LIMIT, lw=1, label="5 % of the bandwidth")
    title = f"{MANY - STAYING:,} of 10,000 leave: the {STAYING} who stay"
    axes.set(xlim=(0, REMAIN_S), ylim=(0, None), title=title)
    axes.set(xlabel="s after the leave", ylabel="reports of theirs so far")


def draw(path: Path) -> None:
    """Simulate all of it and draw it into that PNG; needs matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, plots = pyplot.subplots(2, 2, figsize=SIZE_INCHES, facecolor="white")
    panels: tuple[Callable[[Axes], None], ...] = (
        _draw_joins, _draw_goodbyes, _draw_shares, _draw_remaining,
    )  # fmt: skip
    for panel, axes in zip(panels, plots.flat, strict=True):
        panel(axes)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.suptitle(
        f"RTCP in a group: {BANDWIDTH_BPS // 1000} kbit/s, reports of {REPORT_OCTETS} octets, "
        f"{DELAY_S * 1e3:.0f} ms from everybody to everybody"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=DOTS_PER_INCH)
    pyplot.close(figure)


def main() -> int:
    """Exit status 1 where matplotlib is absent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rtcp_scale", description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURE, metavar="FILE", help="the PNG")
    out: Path = parser.parse_args().out
    if not can_draw():
        print(ABSENT, file=sys.stderr)
        return 1
    draw(out)
    print(f"drawn into {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
