"""Warm-up requests: one that the model cannot take is a model that does not load."""

from tidegate.core.lint.subject import Judged, Repository, Rule


def _batch(r: Repository) -> str:
    for request in r.config.model_warmup:
        if request.batch_size < 1:
            return f"warm-up {request.name!r} has batch_size 0; use 1 or more"
    return ""


def _too_large(r: Repository) -> str:
    """Triton 2.51 ends with a segmentation fault where such a model has several inputs."""
    for request in r.config.model_warmup:
        most = max(1, r.config.max_batch_size)
        if request.batch_size > most:
            return (
                f"warm-up {request.name!r} has batch_size {request.batch_size}; use at most {most}"
            )
    return ""


def _inputs(r: Repository) -> str:
    needed = {t.name for t in r.config.input if not t.optional}
    known = {t.name for t in r.config.input}
    for request in r.config.model_warmup:
        if not needed <= set(request.inputs) <= known:
            return f"warm-up {request.name!r} does not give every input; give each once"
    return ""


def _dims(r: Repository) -> str:
    for request in r.config.model_warmup:
        if any(d < 1 for entry in request.inputs.values() for d in entry.dims):
            return f"warm-up {request.name!r} has free dims; give sizes"
    return ""


def _file(r: Repository) -> str:
    for request in r.config.model_warmup:
        for entry in request.inputs.values():
            path = f"warmup/{entry.input_data_file}"
            if entry.input_data_file and r.files is not None and path not in r.files:
                return f"warm-up {request.name!r} reads {path}, which is not there"
    return ""


RULES = (
    Rule(name="warm-up batch", check=_batch, judged=Judged.SILENT),
    Rule(name="warm-up size", check=_too_large, judged=Judged.CRASH),
    Rule(name="warm-up inputs", check=_inputs, judged=Judged.ANSWER),
    Rule(name="warm-up dims", check=_dims, judged=Judged.ANSWER),
    Rule(name="warm-up file", check=_file, judged=Judged.ANSWER),
)
