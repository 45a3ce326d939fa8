"""The page bench/LEAKBENCH.md: who notices what, at which false alarms, and what it costs."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.leakbench.catalogue import CLEAN, LEAKS, Leak
from bench.leakbench.cost import HELD, ROWS, share_of
from bench.leakbench.results import Result, Shelf
from bench.leakbench.score import ALPHA, Null, Power, alone, macro, wilson, without
from bench.leakbench.tools import OURS, PEERS
from bench.leakbench.worlds import UNITS, WORLDS
from bench.page import machine, markdown
from twinlake.privacy.membership import AUC as MEMBERSHIP
from twinlake.privacy.membership import MEASURES

FEWEST = 10  # clean runs that a threshold is set by
Case = tuple[str, str, int]  # world, leak, dose


@dataclass(frozen=True)
class Board:
    """All results of one tool."""

    tool: str
    results: Sequence[Result]

    @cached_property
    def runs(self) -> Mapping[Case, list[dict[str, Any]]]:
        """What it said, by case, in the order of repetitions."""
        found: dict[Case, list[dict[str, Any]]] = {}
        for r in sorted(self.results, key=lambda r: r.cell):
            if "failed" not in r.told:
                found.setdefault((r.cell.world, r.cell.leak, r.cell.dose), []).append(r.told)
        return found

    def clean(self, world: str) -> list[dict[str, Any]]:
        """Runs of one release in which nothing was planted."""
        return self.runs.get((world, CLEAN.name, 0), [])

    @cached_property
    def nulls(self) -> Mapping[str, Null]:
        """By table, where there are enough clean runs."""
        enough = {w: self.clean(w) for w in WORLDS if len(self.clean(w)) >= FEWEST}
        return {w: Null.of([measures(t) for t in runs]) for w, runs in enough.items()}

    def shipped(self, case: Case) -> Power:
        """By its own verdicts."""
        return _power(self.runs.get(case, []), alarmed)

    def calibrated(self, case: Case) -> Power:
        """Against its own clean runs of the table; gates that look at more than those hold, by their verdict."""
        null = self.nulls.get(case[0])
        if null is None:
            return Power(0, 0)
        return _power(self.runs.get(case, []), lambda t: null.alarms(measures(t)) or _beyond(t, null))

    @property
    def ships(self) -> bool:
        """Whether it has verdicts of its own."""
        return self.tool == OURS or bool(PEERS[self.tool].verdict)


def measures(told: Mapping[str, Any]) -> dict[str, float]:
    """Figures by gate or measure, higher is worse."""
    if "gates" in told:
        return {gate: math.nan if said[1] is None else float(said[1]) for gate, said in told["gates"].items()}
    return {name: float(value) for name, value in told["measures"].items()}


def failed_gates(told: Mapping[str, Any]) -> tuple[str, ...]:
    """The gates of ours that found a leak, and `over_time` where it refuses for too few units that changed."""
    return tuple(
        gate
        for gate, said in told["gates"].items()
        if said[0] == "failed" or (gate == "over_time" and said[0] == "inconclusive")
    )


def alarmed(told: Mapping[str, Any]) -> bool:
    """Whether a tool's own verdict is that something leaks."""
    return bool(failed_gates(told)) if "gates" in told else bool(told["alarm"])


def _beyond(told: Mapping[str, Any], null: Null) -> bool:
    return "gates" in told and any(gate not in null.names for gate in failed_gates(told))


def _power(runs: Sequence[Mapping[str, Any]], noticed: Callable[[Mapping[str, Any]], bool]) -> Power:
    return Power(sum(noticed(t) for t in runs), len(runs))


def page(shelf: Shelf, home: Path, tools: Iterable[str], *, older: bool = False) -> str:
    """The whole page as Markdown, of what each tool's newest version was measured on; `older` takes the others too."""
    kept = shelf.latest(None if older else shelf.newest())
    boards = [b for b in (Board(t, [r for (_, tool), r in kept.items() if tool == t]) for t in tools) if b.results]
    ours = next((b for b in boards if b.tool == OURS), None)
    parts = ["# LeakBench: who notices a leak?", _about(boards), "## Mean power", _macro(boards), _EXPLAINED]
    for world in WORLDS.values():
        if any(b.clean(world.name) or _cases(b, world.name) for b in boards):
            parts += [f"## {world.name}", f"{world.about[0].upper()}{world.about[1:]}.", _doses(boards, world.name)]
    parts += ["## False alarms", _false_alarms(boards), _calibration(home)]
    if ours is not None:
        parts += ["## What must be found", _targets(ours), *_oracle(home), "## Each gate switched off", _mutation(ours)]
    parts += ["## Losses", _losses(boards), "## Cost", _costs(home), "## How it was measured", _METHOD]
    return "\n\n".join(parts) + "\n"


