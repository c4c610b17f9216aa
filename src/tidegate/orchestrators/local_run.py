"""`tidegate release`: a committed drawing on one machine, with progress that a person can follow."""

import importlib.util
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tidegate.config import VARIABLES, settings
from tidegate.errors import DocumentError, UsageError
from tidegate.orchestrators.drawings import drawing
from tidegate.orchestrators.local_ending import Ended, ended
from tidegate.orchestrators.local_process import watched
from tidegate.orchestrators.surroundings import TRAINER
from tidegate.orchestrators.watch import Watch

REQUIRED = ("mlflow_tracking_uri", "prometheus_url", "storage_uri")
Runner = Literal["in-process", "kfp", "argo"]


@dataclass(frozen=True, slots=True)
class Drawings:
    """A runner's module, and what it runs."""

    module: str
    release: str
    scheduled: str


ARGO = ("workflows/release.yaml", "workflows/scheduled-release.yaml")
RUNNERS: Mapping[Runner, Drawings] = {
    "in-process": Drawings("tidegate.orchestrators.in_process", *ARGO),
    "kfp": Drawings(
        "tidegate.orchestrators.kfp_local",
        "pipelines/release.yaml",
        "pipelines/scheduled_release.yaml",
    ),
    "argo": Drawings("tidegate.orchestrators.argo_local", *ARGO),
}


def run_release(
    policy: str,
    *,
    runner: Runner = "in-process",
    model_uri: str = "",
    train: str = "",
    namespace: str = "",
    runs: Path,
    environment: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> Ended:
    """Run one release to its end, showing progress on stderr; `train` first, and only if that is new.

    Raises UsageError when nothing can be released from here, or the TidegateError that the failing
    step named.
    """
    environ = dict(os.environ if environment is None else environment)
    _check(environ, runner)
    folder = _new_folder(runs)
    what = {"train_command": train, "trainer_image": TRAINER} if train else {"model_uri": model_uri}
    parameters = {"policy": _reference(policy), "namespace": namespace, **what}
    if runner == "kfp":
        _refuse_python3(folder, parameters)
    watch = Watch(folder / "progress.jsonl", quiet=quiet)
    ours = RUNNERS[runner]
    drawn = drawing(ours.scheduled if train else ours.release)
    command = [str(drawn), str(folder / "artifacts"), json.dumps(parameters)]
    code = watched(["-m", ours.module, *command], folder, environ, watch)
    return ended(folder, watch, code)


def _check(environ: Mapping[str, str], runner: Runner) -> None:
    if runner == "kfp" and importlib.util.find_spec("kfp") is None:
        raise UsageError(
            "kfp is not installed; run: pip install 'tidegate[kfp]', or leave out --runner kfp"
        )
    found = settings(environ)
    needed = REQUIRED if _has_cluster(environ) else (*REQUIRED, "kubeconfig")
    for field in needed:
        if not getattr(found, field):
            raise UsageError(
                f"{VARIABLES[field]} is not set; run `tidegate sandbox up` and release with --sandbox, "
                "or point it at your cluster"
            )


def _has_cluster(environ: Mapping[str, str]) -> bool:
    """Where the steps find one when no KUBECONFIG is set: their own pod's, or the usual file."""
    usual = Path(environ.get("HOME", "/nonexistent")) / ".kube" / "config"
    return "KUBERNETES_SERVICE_HOST" in environ or usual.is_file()


def _new_folder(runs: Path) -> Path:
    folder = runs.absolute() / time.strftime("%Y%m%d-%H%M%S")
    try:
        runs.mkdir(parents=True, exist_ok=True)
        while not _is_made(folder):  # two that begin in one second have a folder each
            folder = folder.with_name(folder.name + "x")
    except OSError as error:
        raise UsageError(
            f"--runs {runs}: {error.strerror}; choose a folder that can be written"
        ) from error
    return folder


def _is_made(folder: Path) -> bool:
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _reference(policy: str) -> str:
    """A file is named absolutely: the steps run in a process of their own."""
    if policy.partition(":")[0] in ("configmap", "model", "base64"):
        return policy
    if not Path(policy).is_file():
        raise DocumentError(f"{policy}: no such policy file; name an existing file")
    return str(Path(policy).absolute())


def _refuse_python3(folder: Path, parameters: Mapping[str, str]) -> None:
    """kfp's local runner rewrites the text `python3` in every argument (kfp 2.17), paths included."""
    for name, value in {"--runs": str(folder), **parameters}.items():
        if "python3" in value:
            raise UsageError(
                f"{name} {value!r} contains 'python3', which kfp's local runner rewrites; rename it"
            )


def compiled_pipeline() -> Path:
    """What Kubeflow is given."""
    return drawing(RUNNERS["kfp"].release)
