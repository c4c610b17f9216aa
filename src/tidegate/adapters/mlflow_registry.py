"""MLflow's model registry: a URI becomes one immutable version; aliases, tags and reports are written."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidegate.adapters import mlflow_model
from tidegate.adapters.mlflow_artifacts import Artifacts
from tidegate.adapters.mlflow_http import MlflowHttp, NotFoundError, connect, quiet
from tidegate.config import Settings
from tidegate.documents import Candidate, Subject
from tidegate.errors import ConflictError, RejectedError, UnavailableError

Version = dict[str, Any]  # MLflow's model_version, never passed on


@dataclass(frozen=True, slots=True, kw_only=True)
class MlflowRegistry:
    """The registry of one tracking server; open it with `registry()`."""

    http: MlflowHttp
    artifacts: Artifacts

    def candidate(self, uri: str) -> Candidate:
        """The one READY version that a URI names. Raises RejectedError, UnavailableError."""
        version = self._version(uri)
        name, number = str(version["name"]), str(version["version"])
        _require_ready(version)
        artifact_uri = self._artifact_uri(name, number)
        text = self._mlmodel(artifact_uri, f"{name} version {number}")
        model = mlflow_model.parse(text, what=f"{name} version {number}")
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        return Candidate(
            subject=Subject(model=name, version=number, digest=digest),
            uri=f"models:/{name}/{number}",
            requested_uri=uri,
            run_id=str(version.get("run_id") or ""),
            flavors=model.native_flavors,
            artifact_uri=artifact_uri,
            signature=model.signature,
            created_ms=int(version.get("creation_timestamp") or 0) or None,
            registered_by=str(version.get("user_id") or ""),
        )

    def download(self, candidate: Candidate, target: Path) -> None:
        """Every file of the version into a folder that exists."""
        try:
            self.artifacts.download(candidate.artifact_uri, target)
        except NotFoundError as error:
            raise RejectedError(
                f"{candidate.subject}: no files at {candidate.artifact_uri}; log the model again"
            ) from error

    def artifact_text(self, candidate: Candidate, path: str) -> str:
        """A text file stored with the version. Raises RejectedError."""
        try:
            return self.artifacts.text(candidate.artifact_uri, path)
        except NotFoundError as error:
            raise RejectedError(
                f"{candidate.subject} has no artifact {path}; log it with the model"
            ) from error

    def alias(self, model: str, alias: str) -> str:
        """The version an alias names now; '' when the model has no such alias."""
        aliases = self._model(model).get("aliases", [])
        return next((str(a["version"]) for a in aliases if a["alias"] == alias), "")

    def move_alias(self, model: str, alias: str, version: str, expected: str) -> None:
        """Point an alias at a version if it still names `expected` ('' = it does not exist).

        MLflow has no conditional write: this reads, writes and reads back, and the moment between
        the first two stays open. Moving it again changes nothing. Raises ConflictError.
        """
        current = self.alias(model, alias)
        if current == version:
            return
        if current != expected:
            raise _moved(model, alias, current, expected, version)
        body = {"name": model, "alias": alias, "version": version}
        self.http.post("mlflow/registered-models/alias", body)
        after = self.alias(model, alias)
        if after != version:
            raise _moved(model, alias, after, version, version)

    def tag_version(self, model: str, version: str, key: str, value: str) -> None:
        """Set a tag of a model version."""
        body = {"name": model, "version": version, "key": key, "value": value}
        self.http.post("mlflow/model-versions/set-tag", body)

    def tags_of(self, model: str, version: str) -> dict[str, str]:
        """The tags of a model version."""
        found = self._numbered(model, version)
        return {str(tag["key"]): str(tag["value"]) for tag in found.get("tags", [])}

    def log_report(self, run_id: str, path: Path) -> None:
        """Store a file with a run, in its artifact folder `tidegate`."""
        run = self.http.get("mlflow/runs/get", run_id=run_id)["run"]
        self.artifacts.upload(str(run["info"]["artifact_uri"]), f"tidegate/{path.name}", path)

    def _version(self, uri: str) -> Version:
        scheme, _, rest = uri.partition(":/")
        if scheme == "runs":
            run_id, _, path = rest.partition("/")
            return self._version_of_run(run_id, path, uri)
        name, at, alias = rest.partition("@")
        if at:
            return self._version_of_alias(name, alias)
        name, _, number = rest.rpartition("/")
        return self._numbered(name, number)

    def _version_of_alias(self, name: str, alias: str) -> Version:
        aliases = {str(a["alias"]): str(a["version"]) for a in self._model(name).get("aliases", [])}
        if alias not in aliases:
            known = ", ".join(f"{a} -> version {v}" for a, v in sorted(aliases.items()))
            raise RejectedError(
                f"model {name} has no alias {alias!r}; "
                f"it has {known or 'none'}: use one of these or set the alias"
            )
        return self._numbered(name, aliases[alias])

    def _numbered(self, name: str, number: str) -> Version:
        try:
            reply = self.http.get("mlflow/model-versions/get", name=name, version=number)
        except NotFoundError as error:
            latest = self._model(name).get("latest_versions", [])
            known = max((int(v["version"]) for v in latest), default=0)
            raise RejectedError(
                f"model {name} has no version {number}; its newest is {known or 'none'}"
            ) from error
        return dict(reply["model_version"])

    def _model(self, name: str) -> dict[str, Any]:
        try:
            return dict(
                self.http.get("mlflow/registered-models/get", name=name)["registered_model"]
            )
        except NotFoundError as error:
            raise RejectedError(
                f"MLflow at {self.http.url} has no registered model {name!r}; "
                "correct the name or register it"
            ) from error

    def _version_of_run(self, run_id: str, path: str, uri: str) -> Version:
        found = self.http.get("mlflow/model-versions/search", filter=f"run_id='{run_id}'")
        versions = [v for v in found.get("model_versions", []) if self._is_from(v, run_id, path)]
        if not versions:
            raise RejectedError(
                f"{uri} is not registered as a model version; register it "
                f'(mlflow.register_model("{uri}", name)) or correct the run id and path'
            )
        if len(versions) > 1:
            known = ", ".join(f"models:/{v['name']}/{v['version']}" for v in versions)
            raise RejectedError(f"{uri} is registered more than once; use one of {known}")
        return dict(versions[0])

    def _is_from(self, version: Version, run_id: str, path: str) -> bool:
        """Whether a version was made of a run's model: by run URI, artifact path or logged model."""
        source = str(version.get("source") or "")
        if source.startswith("models:/m-"):
            logged = self.http.get(f"mlflow/logged-models/{source.removeprefix('models:/')}")
            info = logged["model"]["info"]
            return bool(info.get("source_run_id") == run_id and info.get("name") == path)
        return source.rstrip("/").endswith((f"runs:/{run_id}/{path}", f"{run_id}/artifacts/{path}"))

    def _artifact_uri(self, name: str, number: str) -> str:
        """Where the files are; MLflow 3 gives versions a source like models:/m-<id>, resolved here."""
        reply = self.http.get("mlflow/model-versions/get-download-uri", name=name, version=number)
        uri = str(reply["artifact_uri"])
        if uri.startswith("models:/m-"):
            logged = self.http.get(f"mlflow/logged-models/{uri.removeprefix('models:/')}")
            uri = str(logged["model"]["info"]["artifact_uri"])
        return uri.rstrip("/")

    def _mlmodel(self, uri: str, what: str) -> str:
        try:
            return self.artifacts.text(uri, "MLmodel")
        except NotFoundError as error:
            raise RejectedError(
                f"{what} has no MLmodel file at {uri}; log it with mlflow.<flavor>.log_model"
            ) from error


@contextmanager
def registry(
    given: Settings | None = None,
    *,
    say: Callable[[str], None] = quiet,
    deadline_s: float | None = None,
) -> Iterator[MlflowRegistry]:
    """Open the registry of the environment's tracking server."""
    with connect(given, say=say, deadline_s=deadline_s) as http:
        yield MlflowRegistry(http=http, artifacts=Artifacts(http=http))


def _require_ready(version: Version) -> None:
    status = str(version.get("status") or "READY")
    what = f"{version['name']} version {version['version']}"
    if status == "PENDING_REGISTRATION":
        raise UnavailableError(f"{what} is {status}; try again when MLflow has finished it")
    if status != "READY":
        reason = str(version.get("status_message") or "no reason given")
        raise RejectedError(f"{what} is {status} ({reason}); register it again")


def _moved(model: str, alias: str, found: str, expected: str, wanted: str) -> ConflictError:
    return ConflictError(
        f"alias {alias} of {model} names {_named(found)}, not {_named(expected)} as when it was read; "
        f"somebody moved it: check, then point it at version {wanted} yourself if that is right"
    )


def _named(version: str) -> str:
    return f"version {version}" if version else "nothing"
