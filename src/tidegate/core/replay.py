"""Keeps what a verdict rests on, and judges it again: the same code on the same numbers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from tidegate.core.answered import Answer, Said, findings_of
from tidegate.core.live import Look, judge_live
from tidegate.core.slo import Judgement, judge, per_look
from tidegate.documents import Evidence, Judged, LoadReport, Subject
from tidegate.policy import Policy

SECTIONS = {"version", "name", "namespace", "model", "load", "slo", "traffic"}
_LOOK: TypeAdapter[Look] = TypeAdapter(Look)
_ANSWERS: TypeAdapter[list[Answer]] = TypeAdapter(list[Answer])


def of_load_test(
    report: LoadReport,
    policy: Policy,
    judged: Judgement,
    *,
    first_release: bool,
    answers: Sequence[Answer],
    versions: Mapping[str, str],
) -> Evidence:
    """The evidence of the gate."""
    return sealed(
        Evidence(
            subject=report.subject,
            release_id=report.release_id,
            stage="load test",
            policy=_sections(policy),
            first_release=first_release,
            load=report,
            answers=tuple(_ANSWERS.dump_python(list(answers), mode="json")),
            judged=(_kept(judged),),
            versions=dict(versions),
        )
    )


def of_looks(
    subject: Subject,
    release_id: str,
    policy: Policy,
    looks: Sequence[dict[str, Any]],
    *,
    versions: Mapping[str, str],
) -> Evidence:
    """The evidence of a promotion: the look at each traffic step that decided, as `look_record` keeps it."""
    return sealed(
        Evidence(
            subject=subject,
            release_id=release_id,
            stage="live",
            policy=_sections(policy),
            looks=tuple(looks),
            judged=tuple(_kept(judge_live(_look(one), policy)) for one in looks),
            versions=dict(versions),
        )
    )


def look_record(look: Look) -> dict[str, Any]:
    """A look as plain data."""
    record: dict[str, Any] = _LOOK.dump_python(look, mode="json")
    return record


def _look(record: dict[str, Any]) -> Look:
    return _LOOK.validate_json(json.dumps(record))


def _answers(record: Sequence[dict[str, Any]]) -> list[Answer]:
    return _ANSWERS.validate_json(json.dumps(record))


def taken_as_said(evidence: Evidence) -> frozenset[str]:
    """The names of the findings that are not judged again: a gate of the user's own had said its word."""
    given = _answers(evidence.answers)
    return frozenset(one.finding.name for one in given if isinstance(one, Said))


def judged_again(evidence: Evidence) -> tuple[Judged, ...]:
    """The words that the evidence leads to now. Raises ValidationError for a policy of another schema."""
    policy = Policy.model_validate_json(json.dumps(evidence.policy))
    if evidence.load is None:
        looks = (_look(one) for one in evidence.looks)
        return tuple(_kept(judge_live(look, policy)) for look in looks)
    again = judge(
        evidence.load,
        per_look(policy.slo, policy.load),
        first_release=evidence.first_release,
        readings=findings_of(_answers(evidence.answers), policy.slo, evidence.load.capacity),
    )
    return (_kept(again),)


def _sections(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(mode="json", include=SECTIONS)


def _kept(judged: Judgement) -> Judged:
    return Judged(word=judged.word, reason=judged.reason, findings=judged.findings)


# -- its digest


def sealed(evidence: Evidence) -> Evidence:
    """With the digest of its own text."""
    return evidence.model_copy(update={"digest": digest(evidence)})


def digest(evidence: Evidence) -> str:
    """sha256 of the text with an empty digest."""
    bare = text(evidence.model_copy(update={"digest": ""}))
    return f"sha256:{hashlib.sha256(bare.encode()).hexdigest()}"


def text(evidence: Evidence) -> str:
    """The only way to write it down: any other byte is not this evidence."""
    return evidence.model_dump_json(indent=2) + "\n"