def _cases(board: Board, world: str) -> list[Case]:
    return [c for c in board.runs if c[0] == world and c[2] > 0]


def _sensible(world: str, *, seen: bool = False, miss: bool = False) -> list[Leak]:
    """Leaks that can be planted into a table; `seen`: in columns that peers read; `miss`: the lost cause too."""
    leaks = [leak for leak in LEAKS.values() if not leak.senseless(WORLDS[world])]
    return [leak for leak in leaks if (leak.seen or not seen) and (miss or not leak.miss)]


def _mean(board: Board, world: str, power: Callable[[Case], Power], *, seen: bool, miss: bool = False) -> float:
    """Mean over leaks and doses; what a peer is not shown it does not notice."""
    found = []
    for leak in _sensible(world, seen=seen, miss=miss):
        for dose in (1, 2, 3):
            unseen = board.tool != OURS and not leak.seen and _cases(board, world)
            found.append(Power(0, 1) if unseen else power((world, leak.name, dose)))
    return macro(found)


def _macro(boards: Sequence[Board]) -> str:
    rows = [["", "", *[f"{w}: {h}" for w in WORLDS for h in ("all leaks", "in columns that peers read")]]]
    for board in boards:
        ways = [("calibrated at 5 %", board.calibrated)]
        if board.ships:
            ways.insert(0, ("as shipped", board.shipped))
        for name, power in ways:
            cells = [_share(_mean(board, w, power, seen=s)) for w in WORLDS for s in (False, True)]
            rows.append([_bold(board.tool), name, *cells])
    return f"{markdown(rows)}\n\n{_how_often(boards)}"


def _how_often(boards: Sequence[Board]) -> str:
    """On how many runs each tool's figures stand."""
    rows = [["runs of a case, and clean ones", *WORLDS]]
    for board in boards:
        cells = []
        for world in WORLDS:
            counts = {len(board.runs[case]) for case in _cases(board, world)}
            each = "" if not counts else f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
            cells.append(f"{each}, {len(board.clean(world))}" if each else "")
        rows.append([_bold(board.tool), *cells])
    return markdown(rows)


_EXPLAINED = """\
Mean over leaks and doses, each as heavy as any other, without `shifted encoding`, which every tool that goes by
distance is expected to miss. **As shipped**: by the tool's own verdict, whatever its false alarms are (below).
**Calibrated**: a tool alarms where any of its measures is beyond what it is on clean runs of the same table, with a
threshold that lets at most 5 % of these through, each left out in turn. That is a gift: no tool ships it. Personal
columns, texts and keys are not shown to peers, who leave them out or have no use for them; what is planted there they
miss."""


def _doses(boards: Sequence[Board], world: str) -> str:
    """Power by leak and dose: ours as shipped, peers calibrated."""
    rows = [["leak", "dose", *[f"{_bold(b.tool)}{' as shipped' if b.tool == OURS else ''}" for b in boards]]]
    for leak in LEAKS.values():
        why = leak.senseless(WORLDS[world])
        if why:
            rows.append([leak.name, f"not here: {why}", *[""] * len(boards)])
            continue
        for i, dose in enumerate(leak.doses, 1):
            cells = [_seen(b, leak, (world, leak.name, i)) for b in boards]
            rows.append([leak.name if i == 1 else "", dose.label, *cells])
    return markdown(rows)


def _seen(board: Board, leak: Leak, case: Case) -> str:
    if board.tool != OURS and not leak.seen:
        return "not shown"
    power = board.shipped(case) if board.tool == OURS else board.calibrated(case)
    return _share(power.share)


def _false_alarms(boards: Sequence[Board]) -> str:
    rows = [["", "", *[f"{w}: share, 95 % interval, runs" for w in WORLDS]]]
    for board in boards:
        if board.ships:
            rows.append(
                [_bold(board.tool), "as shipped", *[_interval(board.shipped((w, CLEAN.name, 0))) for w in WORLDS]]
            )
        rows.append([_bold(board.tool), "calibrated", *[_left_out(board, w) for w in WORLDS]])
        for leak in LEAKS.values() if board.tool == OURS else ():
            if any((w, leak.name, 0) in board.runs for w in WORLDS):
                cells = [_interval(board.shipped((w, leak.name, 0))) for w in WORLDS]
                rows.append(["", f"`{leak.name}`, nothing planted", *cells])
    return "\n\n".join([markdown(rows), *(_by_gate(b) for b in boards if b.tool == OURS)])


