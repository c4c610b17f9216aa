"""The folder that KServe's own servers load: which files they take for the model. Pure.

Each lists its folder, not the folders in it, and wants one file by the end of its name:
python/sklearnserver/sklearnserver/model.py, xgbserver/model.py, lgbserver/model.py (`load`), KServe 0.21.
"""

from collections.abc import Mapping, Sequence

from tidegate.documents import Finding, Word

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "sklearn": (".joblib", ".pkl", ".pickle"),
    "xgboost": (".bst", ".json", ".ubj"),
    "lightgbm": (".bst",),
}
# What a release writes, and the folder of the released template: at the root `serving.json` would be a second
# model of xgboost.
FILES: Mapping[str, str] = {
    "sklearn": "model.joblib",
    "xgboost": "model.ubj",
    "lightgbm": "model.bst",
}
TEMPLATE = "tidegate"
# The libraries in KServe's own images (uv.lock of each server), and what pip calls ours.
IN_THE_IMAGE: Mapping[str, tuple[str, str]] = {
    "sklearn": ("scikit-learn", "1.5.2"),
    "xgboost": ("xgboost", "2.1.4"),
    "lightgbm": ("lightgbm", "4.6.0"),
}


def linted(format_: str, names: Sequence[str], tools: Mapping[str, str]) -> tuple[Finding, ...]:
    """What the server would trip over.

    Args:
        format_: sklearn, xgboost or lightgbm.
        names: Files of the folder, relative, with forward slashes.
        tools: Versions of what wrote the model file, by distribution.
    """
    return (_one_model(format_, names), *_same_library(format_, tools))


def _one_model(format_: str, names: Sequence[str]) -> Finding:
    models = [name for name in names if "/" not in name and name.endswith(SUFFIXES[format_])]
    wanted = ", ".join(SUFFIXES[format_])
    message = f"{len(models)} files end in {wanted} ({', '.join(models) or 'none'})"
    word = Word.PASS if len(models) == 1 else Word.FAIL
    return Finding(
        name="one model file",
        word=word,
        message=models[0] if word is Word.PASS else f"{message}; the server takes just one",
    )


def _same_library(format_: str, tools: Mapping[str, str]) -> tuple[Finding, ...]:
    """No reason to refuse: the runtime may have another image, and deploy asks the real one."""
    library, theirs = IN_THE_IMAGE[format_]
    ours = tools.get(library) or tools.get(f"{library}-cpu", "")
    if not ours or _minor(ours) == _minor(theirs):
        return ()
    message = (
        f"the model file is written by {library} {ours}, and KServe's own image has {theirs}; where it does "
        f"not load, name a serving.runtime whose image has {library} {_minor(ours)}"
    )
    return (Finding(name="library", word=Word.INCONCLUSIVE, message=message, blocking=False),)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
