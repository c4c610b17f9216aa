"""Objectives that somebody else judges: a service that is asked, or a Job that is run."""

from typing import Any, Literal

from pydantic import Field, field_validator

from tidegate.policy.slo.objective import BaseObjective


class HttpSlo(BaseObjective):
    """A service that is told about the candidate by POST and answers with a verdict.

    It gets `{"subject", "namespace", "name", "revision", "host", "release_id"}` and answers 200 with
    `{"verdict": "PASS" | "FAIL" | "INCONCLUSIVE", "reason": "..."}`; anything else is INVALID. While it
    answers INCONCLUSIVE it is asked again until `wait_s` is over.
    """

    kind: Literal["http"]
    name: str = Field(min_length=1)
    url: str = Field(pattern=r"^https?://\S+$")
    timeout_s: float = Field(default=10, gt=0, le=300)
    wait_s: float = Field(default=0, ge=0, le=3600)

    @field_validator("url")
    @classmethod
    def _holds_no_secret(cls, url: str) -> str:
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise ValueError("holds credentials; put a token into TIDEGATE_GATE_TOKEN_FILE instead")
        return url


class JobSlo(BaseObjective):
    """A Kubernetes Job in the service's namespace, whose exit decides: 0 PASS, 1 FAIL, 2 INCONCLUSIVE.

    Its containers are told about the candidate in TIDEGATE_REVISION, TIDEGATE_HOST and so on. Any other
    exit, and a Job that does not end in time, is deleted by somebody or cannot be read, is INVALID. The
    Job is removed once it has been judged.
    """

    kind: Literal["job"]
    name: str = Field(min_length=1)
    pod: dict[str, Any] = Field(description="The pod's spec: containers, and what else it needs")
    timeout_s: float = Field(default=600, gt=0, le=86400)

    @field_validator("pod")
    @classmethod
    def _has_containers(cls, pod: dict[str, Any]) -> dict[str, Any]:
        containers = pod.get("containers")
        named = isinstance(containers, list) and containers
        if not named or not all(
            isinstance(c, dict) and c.get("name") and c.get("image") for c in containers or ()
        ):
            raise ValueError(
                "needs containers with a name and an image; write containers: [{name, image}]"
            )
        return pod