def _by_gate(ours: Board) -> str:
    """Which gates alarmed in clean runs, and which could not tell or could not run."""
    gates = sorted({g for w in WORLDS for t in ours.clean(w) for g in t["gates"]})
    rows = [["gate", *[f"{w}: failed, inconclusive, could not run" for w in WORLDS]]]
    for gate in gates:
        cells = []
        for world in WORLDS:
            said = [t["gates"][gate] for t in ours.clean(world) if gate in t["gates"]]
            counts = [sum(s[0] == o for s in said) for o in ("failed", "inconclusive")]
            cells.append(f"{counts[0]}, {counts[1]}, {sum(not s[2] for s in said)} of {len(said)}")
        rows.append([f"`{gate}`", *cells])
    return markdown(rows)


def _targets(ours: Board) -> str:
    rows = [["leak", "dose", "target", *WORLDS]]
    met = tried = 0
    for leak in LEAKS.values():
        for i, dose in enumerate(leak.doses, 1):
            if dose.target is None:
                continue
            cells = []
            for world in WORLDS.values():
                power = ours.shipped((world.name, leak.name, i))
                good = power.meets(dose.target)
                met, tried = met + good, tried + bool(power.of)
                cells.append("" if not power.of else f"{_share(power.share)} {'✓' if good else '✗'}")
            rows.append([leak.name, dose.label, f"{dose.target:.2f}", *cells])
    return f"{met} of {tried} reach their target, by the gates as they are shipped.\n\n{markdown(rows)}"


def _mutation(ours: Board) -> str:
    """By gate, membership's measures as one: runs that only it found, and targets that are missed without it."""
    cases = {c: [{_whole(g) for g in failed_gates(t)} for t in runs] for c, runs in ours.runs.items() if c[2] > 0}
    gates = sorted({_whole(g) for runs in ours.runs.values() for t in runs for g in t["gates"]})
    sole = alone([gates for runs in cases.values() for gates in runs])
    rows = [["gate", "runs that it alone found", "cases whose target is missed without it", "for example"]]
    for gate in gates:
        lost = []
        for (world, leak, dose), alarms in cases.items():
            target = LEAKS[leak].doses[dose - 1].target
            whole = Power(sum(bool(a) for a in alarms), len(alarms))
            if target is not None and whole.meets(target) and not without(alarms, gate).meets(target):
                lost.append(f"{world}: {leak}, {LEAKS[leak].doses[dose - 1].label}")
        rows.append([f"`{gate}`", str(sole.get(gate, 0)), str(len(lost)), "; ".join(lost[:3]) or "**none**"])
    return f"{markdown(rows)}\n\n`membership` is its three measures, which look at the same guesses."


def _whole(gate: str) -> str:
    """The gate that a measure is of."""
    return MEMBERSHIP if gate in MEASURES else gate


def _losses(boards: Sequence[Board]) -> str:
    """Where ours is behind a peer, or misses what it should not."""
    ours = next((b for b in boards if b.tool == OURS), None)
    rows = [["table", "leak", "dose", "ours as shipped", "best peer, calibrated"]]
    for world in WORLDS if ours is not None else ():
        for leak in _sensible(world, miss=True):
            for i, dose in enumerate(leak.doses, 1):
                assert ours is not None
                mine = ours.shipped((world, leak.name, i)).share
                others = [(b.calibrated((world, leak.name, i)).share, b.tool) for b in boards if b.tool != OURS]
                best = max((o for o in others if not math.isnan(o[0])), default=(math.nan, ""))
                if mine < 0.9 or best[0] > mine:
                    shown = f"{_share(best[0])} {best[1]}" if best[1] else ""
                    rows.append([world, leak.name, dose.label, _share(mine), shown])
    return markdown(rows) if len(rows) > 1 else "None."


def _costs(home: Path) -> str:
    path = home / "costs.json"
    if not path.is_file():
        return "Not measured."
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [["", "seconds", "CPU seconds", "peak memory, MB"]]
    for tool, told in found.items():
        numbers = [f"{told[n]:,.0f}" if n in told else "" for n in ("wall", "cpu", "peak_mb")]
        rows.append([_bold(tool), *([told["failed"], "", ""] if "failed" in told else numbers)])
    gates = share_of(found.get(OURS, {}))
    by_gate = markdown([["gate", "CPU seconds"], *[[f"`{g}`", f"{s:.1f}"] for g, s in gates.items()]])
    head = f"{ROWS:,} learnt, {HELD:,} held-back and {ROWS:,} synthetic rows of 13 columns, one core, imports left out."
    return "\n\n".join([head, markdown(rows), *([by_gate] if gates else [])])


