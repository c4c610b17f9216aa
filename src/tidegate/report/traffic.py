"""How production was served: the timeline, the steps with their looks, the acts, and the end."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.documents import Outcome, Report, TrafficStep, Word
from tidegate.policy import LatencySlo, Policy
from tidegate.report import writing
from tidegate.report.findings import live_findings_table
from tidegate.report.plots.traffic import Timeline
from tidegate.report.tables import Table, badge, columns, distilled, short
from tidegate.report.writing import clock, ms, number

STILL = ("DISCARD", "BASELINE", "RETIRE")  # of other InferenceServices: no share moves
TAKEN_BACK = ("RESTORE", "UNSTAGE", "DELETE")  # from then on no share is the candidate's


def outcome_of(report: Report) -> Outcome | None:
    """The Outcome that the journal ended with."""
    told = report.journal.get("outcome")
    return Outcome.model_validate_json(writing.json_of(told)) if isinstance(told, dict) else None


def sentence(report: Report) -> str:
    """How production is served at the end."""
    ended = outcome_of(report)
    if ended and ended.traffic:
        shares = (f"{revision} {percent} %" for revision, percent in ended.traffic.items())
        return f"Production at the end: {', '.join(shares)}."
    is_known = report.candidate is not None or bool(ended and ended.traffic_safe)
    if report.journal.get("acts") and is_known:
        return "Production at the end: nothing is served under this name."
    if report.deployment is None and not report.journal.get("acts"):
        return "Production is served as it was before this release."
    return "How production is served at the end is not known here."


def safety(report: Report) -> str:
    """The two outcomes of a return, which are told apart; '' when nothing was returned."""
    ended = outcome_of(report)
    if ended is None or ended.traffic_safe is None:
        return ""
    safe = "Traffic is safe" if ended.traffic_safe else "Traffic is NOT known to be safe"
    repaired = {
        True: "the spec is repaired",
        False: "the spec is NOT repaired yet: sweep tries again",
    }
    return (
        f"{safe}; {repaired.get(bool(ended.spec_repaired))}."
        if ended.spec_repaired is not None
        else f"{safe}."
    )


def timeline(report: Report, policy: Policy | None) -> Timeline | None:
    """What there is to draw; None of a release that never had or shared traffic."""
    shares, steps = _shares(report), _steps(report)
    if len(shares) < 2:
        return None
    load = (report.load.started_s, report.load.ended_s) if report.load else None
    return Timeline(shares=tuple(shares), load_test=load, steps=steps, limit_ms=_p99_limit(policy))


def _steps(report: Report) -> tuple[TrafficStep, ...]:
    ended = outcome_of(report)
    return ended.steps if ended else ()


def _p99_limit(policy: Policy | None) -> float | None:
    objectives = policy.slo.objectives if policy else ()
    limits = [o.limit_ms for o in objectives if isinstance(o, LatencySlo) and o.quantile == 0.99]
    return min(limits, default=None)


def candidate_shares(acts: Sequence[Mapping[str, Any]]) -> list[tuple[float, int]]:
    """(Unix time, the candidate's percent from then on), of every act the cluster confirmed.

    A SHIFT to 100 % after a RESTORE is the incumbent's way back, not the candidate's; removing a preview
    moves nothing, and nor does a baseline.
    """
    seen = [a for a in acts if a["confirmed_s"] is not None and a["kind"] not in STILL]
    shares, taken_back = [], False
    for act in sorted(seen, key=lambda act: (float(act["confirmed_s"]), float(act["intended_s"]))):
        taken_back = taken_back or act["kind"] in TAKEN_BACK
        percent = 100 if act["kind"] == "CREATE" else act["percent"] or 0
        shares.append((float(act["confirmed_s"]), 0 if taken_back else percent))
    return shares


def _shares(report: Report) -> list[tuple[float, int]]:
    """The candidate's shares, drawn on to the end of the last step."""
    shares = candidate_shares(report.journal.get("acts") or [])
    last = max((s.at_s for s in _steps(report)), default=0.0)
    return [*shares, (last, shares[-1][1])] if shares and last > shares[-1][0] else shares


def steps_table(report: Report) -> Table | None:
    """One row per step, and one per change of its word before that."""
    steps, more = distilled(_steps(report), "steps")
    if not steps:
        return None
    return Table(
        caption="Traffic steps",
        columns=columns(
            "!At", "#Share", "!Word", "#Requests", "#p50 ms", "#p95 ms", "#p99 ms", "*Why"
        ),
        rows=[row for step in steps for row in _rows(step)],
        more=more,
    )


def _rows(step: TrafficStep) -> list[tuple[object, ...]]:
    share = f"{step.percent} %"
    turns = [look for look in step.looks[:-1] if look.message]
    rows: list[tuple[object, ...]] = [
        (clock(one.at_s), share, badge(one.word), number(one.requests), None, None, ms(one.p99_ms),
         f"at a look: {short(one.message)}")
        for one in turns if one.word is not step.word or one.word is not Word.PASS
    ]  # fmt: skip
    seen = f" ({len(step.looks)} looks are kept)" if len(step.looks) > 1 else ""
    times = (ms(step.p50_ms), ms(step.p95_ms), ms(step.p99_ms))
    ended = (clock(step.at_s), share, badge(step.word), number(step.requests), *times)
    return [*rows, (*ended, short(step.message) + seen)]


def live_table(report: Report) -> Table | None:
    """What was judged of live traffic at each share."""
    return live_findings_table(_steps(report))


def acts_table(report: Report) -> Table | None:
    """What was meant, and when the cluster showed it."""
    acts, more = distilled(report.journal.get("acts") or [], "acts")
    if not acts:
        return None
    return Table(
        caption="Acts on the InferenceService",
        columns=columns("!Meant", "!Act", "#Share", "*Why", "!Seen in the cluster"),
        rows=[
            (
                clock(act["intended_s"]),
                act["kind"],
                None if act["percent"] is None else f"{act['percent']} %",
                short(str(act.get("why", ""))),
                "never" if act["confirmed_s"] is None else clock(act["confirmed_s"]),
            )
            for act in acts
        ],
        more=more,
    )
