"""The table of call x fault: `expectations.yaml` as rows and cells, and as the page docs/api-faults.md."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

DATA = Path(__file__).with_name("expectations.yaml")
ON_READS = ("429", "500", "503", "timeout", "cut", "stale")
ON_WRITES = ("409", "429", "500", "503", "timeout", "cut", "lost")
FAULTS = ("409", "429", "500", "503", "timeout", "cut", "lost", "stale")
ALIKE = ("429", "500", "503", "timeout", "cut")  # one way to be away, in five ways of saying so
HALVES = ("passes", "stays")
SAME = "same"
NEVER = "never"
UNKNOWN = "?"
Half = dict[str, str]  # fault -> what comes of it


@dataclass(frozen=True, slots=True)
class Row:
    """One call, the scene in which it is met, and what comes of each fault."""

    step: str
    verb: str
    resource: str
    purpose: str
    scene: str
    passes: Half = field(default_factory=dict)
    stays: Half = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.step, self.verb, self.resource, self.purpose

    @property
    def faults(self) -> tuple[str, ...]:
        """What this verb can meet."""
        return ON_READS if self.verb in {"get", "list", "watch"} else ON_WRITES

    def half(self, name: str) -> Half:
        return self.passes if name == "passes" else self.stays

    def said(self, half: str, fault: str) -> str:
        """What is expected of a cell."""
        return self.half(half).get(fault, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Cell:
    """One test."""

    row: Row
    fault: str
    half: str

    @property
    def expected(self) -> str:
        return self.row.said(self.half, self.fault)

    def __str__(self) -> str:
        call = " ".join(self.row.key[1:]).strip()
        return f"{self.row.step}: {call}: {self.fault} that {self.half}"


def load() -> list[Row]:
    """Every row, in the order in which a release makes the calls."""
    if not DATA.exists():
        return []
    found = yaml.load(DATA.read_bytes(), Loader=yaml.CSafeLoader) or []
    return [Row(**{**row, **{half: _ungrouped(row[half]) for half in HALVES}}) for row in found]


def save(rows: Iterable[Row]) -> None:
    """Write them, the faults grouped by what comes of them."""
    plain = [
        {
            **dict(zip(("step", "verb", "resource", "purpose"), row.key, strict=True)),
            "scene": row.scene,
            **{half: _grouped(row, half) for half in HALVES},
        }
        for row in rows
    ]
    text = yaml.safe_dump(plain, sort_keys=False, width=110, default_flow_style=None)
    DATA.write_text(HEAD + text, encoding="utf-8")


HEAD = """\
# What comes of each fault of the Kubernetes API at each call of a release: outcome -> faults.
# Each is a test. `make record-faults` adds rows for new calls with what it observes: read them, then commit.
"""


def _grouped(row: Row, half: str) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for fault in row.faults:
        groups.setdefault(row.said(half, fault), []).append(fault)
    return groups


def _ungrouped(groups: dict[str, list[str]]) -> Half:
    return {fault: said for said, faults in groups.items() for fault in faults}


def cells(rows: Iterable[Row]) -> Iterator[Cell]:
    """Every cell of the table."""
    for row in rows:
        for half, fault in itertools.product(HALVES, row.faults):
            yield Cell(row, fault, half)


def representative(rows: Iterable[Row]) -> Iterator[Cell]:
    """Every cell, but one fault for all that are alike: a recording begins with these."""
    for number, row in enumerate(rows):
        for cell in cells([row]):
            if cell.fault not in ALIKE or cell.fault == ALIKE[number % len(ALIKE)]:
                yield cell


def completed(row: Row) -> Row:
    """With what was seen of one fault expected of those that are alike, until their tests say otherwise."""
    return replace(row, passes=_completed(row.passes), stays=_completed(row.stays))


def _completed(half: Half) -> Half:
    seen = next((half[fault] for fault in ALIKE if half.get(fault, UNKNOWN) != UNKNOWN), UNKNOWN)
    return half | {fault: seen for fault in ALIKE if half.get(fault, UNKNOWN) == UNKNOWN}


def diagonal(rows: list[Row]) -> Iterator[Cell]:
    """A few of them, over all steps, verbs, faults and halves."""
    for number, row in enumerate(rows[::3]):
        yield Cell(row, row.faults[number % len(row.faults)], HALVES[number % 2])


# -- the page

INTRO = """\
# What each fault of the Kubernetes API does to a release