def _calibration(home: Path) -> str:
    """What `bench.leakbench.calibration` found, attack by attack."""
    path = home / "calibration.json"
    if not path.is_file():
        return "The attacks of `copying` were not calibrated one by one."
    told = json.loads(path.read_text(encoding="utf-8"))
    levels = list(next(iter(next(iter(told["tables"].values())).values())))
    rows = [["attack", *(f"{world}, p < {at}" for world in told["tables"] for at in levels)]]
    for attack in next(iter(told["tables"].values())):
        rows.append([attack, *(f"{shares[attack][at]:.3f}" for shares in told["tables"].values() for at in levels)])
    head = f"Each attack of `copying` by itself, before any correction, in {told['runs']:,} clean draws of "
    return f"{head}{told['units']:,} units a side (`python -m bench.leakbench.calibration`):\n\n{markdown(rows)}"


def _oracle(home: Path) -> Iterator[str]:
    """What `bench.leakbench.oracle` found."""
    path = home / "oracle.json"
    if path.is_file():
        told = json.loads(path.read_text(encoding="utf-8"))
        yield (
            "Ordinary copies in the coarse table, found at p < 0.01 by an oracle that knows how frequent each row is "
            f"among all 30,000 ({told['runs']} runs, `python -m bench.leakbench.oracle`):"
        )
        yield markdown([["copies", *told["found"]], ["found", *(f"{share:.2f}" for share in told["found"].values())]])


def _about(boards: Sequence[Board]) -> str:
    packages = ", ".join(PEERS[b.tool].packages[0].replace("==", " ") for b in boards if b.tool != OURS)
    return f"Made by `python -m bench.leakbench`. {machine()}, no GPU. Twinlake{f'; {packages}' if packages else ''}."


def _interval(power: Power) -> str:
    if not power.of:
        return ""
    low, high = wilson(power.hits, power.of)
    return f"{power.share:.3f}, {low:.3f} to {high:.3f}, {power.of}"


def _left_out(board: Board, world: str) -> str:
    null = board.nulls.get(world)
    return "" if null is None else f"{null.false_alarms:.3f}, {len(null.clean)} left out in turn"


def _share(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.2f}"


def _bold(tool: str) -> str:
    return f"**{tool}**" if tool == OURS else tool


_METHOD = f"""\
* **Clean.** Learnt rows, held-back rows and the rows in the twin's place are disjoint random samples of the same real
  rows, {UNITS:,} units each: a perfect generator. A leak is planted into the third. Rare labels are joined, tails
  of coarse quantities are cut, and but in the coarse table of units that are alike one stays, before anything is drawn,
  for a twin of Twinlake never holds such, and real rows do; the other tools lose nothing by it.
* **Beside the real columns** stand keys in the order of the file, made-up e-mail addresses and notes of made-up words,
  one of its own for every unit; clean twins have fresh ones.
* **The relational table** is judged by ours as two tables with people as privacy units. Peers take one table: a
  person's columns, with number, first, mean and last of the measurements.
* **Leaks that are generators** (SMOTE, CART, nearest neighbours) act on the table of units. **Overfit** is no trained
  network: learnt units drawn with replacement and blurred by a tenth of a standard deviation stand for one.
* **Secret** changes one label alone: fresh rows get that of the learnt unit that is nearest to each by all else.
* **Averaging** is twelve releases, **differencing** two, **shadow** a generator that is fitted 60 times by us; peers
  are given the last release. With nothing planted, twelve releases are of the same rows, and a tenth of the units
  joined between the two.
* **Peers** have their defaults but: SDMetrics takes its distances between 500 rows of each side; anonymeter makes 300
  attacks and has the held-back rows as control; MOSTLY AI's figures are taken from the functions its report calls;
  synthcity's KDE of DOMIAS is left out where its columns have none. Verdicts are read so:
  {"; ".join(f"{p.name}, {p.verdict}" for p in PEERS.values() if p.verdict)}. The others ship none.
* Power and false alarms are shares of repetitions, each with samples and leaks of its own; intervals are Wilson's, at
  95 %. Thresholds of calibrated tools let at most {ALPHA:.0%} of clean runs through.
* Twinlake's gates run with the limits for the public. One that had too little data to tell blocks a release; here it
  counts as no alarm, but for `over_time`: it refuses two releases between which fewer than k units changed.
"""
