"""Triton's `openvino` backend on the CPU, as a python-based backend: OpenVINO itself, from its wheel.

Known differences from the C++ backend: no padding of batches, no RESHAPE_IO_LAYERS, and a model is compiled
with free batches whatever SKIP_OV_DYNAMIC_BATCHSIZE says.
"""

import openvino
import triton_python_backend_utils as pb_utils
from batching import BatchedModel, model_path, parameters

_KNOWN = ("INFERENCE_NUM_THREADS", "COMPILATION_NUM_THREADS", "NUM_STREAMS", "PERFORMANCE_HINT")


class TritonPythonModel(BatchedModel):
    """One instance: its own compiled model."""

    name = "openvino"

    def open(self, directory, config):
        """Compile the model of the version; OpenVINO names the operator that it lacks."""
        given = parameters(config)
        device = given.get("TARGET_DEVICE", "CPU")
        if device != "CPU":
            raise pb_utils.TritonModelException(f"TARGET_DEVICE {device}: only the CPU is here")
        settings = {key: given[key] for key in _KNOWN if key in given}
        path = model_path(directory, config, "model.xml")
        compiled = openvino.Core().compile_model(str(path), device, settings)
        _check_names("input", self.inputs, compiled.inputs)
        _check_names("output", self.outputs, compiled.outputs)
        self._request = compiled.create_infer_request()

    def run(self, names, feeds):
        """One inference; the arrays are copied, since the next one overwrites them."""
        found = self._request.infer(feeds, share_outputs=False)
        return [found[name] for name in names]


def _check_names(kind, names, ports):
    known = {name for port in ports for name in port.get_names()}
    for name in names:
        if name not in known:
            raise pb_utils.TritonModelException(
                f"{kind} '{name}' is not in the model, which has {', '.join(sorted(known))}"
            )
