"""What every document has: strictness, a version, and whom it is about."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tidegate.documents.words import Word


class Strict(BaseModel):
    """Base of every document part."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Subject(Strict):
    """The one model version a document speaks about."""

    model: str = Field(min_length=1)
    version: str = Field(min_length=1)
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="sha256 of the MLmodel file")

    def __str__(self) -> str:
        return f"{self.model} version {self.version}"


class Document(Strict):
    """Base of every document."""

    schema_version: Literal[1] = 1
    subject: Subject


class Finding(Strict):
    """One judged thing: what was seen, what was allowed, and the word."""

    name: str
    word: Word
    observed: float | None = None
    lower: float | None = Field(
        default=None, description="Confidence bound below `observed`, one-sided, at the FAIL level"
    )
    upper: float | None = Field(
        default=None, description="Confidence bound above `observed`, one-sided, at the PASS level"
    )
    limit: float | None = None
    unit: str = ""
    message: str
    blocking: bool = True
    warns: bool = Field(
        default=False, description="Decides nothing, and is told with the outcome unless it is PASS"
    )
    samples: int | None = None
    p_worse: float | None = Field(
        default=None, description="p-value of being within the limit; small: it is surely not"
    )
    query: str = ""
