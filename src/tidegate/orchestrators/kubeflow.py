"""Kubeflow Pipelines through its own SDK: a run of a compiled pipeline, and a recurring run of it."""

import contextlib
import hashlib
import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tidegate import __version__
from tidegate.errors import (
    ConflictError,
    RejectedError,
    TidegateError,
    UnavailableError,
    UsageError,
)

MARK = "tidegate schedule "  # begins the description of a recurring run of ours; its digest follows
PAGE = 100


class Kubeflow:
    """One server and one namespace of it; '' = the single-user one."""

    def __init__(self, url: str, *, namespace: str = "", token: str = "") -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(
                f"the Kubeflow URL {url!r} is no http(s) URL; set TIDEGATE_KFP_URL to e.g. "
                "http://ml-pipeline.kubeflow:8888"
            )
        self._url, self._namespace = url.rstrip("/"), namespace
        with self._errors("connect"):
            from kfp.client import Client

            # "kubeflow" is the SDK's word for: whatever is configured, here nothing.
            self._client = Client(
                host=self._url, namespace=namespace or "kubeflow", existing_token=token or None
            )

    def submit(self, package: Path, parameters: Mapping[str, str], *, account: str = "") -> str:
        """Start a run of the compiled pipeline; its id. Caching stays as it was compiled."""
        name, given = _checked(package, parameters)
        with self._errors("submit"):
            pipeline, version = self._uploaded(package, name)
            run = self._client.run_pipeline(
                self._experiment(name), f"{name} {version[:8]}", params=given, pipeline_id=pipeline,
                version_id=version, service_account=account or None,
            )  # fmt: skip
        return str(run.run_id)

    def schedule(
        self,
        name: str,
        cron: str,
        package: Path,
        parameters: Mapping[str, str],
        *,
        account: str = "",
    ) -> str:
        """Create or replace the recurring run: created, updated or unchanged. `cron` has six fields.

        The API has no update: the old one is disabled, the new one made, the old one deleted, so that two
        never fire. Whichever act it dies after, the same again finishes it; what it made is enabled.
        Raises ConflictError when one of that name was not made by tidegate.
        """
        pipeline_name, given = _checked(package, parameters)
        with self._errors("schedule"):
            pipeline, version = self._uploaded(package, pipeline_name)
            mark = MARK + _digest(json.dumps([cron, given, pipeline, version, account]))
            experiment = self._experiment(pipeline_name)
            earlier = self._earlier(name, experiment)
            if [one.description for one in earlier] == [mark]:
                return "unchanged"
            self._disable(earlier)
            self._client.create_recurring_run(
                experiment, name, description=mark, cron_expression=cron, max_concurrency=1,
                no_catchup=True, params=given, pipeline_id=pipeline, version_id=version,
                service_account=account or None,
            )  # fmt: skip
            for one in earlier:
                self._client.delete_recurring_run(one.recurring_run_id)
        return "updated" if earlier else "created"

    def _disable(self, earlier: list[Any]) -> None:
        for one in earlier:
            self._client.disable_recurring_run(one.recurring_run_id)

    def _earlier(self, name: str, experiment: str) -> list[Any]:
        found = [one for one in self._recurring(experiment) if one.display_name == name]
        foreign = [one for one in found if not str(one.description or "").startswith(MARK)]
        if foreign:
            raise ConflictError(
                f"recurring run {name!r} ({foreign[0].recurring_run_id}) was not made by tidegate; choose "
                "another --name, or delete it first"
            )
        return found

    def _recurring(self, experiment: str) -> Iterator[Any]:
        token = ""
        while True:
            page = self._client.list_recurring_runs(
                page_token=token, page_size=PAGE, experiment_id=experiment
            )
            yield from page.recurring_runs or ()
            token = page.next_page_token or ""
            if not token:
                return

    def _experiment(self, name: str) -> str:
        made = self._client.create_experiment(name, namespace=self._namespace or None)
        return str(made.experiment_id)

    def _uploaded(self, package: Path, name: str) -> tuple[str, str]:
        """Pipeline and version ids; the same text is uploaded once."""
        version = f"{__version__}-{_digest(package.read_text(encoding='utf-8'))}"
        pipeline = self._client.get_pipeline_id(name)
        if pipeline is None:
            made = self._client.upload_pipeline(
                str(package), pipeline_name=name, namespace=self._namespace or None
            )
            pipeline = made.pipeline_id
        known = self._versions(pipeline)
        if version not in known:
            known[version] = self._client.upload_pipeline_version(
                str(package), version, pipeline_id=pipeline
            ).pipeline_version_id
        return str(pipeline), str(known[version])

    def _versions(self, pipeline: str) -> dict[str, str]:
        page = self._client.list_pipeline_versions(
            pipeline_id=pipeline, page_size=PAGE, sort_by="created_at desc"
        )
        found = page.pipeline_versions or ()
        return {one.display_name: one.pipeline_version_id for one in found}

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """The SDK's exceptions as tidegate's, and what it prints on stderr."""
        try:
            import kfp_server_api
            from urllib3.exceptions import HTTPError
        except ImportError as error:
            raise UsageError("kfp is not installed; pip install 'tidegate[kfp]'") from error
        try:
            with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it announces at each start which server it is for
                yield
        except TidegateError:
            raise
        except kfp_server_api.ApiException as error:
            raise self._translated(what, error) from error
        except (HTTPError, OSError, TimeoutError) as error:
            raise UnavailableError(
                f"Kubeflow at {self._url} cannot be asked ({what}: {type(error).__name__}); start it, or "
                "set TIDEGATE_KFP_URL"
            ) from error
        except (ValueError, TypeError) as error:  # an answer that is none of Kubeflow's
            raise RejectedError(
                f"{self._url} does not answer as Kubeflow Pipelines ({what}: {error}); correct "
                "TIDEGATE_KFP_URL"
            ) from error

    def _translated(self, what: str, error: Any) -> TidegateError:
        said = _said(error)
        if error.status in (401, 403):
            return RejectedError(
                f"Kubeflow at {self._url} refused {what} ({error.status}: {said}); set TIDEGATE_KFP_TOKEN, "
                "or give --namespace of a profile of yours"
            )
        if error.status in (408, 429) or error.status >= 500 or not error.status:
            return UnavailableError(f"Kubeflow at {self._url}: {error.status}: {said}; try again")
        return RejectedError(
            f"Kubeflow at {self._url} refused {what} ({error.status}): {said}; correct it"
        )


