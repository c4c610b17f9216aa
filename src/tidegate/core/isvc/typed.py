"""The base of every typed part of a manifest. Pure."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Json = dict[str, Any]


class Typed(BaseModel):
    """Base: Python names here, KServe's camelCase in the manifest; what is None is not written."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    def as_dict(self) -> Json:
        """The JSON form that KServe reads."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class EnvVar(Typed):
    """One environment variable."""

    name: str
    value: str


class Port(Typed):
    """A container's port. Knative takes one in a pod, named http1, h2c or nothing."""

    name: str | None = None
    container_port: int
    protocol: str = "TCP"


class HttpGet(Typed):
    """An HTTP probe."""

    path: str = "/v2/health/ready"
    port: int = 8080


class Probe(Typed):
    """Ready once the server has loaded the models, not once its port is open."""

    http_get: HttpGet


class Container(Typed):
    """A container of the user's own image."""

    name: str
    image: str
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] | None = None
    ports: tuple[Port, ...] | None = None
    resources: dict[str, dict[str, str]] | None = None
    readiness_probe: Probe | None = None


def environment(env: Mapping[str, str]) -> tuple[EnvVar, ...] | None:
    """As a container lists it; None for none."""
    return tuple(EnvVar(name=name, value=value) for name, value in env.items()) or None
