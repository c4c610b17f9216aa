"""The folder: the model's name, its versions, its files, and a backend to run them."""

from tidegate.core.aoti.serving import PACKAGE, PLATFORM
from tidegate.core.lint.subject import Judged, Repository, Rule

PLATFORMS = {
    "tensorrt_plan": "tensorrt",
    "onnxruntime_onnx": "onnxruntime",
    "pytorch_libtorch": "pytorch",
    PLATFORM: "pytorch",
}
FILES = {
    "onnxruntime": ("model.onnx",),
    "tensorrt": ("model.plan",),
    "pytorch": ("model.pt",),
    "openvino": ("model.xml", "model.onnx"),
    "python": ("model.py",),
    "fil": ("xgboost.ubj", "xgboost.json", "xgboost.model", "model.txt", "checkpoint.tl"),
}


def backend_of(r: Repository) -> str:
    """The backend that is meant, '' when the server has to guess it from the files."""
    return r.config.backend or PLATFORMS.get(r.config.platform, "")


def is_ensemble(r: Repository) -> bool:
    """An ensemble runs no backend of its own."""
    return r.config.platform == "ensemble" or r.config.ensemble_scheduling is not None


def _name(r: Repository) -> str:
    """The server says only `failed to poll from model repository`."""
    if r.config.name in {"", r.folder}:
        return ""
    return f"the config says name {r.config.name!r}, the folder is {r.folder!r}; make them equal"


def _versions(r: Repository) -> str:
    if r.versions and min(r.versions) >= 1:
        return ""
    return "no numeric version folder; the registry version is its name"


def _version_policy(r: Repository) -> str:
    policy = r.config.version_policy
    wanted = policy.specific.versions if policy and policy.specific else ()
    none = policy is not None and (
        (policy.latest is not None and policy.latest.num_versions < 1)
        or (policy.specific is not None and not wanted)
    )
    if none:
        return "version_policy serves no version; write latest { num_versions: 1 }, or drop it"
    absent = set(wanted) - set(r.versions)
    return f"version_policy names {min(absent)}, which has no folder; add it" if absent else ""


def _backend(r: Repository) -> str:
    backend, known = backend_of(r), r.server.backends
    if is_ensemble(r) or known is None or backend in known:
        return ""
    shown = ", ".join(sorted(known))
    return f"the server has no backend {backend!r}; it has {shown}"


def _model_file(r: Repository) -> str:
    """A python model without model.py hangs the load instead of failing it."""
    named = r.config.default_model_filename
    usual = (PACKAGE,) if r.config.platform == PLATFORM else FILES.get(backend_of(r), ())
    wanted = (named,) if named else usual
    if is_ensemble(r) or r.files is None or not wanted:
        return ""
    for version in r.versions:
        folder = f"{version}/"
        there = [f for f in r.files if any(_is_file(f, f"{folder}{name}") for name in wanted)]
        if not there:
            return f"version {version} has none of {', '.join(wanted)}; put the model there"
    return ""


def _is_file(file: str, wanted: str) -> bool:
    return file == wanted or file.startswith(f"{wanted}/")


def _labels(r: Repository) -> str:
    for output in r.config.output:
        absent = output.label_filename and r.files is not None
        if absent and output.label_filename not in (r.files or ()):
            return f"output {output.name!r} takes labels from {output.label_filename}, which is not there"
    return ""


RULES = (
    Rule(name="name", check=_name, judged=Judged.LOG),
    Rule(name="version folders", check=_versions, judged=Judged.ANSWER),
    Rule(name="version policy", check=_version_policy, judged=Judged.ANSWER),
    Rule(name="backend", check=_backend, judged=Judged.ANSWER),
    Rule(name="model file", check=_model_file, judged=Judged.BACKEND),
    Rule(name="label file", check=_labels, judged=Judged.ANSWER),
)