Generated from `tests/faults/expectations.yaml` by `make generate`; every cell is a test. `make test` runs a
diagonal of the table, `make faults` all of it ({calls} calls, {count} cells, {known} of them known).

A call is what a step asks of the API and what for, as recorded on the wire over whole releases: a call that
has no row fails a test. Standard mode has rules of its own, so what a step reads of an InferenceService and
writes to it there is a call of its own. A fault is put on the wire between the official client and the API:

| fault | is |
|---|---|
| 409 | the API answers a write with a conflict though nobody else wrote |
| 429, 500, 503 | it answers so (429 with Retry-After) |
| timeout | it never answers, and has not done it |
| cut | the connection ends before it has done it |
| lost | the connection ends after it has done the write |
| stale | a read shows an older version of the object |
| dropped watch | cannot be: tidegate polls, and a test proves that it never asks for a watch |

Each cell says what comes of a fault that passes (one time; a stale read: at each change) / of one that stays
for as long as that call is made. Then the wire is sound again and the guard comes.

| cell | means |
|---|---|
| = | the step ends as on a sound wire |
| *word* | it ends so, with exit 0 and a document: `refused` (production untouched), `rolled back`, ... |
| *number* | it ends with this exit code and one line (4 conflict, 5 rejected, 6 alarm, 75 try again) |
| ; none | nothing was begun, there is nothing to undo |
| ; closed | the release has ended by itself |
| ; guard | the guard returns the traffic (or finishes the return) and closes the release |
| ; swept | traffic is safe, but the spec could not be repaired: the sweep repairs it |
| ; lease | the Lease could not be given back: whoever comes next waits until it has expired |
| o | there is no older version that could be shown |
| ? | not observed yet |

In every cell the candidate never has more than its step's share of production; and after the guard all of
production is on one model, the journal is closed and says which, the spec asks for it, and neither a preview
nor a dedicated baseline is left.

{observed}"""
OBSERVED = Path(__file__).with_name("observed.md")
WORDS = {SAME: "=", NEVER: "o", UNKNOWN: "?"}


def page(rows: list[Row]) -> str:
    """docs/api-faults.md."""
    everything = list(cells(rows))
    known = sum(cell.expected != UNKNOWN for cell in everything)
    observed = OBSERVED.read_text(encoding="utf-8")
    parts = [INTRO.format(count=len(everything), known=known, calls=len(rows), observed=observed)]
    for step, group in itertools.groupby(rows, key=lambda row: row.step):
        parts.append(
            f"\n## {step}\n\n| call | {' | '.join(FAULTS)} |\n|---|{'---|' * len(FAULTS)}\n"
        )
        parts += [_line(row) for row in group]
    return "".join(parts)


def _line(row: Row) -> str:
    call = f"{row.verb} {row.resource.partition('.')[0]}" + (
        f": {row.purpose}" if row.purpose else ""
    )
    shown = [_cell(row, fault) if fault in row.faults else "" for fault in FAULTS]
    return f"| {call} | {' | '.join(shown)} |\n"


def _cell(row: Row, fault: str) -> str:
    passes, stays = (_short(row.said(half, fault)) for half in HALVES)
    return passes if passes == stays else f"{passes} / {stays}"


def _short(said: str) -> str:
    ended, _, then = said.partition("; ")
    ended = WORDS.get(ended, ended).removeprefix("exit ").replace("_", " ").lower()
    then = {"nothing to undo": "none", "the Lease expires": "lease"}.get(then, then).partition(":")[
        0
    ]
    then = "swept" if then.endswith("sweep repairs") else then
    return f"{ended}; {then}" if then else ended
