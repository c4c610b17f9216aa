"""Evidence that must not be judged at all: the generator was the bottleneck, another revision answered."""

from tidegate.documents import ArmSummary, Finding, LoadReport, Word


def broken_evidence(report: LoadReport) -> tuple[Finding, ...]:
    """INVALID findings for a report that must not be judged at all."""
    arms = [arm for arm in (report.candidate, report.baseline) if arm is not None]
    strangers = (_strangers(arm) for arm in arms)
    found = [finding for finding in strangers if finding is not None]
    if report.generator.saturated:
        message = f"the load generator was not fit to judge: {report.generator.message}"
        found.append(Finding(name="load generator", word=Word.INVALID, message=message))
    return (*found, *(one for one in report.findings if one.word is Word.INVALID))


def _strangers(arm: ArmSummary) -> Finding | None:
    others = {name: n for name, n in arm.revisions_seen.items() if name != arm.revision}
    if not others:
        return None
    named = ", ".join(f"{name} ({n})" for name, n in sorted(others.items()))
    return Finding(
        name=f"{arm.arm} revision",
        word=Word.INVALID,
        message=f"requests to the {arm.arm} {arm.revision} were answered by {named}",
    )
