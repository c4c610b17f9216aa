"""What a verdict was judged by, kept so that it can be judged again without the cluster."""

from typing import Any, Literal

from pydantic import Field

from tidegate.documents.base import Document, Finding, Strict
from tidegate.documents.evidence import LoadReport
from tidegate.documents.words import Word


class Judged(Strict):
    """A word with everything that was said for it."""

    word: Word
    reason: str
    findings: tuple[Finding, ...]


class Evidence(Document):
    """gate, promote: all that the words of a stage rest on; `tidegate gate --replay` reads it.

    Judged again, `load` with `answers` gives `judged[0]`, or each of `looks` its own.
    """

    kind: Literal["Evidence"] = "Evidence"
    release_id: str
    stage: Literal["load test", "live"]
    policy: dict[str, Any] = Field(description="The sections that a verdict depends on")
    first_release: bool = False
    load: LoadReport | None = None
    answers: tuple[dict[str, Any], ...] = Field(
        default=(),
        description="What others answered: resolved query and value, or the word of a gate of the user's own",
    )
    looks: tuple[dict[str, Any], ...] = Field(
        default=(), description="The looks at live traffic that decided, as counted"
    )
    judged: tuple[Judged, ...]
    versions: dict[str, str] = Field(description="What judged")
    digest: str = Field(
        default="", description="sha256 of this very text with '' in this field's place"
    )
