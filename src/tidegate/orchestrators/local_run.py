"""`tidegate release`: a committed drawing on one machine, with progress that a person can follow."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tidegate.config import VARIABLES, settings
from tidegate.documents import Report, Result
from tidegate.errors import DocumentError, NotPromotedError, RollbackFailedError, UsageError
from tidegate.orchestrators.drawings import drawing
from tidegate.orchestrators.watch import Failure, Watch

REQUIRED = ("mlflow_tracking_uri", "prometheus_url", "storage_uri")
Runner = Literal["in-process", "kfp", "argo"]
GUARDED = "tidegate-release/guard/outputs"  # where the guard of a run writes, below its artifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a local release ended: its result word, exit code and where the page is."""

    result: str
    reason: str
    exit_code: int
    folder: Path
    page: Path | None
    report: Report | None


RUNNERS: Mapping[Runner, tuple[str, str]] = {  # runner -> its module, and the drawing that it runs
    "in-process": ("tidegate.orchestrators.in_process", "workflows/release.yaml"),
    "kfp": ("tidegate.orchestrators.kfp_local", "pipelines/release.yaml"),
    "argo": ("tidegate.orchestrators.argo_local", "workflows/release.yaml"),
}


def run_release(
    policy: str,
    *,
    runner: Runner = "in-process",
    model_uri: str = "",
    namespace: str = "",
    runs: Path,
    environment: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> Ended:
    """Run one release to its end, showing progress on stderr.

    Raises UsageError when nothing can be released from here, or the TidegateError that the failing
    step named.
    """
    environ = dict(os.environ if environment is None else environment)
    _check(environ, runner)
    folder = _new_folder(runs)
    parameters = {"policy": _reference(policy), "model_uri": model_uri, "namespace": namespace}
    if runner == "kfp":
        _refuse_python3(folder, parameters)
    watch = Watch(folder / "progress.jsonl", quiet=quiet)
    code = _run(runner, folder, parameters, environ, watch)
    return _ended(folder, watch, code)


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
        while folder.exists():
            folder = folder.with_name(folder.name + "x")
        folder.mkdir(parents=True)
    except OSError as error:
        raise UsageError(
            f"--runs {runs}: {error.strerror}; choose a folder that can be written"
        ) from error
    return folder


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
    return drawing(RUNNERS["kfp"][1])


def _run(
    runner: Runner,
    folder: Path,
    parameters: Mapping[str, str],
    environ: dict[str, str],
    watch: Watch,
) -> int:
    module, drawn = RUNNERS[runner]
    arguments = [str(drawing(drawn)), str(folder / "artifacts"), json.dumps(parameters)]
    environ |= {
        VARIABLES["progress_file"]: str(watch.path),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    with (folder / "run.log").open("w", encoding="utf-8") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environ,
            start_new_session=True,
        )
        with _interruptible(child, watch, environ, folder):
            while child.poll() is None:
                watch.show()
                time.sleep(0.2)
            watch.show()
    if child.returncode < 0:
        _killed(child, watch, environ, folder)
    return child.returncode


@contextmanager
def _interruptible(
    child: "subprocess.Popen[bytes]", watch: Watch, environ: Mapping[str, str], folder: Path
) -> Iterator[None]:
    """On Ctrl-C or SIGTERM: end the run's processes, then let the guard return the traffic."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _end(child)
        watch.line("interrupted: the guard returns production to the incumbent")
        _guard(watch.release_id, environ, folder)
        raise SystemExit(130) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _killed(
    child: "subprocess.Popen[bytes]", watch: Watch, environ: Mapping[str, str], folder: Path
) -> None:
    """Nothing in a process that was killed can still run its exit handler."""
    with suppress(ProcessLookupError):  # what it had started goes with it
        os.killpg(child.pid, signal.SIGKILL)
    name = signal.Signals(-child.returncode).name
    watch.line(f"the run was killed ({name}): the guard returns production to the incumbent")
    watch.failure = watch.failure or Failure(
        step=watch.step,
        error=name,
        message=f"the run was killed ({name})",
        exit_code=128 - child.returncode,
    )
    _guard(watch.release_id, environ, folder)


def _end(child: "subprocess.Popen[bytes]") -> None:
    for number, patience in ((signal.SIGTERM, 30), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, number)
            child.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _guard(release_id: str, environ: Mapping[str, str], folder: Path) -> None:
    if not release_id:
        return
    home = folder / "artifacts" / GUARDED
    subprocess.run(
        [sys.executable, "-m", "tidegate", "guard", "--release-id", release_id, "--page", home / "page"],
        env=dict(environ), check=False, timeout=600,
    )  # fmt: skip


def _ended(folder: Path, watch: Watch, code: int) -> Ended:
    report = _report(folder)
    page = next((folder / "artifacts").glob("*/report/**/page"), None)
    guard_page = next((folder / "artifacts").glob("*/guard/**/page"), None)
    if report is None:
        return _died(folder, watch, code, guard_page)
    return Ended(
        result=report.result.value,
        reason=report.reason,
        exit_code=_exit_code(report.result, code),
        folder=folder,
        page=page,
        report=report,
    )


def _report(folder: Path) -> Report | None:
    path = next((folder / "artifacts").glob("*/report/**/report_document"), None)
    return Report.model_validate_json(path.read_text(encoding="utf-8")) if path else None


def _exit_code(result: Result, code: int) -> int:
    """conclude already weighed the policy's on_reject; kfp only tells success from failure."""
    if code == 0:
        return 0
    failed = RollbackFailedError if result is Result.ROLLBACK_FAILED else NotPromotedError
    return failed.exit_code


def _died(folder: Path, watch: Watch, code: int, page: Path | None) -> Ended:
    failure = watch.failure or Failure(
        step=watch.step,
        error="Error",
        message=f"ended with {code}; see {folder / 'run.log'}",
        exit_code=1,
    )
    return Ended(
        result=Result.DIED.value,
        reason=f"{failure.step}: {failure.message}",
        exit_code=failure.exit_code,
        folder=folder,
        page=page,
        report=None,
    )