def _said(error: Any) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason or "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _checked(package: Path, parameters: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The pipeline's name, and the parameters in the types that it declares. Raises UsageError."""
    declared, name = _declared(package)
    if unknown := sorted(set(parameters) - set(declared)):
        known = ", ".join(declared) or "none"
        raise UsageError(f"pipeline {name} has no parameter {unknown[0]!r}; it has {known}")
    needed = [key for key, one in declared.items() if not _is_optional(one)]
    if missing := [key for key in needed if key not in parameters]:
        raise UsageError(
            f"pipeline {name} needs parameter {missing[0]!r}; give -p {missing[0]}=..."
        )
    return name, {
        key: _typed(key, value, declared[key]) for key, value in sorted(parameters.items())
    }


def _declared(package: Path) -> tuple[dict[str, Any], str]:
    try:
        document = next(iter(yaml.safe_load_all(package.read_text(encoding="utf-8"))))
        inputs = document["root"].get("inputDefinitions", {}).get("parameters", {})
        return dict(inputs), str(document["pipelineInfo"]["name"])
    except (OSError, yaml.YAMLError, StopIteration, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{package} is no compiled pipeline ({type(error).__name__}); compile one, or leave it out for "
            "the release"
        ) from error


def _is_optional(declared: Mapping[str, Any]) -> bool:
    return bool(declared.get("isOptional")) or "defaultValue" in declared


def _typed(name: str, text: str, declared: Mapping[str, Any]) -> Any:
    """KFP's API refuses a number that is sent as text."""
    kind = declared.get("parameterType", "STRING")
    if kind == "STRING":
        return text
    try:
        value = json.loads(text.lower() if kind == "BOOLEAN" else text)
    except ValueError as error:
        raise UsageError(f"parameter {name} is {text!r}; it is a {kind.lower()}") from error
    return value
