"""What a person's word does to a verdict that passed: it can only let it through, or stop it. Pure."""

from tidegate.core.journal import Approval, Journal, Phase
from tidegate.documents import Finding, Verdict, Word

UNDECIDED = "undecided"


def approved_verdict(verdict: Verdict, approval: Approval | None, timeout_s: float) -> Verdict:
    """The verdict with the person's word as one more finding; nobody's word is INCONCLUSIVE."""
    finding = _finding(approval, timeout_s)
    return verdict.model_copy(
        update={
            "stage": "approval",
            "word": finding.word,
            "reason": f"{verdict.reason}; {finding.message}",
            "findings": (*verdict.findings, finding),
        }
    )


def _finding(approval: Approval | None, timeout_s: float) -> Finding:
    if approval is None:
        told = f"nobody approved it within {timeout_s:g} s"
        return Finding(name="approval", word=Word.INCONCLUSIVE, message=told)
    approves = approval.decision == "approve"
    told = f"{'approved' if approves else 'rejected'} by {approval.who}"
    told += f": {approval.reason}" if approval.reason else ""
    return Finding(name="approval", word=Word.PASS if approves else Word.FAIL, message=told)


def unapprovable(journal: Journal) -> str:
    """Why nobody can approve or reject this release now; '' when they can."""
    if journal.policy.get("traffic", {}).get("approval") != "manual":
        return "its policy asks for no approval (traffic.approval)"
    if journal.phase is not Phase.STAGED:
        return f"it is {journal.outcome or journal.phase}, and only one that is STAGED is approved"
    if journal.approval is not None:
        return f"{journal.approval.who} has said {journal.approval.decision} before"
    return ""
