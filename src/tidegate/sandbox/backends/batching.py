"""How the stand-ins answer: requests of one call run as one batch, each gets its own rows back.

Copied into the folder of every backend here, which Triton's python stub puts on the path. Runs inside that
stub: nothing of tidegate is imported.
"""

import json
import os
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

LOOK_S = 1.0  # how often a stub looks whether its server lives


class BatchedModel(ABC):
    """One instance. A backend says its `name`, and implements `open` and `run`."""

    name = ""

    def initialize(self, args):
        """Read the config, then open the model: one copy per instance, as in the real backends."""
        _end_with_server()
        config = json.loads(args["model_config"])
        directory = Path(args["model_repository"]) / args["model_version"]
        self.batching = config["max_batch_size"] > 0
        self.inputs = [tensor["name"] for tensor in config["input"]] + _signals(config)
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.types = {
            t["name"]: pb_utils.triton_string_to_numpy(t["data_type"]) for t in config["output"]
        }
        self.model_shapes = dict.fromkeys(self.inputs)  # None: as the client sends it
        self.served_shapes = dict.fromkeys(self.outputs)  # None: as the model gives it
        self.open(directory, config)

    @abstractmethod
    def open(self, directory, config):
        """Load the model of a version. Raises TritonModelException for what the config gets wrong."""

    @abstractmethod
    def run(self, names, feeds):
        """The arrays of the named outputs for these inputs."""

    def execute(self, requests):
        """Answer each request; those of one call run as one batch when the model batches."""
        responses = [None] * len(requests)
        groups = {}
        for index, request in enumerate(requests):
            if request.is_cancelled():
                responses[index] = _cancelled()
                continue
            try:
                feeds = self._feeds(request)
            except Exception as error:  # noqa: BLE001 - the other requests of the batch are fine
                responses[index] = self._failure(error)
                continue
            groups.setdefault(self._group(feeds, index), []).append((index, request, feeds))
        for members in groups.values():
            self._answer(members, responses)
        return responses

    def _feeds(self, request):
        feeds = {}
        for name in self.inputs:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            if tensor is None:  # an optional input
                continue
            array = tensor.as_numpy()
            shape = self.model_shapes.get(name)
            if shape is not None:
                array = array.reshape(array.shape[:1] + shape if self.batching else shape)
            feeds[name] = _text(array) if array.dtype == np.object_ else array
        return feeds

    def _group(self, feeds, index):
        """Requests that can be concatenated share a key; without batching each is alone."""
        if not self.batching:
            return index
        return tuple((name, array.shape[1:]) for name, array in feeds.items())

    def _answer(self, members, responses):
        try:
            names, arrays = self._run(members)
        except Exception as error:  # noqa: BLE001 - any failure of the model belongs to these requests only
            for index, _, _ in members:
                responses[index] = self._failure(error)
            return
        offset = 0
        for index, request, feeds in members:
            rows = next(iter(feeds.values())).shape[0] if self.batching and feeds else None
            part = slice(offset, offset + rows) if rows is not None and len(members) > 1 else None
            responses[index] = self._response(request, names, arrays, part)
            offset += rows or 0

    def _run(self, members):
        """One run of the model: the fast path for a lone request copies nothing."""
        wanted = {name for _, request, _ in members for name in request.requested_output_names()}
        names = [name for name in self.outputs if name in wanted] or self.outputs
        if len(members) == 1:
            feeds = members[0][2]
        else:
            feeds = {name: np.concatenate([m[2][name] for m in members]) for name in members[0][2]}
        return names, self.run(names, feeds)

    def _response(self, request, names, arrays, part):
        wanted = set(request.requested_output_names())
        tensors = [
            pb_utils.Tensor(name, self._served(name, array if part is None else array[part]))
            for name, array in zip(names, arrays, strict=True)
            if not wanted or name in wanted
        ]
        return pb_utils.InferenceResponse(output_tensors=tensors)

    def _served(self, name, array):
        """The array in the declared type and, where the config reshapes, the declared shape."""
        shape = self.served_shapes[name]
        if shape is not None:
            array = array.reshape(array.shape[:1] + shape if self.batching else shape)
        if array.dtype == np.object_:
            return np.array([str(v).encode() for v in array.flat], dtype=object).reshape(
                array.shape
            )
        return np.ascontiguousarray(array, dtype=self.types[name])

    def _failure(self, error):
        return pb_utils.InferenceResponse(
            output_tensors=[], error=pb_utils.TritonError(f"{self.name}: {error}")
        )


def _end_with_server():
    """A server that is killed outright cannot end its stubs. Polled, for the kernel's own signal follows the
    thread that forked, which is one that loads models, and not the process."""
    server = os.getppid()

    def watch():
        while os.getppid() == server:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, name="server", daemon=True).start()


def _signals(config):
    """Inputs by which a model learns of its sequence; the server fills them in."""
    sequence = config.get("sequence_batching", {})
    if sequence.get("state"):
        raise pb_utils.TritonModelException(
            "sequence_batching.state is kept by the C++ backends alone, and not by their stand-ins here"
        )
    return [one["name"] for one in sequence.get("control_input", [])]


def parameters(config):
    """The backend's parameters as plain text by key."""
    return {key: value["string_value"] for key, value in config.get("parameters", {}).items()}


def model_path(directory, config, default):
    """The model file of a version; a file of several parts is a folder of its own name."""
    filename = config.get("default_model_filename") or default
    path = directory / filename
    if path.is_dir():
        path = path / filename
    if not path.is_file():
        raise pb_utils.TritonModelException(f"no {filename} in {directory}")
    return path


def _text(array):
    """Triton's BYTES are bytes; the models want str."""
    decoded = [value.decode() if isinstance(value, bytes) else value for value in array.flat]
    return np.array(decoded, dtype=object).reshape(array.shape)


def _cancelled():
    error = pb_utils.TritonError("the client cancelled", pb_utils.TritonError.CANCELLED)
    return pb_utils.InferenceResponse(output_tensors=[], error=error)
