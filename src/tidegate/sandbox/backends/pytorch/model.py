"""Triton's `pytorch` backend on the CPU, as a python-based backend: TorchScript in the torch wheel.

Tensors are matched as in the real one: by the arguments of forward(), else by `<any>__<index>`, else in the
config's order. Known differences: AOTI (`model.pt2`) and the optimization parameters are not here.
"""

import re

import torch
import triton_python_backend_utils as pb_utils
from batching import BatchedModel, model_path, parameters

_INDEXED = re.compile(r"__(\d+)$")


class TritonPythonModel(BatchedModel):
    """One instance: its own module."""

    name = "pytorch"

    def open(self, directory, config):
        """Load the module and settle which tensor is which argument and which result."""
        given = parameters(config)
        if "INTRA_OP_THREAD_COUNT" in given:
            torch.set_num_threads(int(given["INTRA_OP_THREAD_COUNT"]))
        path = model_path(directory, config, "model.pt")
        self._module = torch.jit.load(str(path), map_location="cpu").eval()
        arguments = [one.name for one in self._module.forward.schema.arguments[1:]]
        if set(self.inputs) <= set(arguments):
            self._order = [name for name in arguments if name in self.inputs]
        else:
            self._order = _indexed("input", self.inputs)
        self._results = {name: at for at, name in enumerate(_indexed("output", self.outputs))}

    def run(self, names, feeds):
        """One call of forward()."""
        with torch.inference_mode():
            found = self._module(*(torch.from_numpy(feeds[name]) for name in self._order))
        results = found if isinstance(found, (tuple, list)) else (found,)
        return [results[self._results[name]].numpy() for name in names]


def _indexed(kind, names):
    """By index where every name has one; else as the config has them."""
    found = [_INDEXED.search(name) for name in names]
    if not all(found):
        return names
    indices = [int(match.group(1)) for match in found]
    if sorted(indices) != list(range(len(names))):
        raise pb_utils.TritonModelException(
            f"{kind}s {', '.join(names)}: their indices are not 0 to {len(names) - 1}"
        )
    return [name for _, name in sorted(zip(indices, names, strict=True))]
