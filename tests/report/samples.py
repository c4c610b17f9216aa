"""A page for every way in which a release can end: `make report-sample` writes them, browsers read them."""

import sys
import tempfile
from pathlib import Path

from tests.report import a_release
from tidegate.core.journal import ActKind, ActRecord, Journal, Phase
from tidegate.documents import (
    Finding,
    OutputParity,
    Parity,
    Report,
    Result,
    Subject,
    TrafficStep,
    Word,
)
from tidegate.errors import RollbackFailedError
from tidegate.report.markdown import markdown
from tidegate.report.page import nothing_to_undo, page
from tidegate.steps.remembered import report_from_journal

AT_S = a_release.BEGAN + 1500
HOSTILE = "<script>alert('1')</script>\"&" + "x" * 90


def reports() -> dict[str, Report]:
    """Name -> report, of runs that could write their own."""
    return {
        "promoted": a_release.report(),
        "rolled-back": _rolled_back(),
        "refused-at-parity": _refused(),
        "aborted": a_release.report(Result.ABORTED, reason="aborted by ada: the wrong model"),
        "first-release": _first(),
        "roll-back-failed": a_release.report(Result.ROLLBACK_FAILED, reason=ALARM),
        "hostile-and-long": _hostile(),
        "nobody-answered": a_release.report(load=a_release.load(answered=0)),
    }


ALARM = (
    "default/digits could not be returned (the webhook denied the request; production now: "
    "digits-predictor-00002 100 %); run: kubectl -n default patch inferenceservice digits --type merge "
    """-p '{"spec":{"predictor":{"canaryTrafficPercent":0}}}'"""
)


def _rolled_back() -> Report:
    slow = Finding(
        name="p99 latency", word=Word.FAIL, observed=41.7, lower=38.2, upper=46.0, limit=25.0,
        unit="ms", samples=20_000, message="p99 41.7 ms > 25 ms: 1203 of 20000 requests over the limit",
        query='histogram_quantile(0.99, sum by (le) (rate(kn_serving_invocation_duration_seconds_bucket'
        '{namespace="default",serving_knative_dev_revision="digits-predictor-00002"}[60s])))',
    )  # fmt: skip
    doubt = Finding(
        name="gpu memory", word=Word.INVALID, message="Prometheus has no such series", unit="GiB",
        limit=14.0, query='max(DCGM_FI_DEV_FB_USED{pod=~"digits-predictor-00002-.*"}) / 1024',
    )  # fmt: skip
    verdict = a_release.verdict(word=Word.FAIL)
    findings = (slow, doubt, *verdict.findings[1:])
    return a_release.report(
        Result.ROLLED_BACK,
        reason=f"{slow.message}; production is served by digits-predictor-00001 as before",
        verdict=verdict.model_copy(update={"findings": findings}),
    )


def _refused() -> Report:
    parity = a_release.parity(Word.FAIL)
    refusal = a_release.refusal("optimize", parity=parity)
    return a_release.report(
        Result.REJECTED, verdict=refusal, deployment=None, load=None, journal={}, seconds={},
        configs=(), parity=parity, optimized=None,
        reason="output label: 0.9311 of labels agree, 0.995 wanted; 31 of 450 rows differ (rows 4, 9, ...)",
    )  # fmt: skip


def _first() -> Report:
    load = a_release.load()
    alone = tuple(block for block in load.blocks if block.arm == "candidate")
    judged = {
        "incumbent": None,
        "initial": True,
        "production_host": "",
        "preview": "digits-preview",
    }
    configs = tuple(text.model_copy(update={"incumbent": None}) for text in a_release.configs())
    journal = a_release.journal(Result.PROMOTED)
    journal["acts"] = [
        act | {"kind": kind, "percent": None}
        for act, kind in zip(journal["acts"], ("PREVIEW", "CREATE", "DISCARD"), strict=False)
    ]
    journal["outcome"]["steps"] = journal["outcome"]["steps"][-1:]
    return a_release.report(
        load=load.model_copy(update={"baseline": None, "blocks": alone}),
        deployment=a_release.deployment().model_copy(update=judged),
        configs=configs,
        journal=journal,
    )


