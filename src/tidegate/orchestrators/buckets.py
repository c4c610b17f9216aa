"""A bucket of the user's own in an Argo drawing, in the place of the cluster's default repository."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tidegate.errors import UsageError
from tidegate.orchestrators.surroundings import NAME
from tidegate.orchestrators.yaml_text import written

Json = dict[str, Any]
LOGS = "tidegate/{{workflow.uid}}/{{pod.name}}"


@dataclass(frozen=True, kw_only=True)
class S3:
    """Where artifacts lie. The credentials are named by their Secret, whose keys are the AWS variables'.

    `secret` '' = the pod's own identity. Raises UsageError for what cannot be meant.
    """

    bucket: str
    endpoint: str  # host or host:port
    region: str = ""
    secret: str = NAME
    insecure: bool = False  # plain HTTP

    def __post_init__(self) -> None:
        for flag, value, shape in (
            ("--bucket", self.bucket, r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
            ("--endpoint", self.endpoint, r"[\w.-]+(:\d+)?"),
            ("--region", self.region, r"[\w-]*"),
            ("--secret", self.secret, r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?"),
        ):
            if not re.fullmatch(shape, value):
                raise UsageError(
                    f"{flag} {value!r} is none; write e.g. --bucket models --endpoint minio.minio:9000 "
                    "--secret tidegate, an endpoint without http://"
                )

    @property
    def place(self) -> Json:
        """As Argo's S3 artifacts have it, but for the key."""
        told: Json = {"endpoint": self.endpoint, "bucket": self.bucket}
        told |= {"region": self.region} if self.region else {}
        told |= {"insecure": True} if self.insecure else {}
        return told | self._credentials

    @property
    def _credentials(self) -> Json:
        if not self.secret:
            return {"useSDKCreds": True}
        return {
            "accessKeySecret": {"name": self.secret, "key": "AWS_ACCESS_KEY_ID"},
            "secretKeySecret": {"name": self.secret, "key": "AWS_SECRET_ACCESS_KEY"},
        }


def with_bucket(text: str, s3: S3) -> str:
    """The document with its artifacts, and the logs of its containers, in that bucket; others as they are."""
    document = yaml.safe_load(text)
    templates = [t for t in document["spec"].get("templates", []) if _artifacts(t)]
    for template in templates:
        for artifact in _artifacts(template):
            artifact["s3"] |= s3.place
    # A template with a location of its own archives its log only where that says so (Argo's
    # workflow/controller/workflowpod.go, addArchiveLocation).
    for template in document["spec"].get("templates", []):
        if templates and "container" in template:
            template["archiveLocation"] = {"archiveLogs": True, "s3": {"key": LOGS} | s3.place}
    return written([document]) if templates else text


def _artifacts(template: Mapping[str, Any]) -> list[Json]:
    found: list[Json] = template.get("outputs", {}).get("artifacts", [])
    return found
