"""gate --replay: judges kept evidence again, offline, and says so when the word is another one now."""

from pathlib import Path

from tidegate.adapters.evidence_file import read_evidence, versions
from tidegate.core.replay import judged_again
from tidegate.documents import Evidence, Judged, Verdict
from tidegate.errors import ConflictError, DocumentError


def replayed(path: Path) -> tuple[Evidence, tuple[Judged, ...]]:
    """The evidence and what is judged of it. Raises DocumentError; ConflictError when that differs."""
    evidence = read_evidence(path)
    try:
        again = judged_again(evidence)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise DocumentError(
            f"{path}: cannot be judged by tidegate {versions()['tidegate']} ({first}); use "
            f"{evidence.versions.get('tidegate', 'the version')} that wrote it"
        ) from error
    for before, now in zip(evidence.judged, again, strict=True):
        if before != now:
            raise ConflictError(_difference(path, evidence, before, now))
    return evidence, again


def _difference(path: Path, evidence: Evidence, before: Judged, now: Judged) -> str:
    changed = [
        f"{one.name}: {one.word} ({one.message})"
        for one in now.findings
        if one not in before.findings
    ]
    return (
        f"{path}: was judged {before.word} and is judged {now.word} now: "
        f"{'; '.join(changed) or now.reason}; it was judged by {evidence.versions}, this is {versions()}"
    )


def verdict_of(evidence: Evidence, judged: Judged) -> Verdict:
    """The verdict document that was, or would have been, written."""
    return Verdict(
        subject=evidence.subject,
        release_id=evidence.release_id,
        stage=evidence.stage,
        word=judged.word,
        reason=judged.reason,
        findings=judged.findings,
    )