def _hostile() -> Report:
    """Much of everything, and text that would be markup or has no place to break."""
    subject = Subject(model=HOSTILE, version=HOSTILE, digest=f"sha256:{'0' * 64}")
    findings = tuple(
        Finding(
            name=HOSTILE, word=list(Word)[n % 5], message=HOSTILE * 9, query=HOSTILE * 9, unit="ms",
            observed=1e-7 * 10**n, limit=None if n % 3 else 1e12, samples=10**9,
        )
        for n in range(60)
    )  # fmt: skip
    outputs = tuple(
        OutputParity(output=HOSTILE, word=Word.FAIL, compared=n, message=HOSTILE) for n in range(60)
    )
    parity = Parity(
        word=Word.FAIL,
        reference=HOSTILE,
        golden=HOSTILE,
        golden_digest="d",
        rows=3,
        outputs=outputs,
    )
    journal = a_release.journal(Result.ROLLED_BACK)
    journal["acts"] = [act | {"why": HOSTILE} for act in journal["acts"] * 12]
    step = TrafficStep(
        at_s=AT_S, percent=10, revision=HOSTILE, word=Word.INVALID, message=HOSTILE,
        requests=10**9, p50_ms=1e6, p95_ms=1e7, p99_ms=1e8, looks=a_release.looks(0, 10),
    )  # fmt: skip
    journal["outcome"] |= {"steps": [step.model_dump(mode="json")], "traffic": {HOSTILE: 100}}
    load = a_release.load().model_copy(update={"fairness": HOSTILE, "reduced": HOSTILE})
    config = a_release.configs()[0]
    long = config.model_copy(update={"name": HOSTILE, "candidate": f"{HOSTILE}\n" * 300})
    return a_release.report(
        Result.ROLLED_BACK, subject=subject, reason=HOSTILE * 20, release_id=HOSTILE, parity=parity,
        candidate=a_release.candidate(subject, artifact_uri=HOSTILE, flavors=(HOSTILE,)),
        verdict=a_release.verdict().model_copy(update={"findings": findings}), journal=journal,
        load=load, configs=(long,), warnings=(HOSTILE,) * 20,
    )  # fmt: skip


def died() -> Journal:
    """What is left of a run that was killed at 10 %, once the guard has returned the traffic."""
    acts = [
        ActRecord(kind=kind, percent=percent, why=why, intended_s=a_release.BEGAN + at,
                  confirmed_s=a_release.BEGAN + at + 4)
        for kind, percent, why, at in (
            (ActKind.STAGE, 0, "the candidate's template", 0.0),
            (ActKind.SHIFT, 10, "to 10 %", 500.0),
            (ActKind.RESTORE, 0, "the run died", 900.0),
        )
    ]  # fmt: skip
    deployment = a_release.deployment()
    return Journal(
        release_id="r7", subject=a_release.SUBJECT, namespace="default", name="digits",
        phase=Phase.ENDED, deadline_s=AT_S, incumbent=deployment.incumbent,
        candidate_revision=deployment.candidate_revision, storage_uri=deployment.storage_uri,
        traffic_safe=True, spec_repaired=True, policy=a_release.policy().model_dump(mode="json"),
        deployment=deployment.model_dump(mode="json"), acts=tuple(acts), outcome=Result.DIED,
        reason="the run died while PROMOTING; digits-predictor-00001 serves all of production again",
    )  # fmt: skip


def pages() -> dict[str, str]:
    """Name -> HTML."""
    written = {
        name: page(report, a_release.policy(), at_s=AT_S) for name, report in reports().items()
    }
    unreturned = died().model_copy(
        update={"outcome": None, "phase": Phase.RETURNING, "traffic_safe": None}
    )
    return written | {
        "died": page(*report_from_journal(died()), at_s=AT_S),
        "died-not-returned": page(
            *report_from_journal(unreturned, RollbackFailedError(ALARM)), at_s=AT_S
        ),
        "nothing-to-undo": nothing_to_undo("r7", at_s=AT_S),
    }


def main() -> None:
    """Write every page, and its Markdown, into a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-report-"))
    for name, text in pages().items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    for name, report in reports().items():
        (folder / f"{name}.md").write_text(markdown(report), encoding="utf-8")
    sys.stdout.write(f"{folder}\n")


if __name__ == "__main__":
    main()
