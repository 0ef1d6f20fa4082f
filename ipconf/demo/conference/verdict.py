"""Whether the conference went as it should: every event, and who really heard whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...errors import MediaError
from ..expected import Chain
from ..log import Entry
from ..verdict import LENGTH_TOLERANCE_S, Check
from .expected import hub_chains, person_chains
from .listening import Recording
from .log import ConferenceLog, PersonLog
from .matrix import Cell, row
from .mosaic import check_mosaic
from .script import HUB_KEY
from .sights import SightCell, sight_row
from .talk import floor_faults, hub_talk_faults, person_talk_faults


@dataclass(slots=True)
class Verdict:
    """All checks of a run, and the matrices of who heard whom and who saw whom."""

    checks: list[Check] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    sights: list[SightCell] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything was right, the matrices to their last cells."""
        return bool(self.cells) and all(check.passed for check in self.checks)


def judge(log: ConferenceLog) -> Verdict:
    """All checks of a run. The recordings are read, which takes seconds."""
    verdict = Verdict(check_hub(log))
    for side in log.people.values():
        verdict.checks += check_person(log, side)
        checks, cells = check_recording(log, side)
        verdict.checks += checks
        verdict.cells += cells
        if log.script.slots:
            check, sights = check_sights(log, side)
            verdict.checks.append(check)
            verdict.sights += sights
    if log.mosaic is not None:
        verdict.checks.append(check_mosaic(log, log.mosaic))
    return verdict


def check_hub(log: ConferenceLog) -> list[Check]:
    """Whether the run went as it should for the hub, by what it told."""
    script, events = log.script, log.hub.events
    ends = [log.failure] if log.failure else []
    ends += [
        f"{side.name}'s process did not end by itself"
        for side in (log.hub, *log.people.values())
        if not side.finished
    ]
    chains, steps = _chain_faults(hub_chains(script), events)
    return [
        Check(HUB_KEY, "Played to the end", "yes", tuple(ends)),
        Check(HUB_KEY, "No inner errors", "none", tuple(log.complaints)),
        Check(HUB_KEY, "All events in order", f"{steps} came", chains),
        Check(HUB_KEY, "Talk noticed", "in each line", tuple(hub_talk_faults(script, events))),
        Check(HUB_KEY, "Floor given", "to who talked", tuple(floor_faults(script, events))),
    ]


def check_person(log: ConferenceLog, side: PersonLog) -> list[Check]:
    """Whether that person was told what they should be."""
    chains, steps = _chain_faults(person_chains(log.script, side.person), side.events)
    talk = person_talk_faults(log.script, side.person, side.events)
    return [
        Check(side.person.key, "All events in order", f"{steps} came", chains),
        Check(side.person.key, "Talk noticed", "in each line", tuple(talk)),
    ]


def check_recording(log: ConferenceLog, side: PersonLog) -> tuple[list[Check], list[Cell]]:
    """Whether that person heard exactly whom they should, and when."""
    key = side.person.key
    try:
        recording = Recording(side.recording)
    except MediaError as exc:
        return [Check(key, "Recording complete", "", (str(exc),))], []
    length_s = recording.length_s + side.recording_began_s
    short = abs(length_s - log.script.duration_s) > LENGTH_TOLERANCE_S
    cells = list(row(log, side, recording))
    whole = (f"it ends at {length_s:.1f} s, not at {log.script.duration_s:.1f} s",) if short else ()
    wrong = tuple(cell.fault for cell in cells if not cell.right)
    return [
        Check(key, "Recording complete", f"{recording.length_s:.1f} s", whole),
        Check(key, "Heard whom they should", f"in {len(cells)} phases", wrong),
    ], cells


def check_sights(log: ConferenceLog, side: PersonLog) -> tuple[Check, list[SightCell]]:
    """Whether that person saw exactly whom they should, and when."""
    cells = list(sight_row(log, side))
    wrong = tuple(cell.fault for cell in cells if not cell.right)
    found = f"in {len(cells)} phases"
    return Check(side.person.key, "Saw whom they should", found, wrong), cells


def _chain_faults(chains: Iterable[Chain], events: list[Entry]) -> tuple[tuple[str, ...], int]:
    chains = tuple(chains)
    faults = tuple(fault for chain in chains for fault in chain.faults(events))
    return faults, sum(len(chain.steps) for chain in chains)
