"""AOTInductor packages (platform torch_aoti): torch's own loader, tensors named as Triton 26.05 names them.

Source of the names: pytorch_backend at 2026-05-13, src/pt2/model_state.cc (LoadModel) and call_spec.cc
(get_names). A keyword argument is `KWARGS<key>` there, without the brackets that its guide writes.
"""

import json

import torch
import triton_python_backend_utils as pb_utils
from torch._inductor import aoti_load_package


class Package:
    """Loaded code: which tensor is which of its flat inputs and results, and one call of it."""

    def __init__(self, path, inputs, types):
        """`types` are the numpy types of the outputs by name. Raises TritonModelException for a name."""
        self._runner = aoti_load_package(str(path)).loader
        takes, gives = (json.loads(one)[1] for one in self._runner.get_call_spec())
        known = _inputs(takes)
        if len(inputs) != len(known):
            raise pb_utils.TritonModelException(
                f"configuration has {len(inputs)} inputs, the model expects {len(known)}"
            )
        self._order = sorted(inputs, key=lambda name: _index("input", "INPUT", name, known))
        results = _outputs(gives)
        self._results = {name: _index("output", "OUTPUT", name, results) for name in types}
        self._types = types

    def run(self, names, feeds):
        """One call; a result of another type than the config says, or without axes, is an error."""
        with torch.inference_mode():
            found = self._runner.run([torch.from_numpy(feeds[name]) for name in self._order])
        return [self._checked(name, found[self._results[name]].numpy()) for name in names]

    def _checked(self, name, array):
        if array.dtype != self._types[name]:
            raise ValueError(f"output {name} is {array.dtype}, the configuration says another type")
        if not array.ndim:
            raise ValueError(f"output {name} is a scalar, which is not supported")
        return array


def _inputs(node):
    """Names in flat order of `((args...), {kwargs})`."""
    args, kwargs = node["children_spec"]
    keys = json.loads(kwargs["context"])
    return [f"ARGS{name}" for name in _names(args)] + [f"KWARGS{key}" for key in keys]


def _outputs(node):
    """One tensor has no more name than that."""
    return [f"RESULT{name}" for name in _names(node)] if node["children_spec"] else ["RESULT"]


def _names(node):
    """As Python would index it: `[0]`, `[key][1]`; a leaf has no name of its own."""
    children = node["children_spec"]
    is_dict = node["type"] == "builtins.dict"
    keys = json.loads(node["context"]) if is_dict else range(len(children))
    for key, child in zip(keys, children, strict=True):
        for name in list(_names(child)) or [""]:
            yield f"[{key}]{name}"


def _index(kind, prefix, name, known):
    """Position of a tensor, by its name or its number."""
    ordinals = [f"{prefix}__{at}" for at in range(len(known))]
    for names in (known, ordinals):
        if name in names:
            return names.index(name)
    raise pb_utils.TritonModelException(
        f'{kind} "{name}" is not found in the model, which has {", ".join(known)}'
    )
