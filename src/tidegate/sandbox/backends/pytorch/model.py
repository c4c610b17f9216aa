"""Triton's `pytorch` backend on the CPU, as a python-based backend: the torch wheel's own loaders.

TorchScript: tensors are matched as in the real one, by the arguments of forward(), else by `<any>__<index>`,
else in the config's order. AOTInductor (`platform: "torch_aoti"`): by the package's call specification, or by
number, as from 26.05 on. The server here is older than any that has packages, and refuses that platform: the
sandbox leaves it out of what the server reads (`packages.py`), and a file named *.pt2 is a package here.

Known differences: the optimization parameters are not here. Of a package max_batch_size above 1 and
sequence_batching are refused, of which the real one takes the first and mixes up the answers. It reads no
parameter of a package, and neither does this; there its instances share the server's threads, here each is a
process. A package for another CPU ends that process here, there the server.
"""

import re

import torch
import triton_python_backend_utils as pb_utils
from batching import BatchedModel, model_path, parameters
from package import Package

_INDEXED = re.compile(r"__(\d+)$")


class TritonPythonModel(BatchedModel):
    """One instance: its own module."""

    name = "pytorch"

    def open(self, directory, config):
        """Load the module and settle which tensor is which argument and which result."""
        path = model_path(directory, config, "model.pt")
        if path.suffix == ".pt2":
            _require_plain(config)
            self.run = Package(path, self.inputs, self.types).run
            return
        given = parameters(config)
        if "INTRA_OP_THREAD_COUNT" in given:
            torch.set_num_threads(int(given["INTRA_OP_THREAD_COUNT"]))
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


def _require_plain(config):
    """What the real backend does not do with a package."""
    if config["max_batch_size"] > 1:
        raise pb_utils.TritonModelException(
            f"max_batch_size {config['max_batch_size']}: packages of AOTInductor are not batched"
        )
    if config.get("sequence_batching"):
        raise pb_utils.TritonModelException("Sequence batching is not supported yet.")


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
