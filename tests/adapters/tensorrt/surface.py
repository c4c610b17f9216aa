"""The real bindings of TensorRT, imported without TensorRT, as the judge of every call that is made to it.

The bindings ask nine functions of libnvinfer and its two neighbours. Shared objects that answer each with
"there is none" are enough to import them, and then each class, method, argument and enum is the real one.
What libnvinfer would have made (a builder, a parser, an engine) is played by `Played`, which has nothing but
the members of the real class, and takes a call only as the real signature takes it.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ASKED = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry",
    "getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins",
)  # fmt: skip
LIBRARIES = ("nvinfer", "nvonnxparser", "nvinfer_plugin")


def libraries(folder: Path, major: int) -> Path:
    """Shared objects of these names in which every factory makes nothing, as on a machine without a GPU."""
    source = folder / "nothing.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in ASKED))
    for name in LIBRARIES:
        target = folder / f"lib{name}.so.{major}"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(target), str(source)], check=True)
    return folder


class Played:
    """An object of a real class; `answers`: member -> its value, or what a method returns when called.

    Raises AssertionError for a member that the class has not, for one that cannot be set, and for a call that
    the real signature does not take. `calls` are those made, (member, arguments).
    """

    def __init__(self, cls: type, **answers: Any) -> None:
        self.__dict__.update(cls=cls, answers=answers, calls=[])
        for member in answers:
            assert hasattr(cls, member), f"{cls.__name__} has no {member}"

    def __getattr__(self, name: str) -> Any:
        assert hasattr(self.cls, name), f"{self.cls.__name__} has no {name}"
        real = getattr(self.cls, name)
        if isinstance(real, property):
            return self.answers[name]
        return self._method(name, str(real.__doc__))

    def __setattr__(self, name: str, value: Any) -> None:
        real = getattr(self.cls, name, None)
        assert isinstance(real, property), f"{self.cls.__name__}.{name} is no property"
        assert real.fset is not None, f"{self.cls.__name__}.{name} cannot be set"
        self.calls.append((name, (value,)))

    def _method(self, name: str, doc: str) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            tried = [_misfit(signature, arguments) for signature in signatures(name, doc)]
            assert tried, f"{self.cls.__name__}.{name} tells no signature"
            assert "" in tried, f"{self.cls.__name__}.{name}{arguments}: {tried}"
            self.calls.append((name, arguments))
            answer = self.answers.get(name)
            return answer(*arguments) if callable(answer) else answer

        return called


def signatures(name: str, doc: str) -> list[list[tuple[str, str, bool]]]:
    """(argument, type, optional) of each overload, without self, as pybind11 writes it into a docstring."""
    found = re.findall(rf"^(?:\d+\. )?{name}\(self: [\w.]+(?:, (.*))?\) -> ", doc, re.MULTILINE)
    return [
        [_argument(word) for word in re.split(r", (?=\w+: )", told)] if told else []
        for told in found
    ]


def _argument(word: str) -> tuple[str, str, bool]:
    name, _, rest = word.partition(": ")
    kind, equals, _ = rest.partition(" = ")
    return name, kind.rpartition(".")[2] if "[" not in kind else kind, bool(equals)


def _misfit(signature: list[tuple[str, str, bool]], arguments: tuple[Any, ...]) -> str:
    """'' when the signature takes the arguments."""
    least = sum(not optional for _, _, optional in signature)
    if not least <= len(arguments) <= len(signature):
        return f"{len(arguments)} arguments for {signature}"
    for (name, kind, _), value in zip(signature, arguments, strict=False):
        if not _is_a(value, kind):
            return f"{name} is a {type(value).__name__}, not a {kind}"
    return ""


def _is_a(value: Any, kind: str) -> bool:
    plain = {
        "int": int, "SupportsInt": int, "bool": bool, "str": str, "float": float, "SupportsFloat": float,
        "buffer": bytes, "Buffer": bytes, "Dims": tuple,
    }  # fmt: skip
    if kind in plain:
        return isinstance(value, plain[kind])
    names = {cls.__name__ for cls in getattr(value, "cls", type(value)).__mro__}
    return kind in names or kind == "object"


class Library:
    """The module, with factories of our own for what cannot be made here."""

    def __init__(self, trt: Any, **factories: Any) -> None:
        self._trt, self._factories = trt, factories

    def __getattr__(self, name: str) -> Any:
        return self._factories.get(name) or getattr(self._trt, name)
