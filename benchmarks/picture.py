"""The growth of a conference as a picture: CPU of the hub over its legs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ipconf.model import AUDIO_FRAME_S

from .bench_conference import GROWTH
from .report import Row

ABSENT = "no picture: pip install matplotlib"
SIZE_INCHES = 8.0, 4.5
DOTS_PER_INCH = 110

Points = list[tuple[int, float]]


def can_draw() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def lines_of(rows: Sequence[Row]) -> dict[str, Points]:
    """Legs and cores of each line, by what carries the legs."""
    found: dict[str, Points] = {}
    for row in rows:
        if row.place is not None and row.place.table == GROWTH and row.measured is not None:
            found.setdefault(row.place.column, []).append((int(row.place.line), row.measured))
    return {name: sorted(points) for name, points in found.items()}


def goals_of(rows: Sequence[Row]) -> dict[str, Points]:
    """The same of the goals, where there are any."""
    goals = [
        Row(row.what, row.goal, row.unit, place=row.place) for row in rows if row.goal is not None
    ]
    return lines_of(goals)


def floor_cores(legs: int, datagram_us: float) -> float:
    """Cores that the kernel takes alone: a datagram each way for each leg every 20 ms."""
    return legs * datagram_us / 1e6 / AUDIO_FRAME_S


def draw(rows: Sequence[Row], datagram_us: float, path: Path) -> bool:
    """Draw the growth into that PNG; False if there are not at least two sizes, or no matplotlib.

    `datagram_us` is what a sendto and a recvfrom take on this machine.
    """
    lines, goals = lines_of(rows), goals_of(rows)
    most = max((legs for points in lines.values() for legs, _ in points), default=0)
    if not can_draw() or not any(len(points) > 1 for points in lines.values()):
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=SIZE_INCHES)
    for name, points in lines.items():
        (line,) = axes.plot(*zip(*points, strict=True), marker="o", label=name)
        if name in goals:
            axes.plot(
                *zip(*goals[name], strict=True),
                linestyle="none", marker="_", markersize=18, markeredgewidth=3,
                color=line.get_color(), label=f"goals: {name}",
            )  # fmt: skip
    floor = [floor_cores(legs, datagram_us) for legs in (0, most)]
    label = "sendto and recvfrom alone"
    axes.plot((0, most), floor, linestyle="--", color="grey", label=label)
    axes.set_xlabel("legs")
    axes.set_ylabel("cores")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_title(GROWTH)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=DOTS_PER_INCH)
    pyplot.close(figure)
    return True
