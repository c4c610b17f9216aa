"""Objectives that somebody else judges: a service that is asked, or a Job that is run."""

from typing import Literal

from pydantic import Field, field_validator

from tidegate.policy.slo.objective import BaseObjective


class HttpSlo(BaseObjective):
    """A service that is told about the candidate by POST and answers with a verdict.

    It gets `{"subject", "namespace", "name", "revision", "release_id"}` and answers 200 with
    `{"verdict": "PASS" | "FAIL" | "INCONCLUSIVE", "reason": "..."}`; anything else is INVALID. While it
    answers INCONCLUSIVE it is asked again until `wait_s` is over.
    """

    kind: Literal["http"]
    name: str = Field(min_length=1)
    url: str = Field(pattern=r"^https?://[^\\s]+$")
    timeout_s: float = Field(default=10, gt=0, le=300)
    wait_s: float = Field(default=0, ge=0, le=3600)

    @field_validator("url")
    @classmethod
    def _holds_no_secret(cls, url: str) -> str:
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise ValueError("holds credentials; put a token into TIDEGATE_GATE_TOKEN_FILE instead")
        return url
