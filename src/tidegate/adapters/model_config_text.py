"""ModelConfig as protobuf and config.pbtxt, and back; Triton's own message definition is the judge.

The classes of `tidegate.core.model_config` name their fields as the message does, so one walk serves all of
them: absent (None, or proto3's zero) is not written, and what the message has is read by its own descriptor.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, MutableMapping, MutableSequence
from functools import cache
from typing import Any

from tidegate.core.model_config import ModelConfig
from tidegate.errors import DocumentError, UsageError


def _pb() -> Any:
    try:
        from tritonclient.grpc import model_config_pb2
    except ImportError as error:
        raise UsageError("tritonclient is not installed; pip install 'tidegate[triton]'") from error
    return model_config_pb2


def to_message(config: ModelConfig) -> Any:
    """The `inference.ModelConfig` message. Raises UsageError for a field that tritonclient is too old for."""
    message = _pb().ModelConfig()
    _fill(message, config)
    return message


def _fill(message: Any, value: Any) -> None:
    for field in dataclasses.fields(value):
        held, name = getattr(value, field.name), field.name.rstrip("_")
        if held is None:
            continue
        descriptor = message.DESCRIPTOR.fields_by_name.get(name)
        if descriptor is not None:
            _set(message, descriptor, held)
        elif held != _zero(field):
            raise UsageError(
                f"config.pbtxt: {message.DESCRIPTOR.name}.{name} is not known to the tritonclient "
                "installed here; install a newer one, or leave the field out"
            )


def _zero(field: "dataclasses.Field[Any]") -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _set(message: Any, descriptor: Any, held: Any) -> None:
    name = descriptor.name
    if isinstance(held, Mapping):
        for key, one in held.items():
            _put_entry(getattr(message, name), key, one)
    elif isinstance(held, tuple):
        for one in held:
            _append(getattr(message, name), descriptor, one)
    elif dataclasses.is_dataclass(held):
        getattr(message, name).SetInParent()  # an empty one is a value here, not an absence
        _fill(getattr(message, name), held)
    elif held or descriptor.has_presence:
        setattr(message, name, _number(descriptor, held))


def _put_entry(entries: Any, key: Any, one: Any) -> None:
    if dataclasses.is_dataclass(one):
        entries[key].SetInParent()
        _fill(entries[key], one)
    else:
        entries[key] = one


def _append(items: Any, descriptor: Any, one: Any) -> None:
    if dataclasses.is_dataclass(one):
        _fill(items.add(), one)
    else:
        items.append(_number(descriptor, one))


def _number(descriptor: Any, held: Any) -> Any:
    """The number of an enum's name; anything else as it is."""
    if descriptor.enum_type is None:
        return held
    known = descriptor.enum_type.values_by_name
    if held not in known:
        raise DocumentError(
            f"config.pbtxt: {descriptor.name} is {held!r}; use one of {', '.join(known)}"
        )
    return known[held].number


def from_message(message: Any) -> ModelConfig:
    """The values of a message. Raises DocumentError for a field that is newer than our classes."""
    read: ModelConfig = _read(message, ModelConfig)
    return read


def _read(message: Any, kind: type) -> Any:
    types_of = _types(kind)
    strangers = [field.name for field, _ in message.ListFields() if field.name not in types_of]
    if strangers:
        raise DocumentError(
            f"config.pbtxt: {message.DESCRIPTOR.name}.{strangers[0]} is not known to tidegate; "
            "leave the field out"
        )
    descriptors = message.DESCRIPTOR.fields_by_name
    return kind(
        **{
            known.attribute: _get(message, descriptors[name], known.element)
            for name, known in types_of.items()
            if name in descriptors
        }
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    attribute: str
    element: type | None  # the class of a message, of each of several, or of a map's values


@cache
def _types(kind: type) -> Mapping[str, _Known]:
    """Field of the message -> our attribute and the class of its values."""
    hints = typing.get_type_hints(kind)
    return {
        field.name.rstrip("_"): _Known(field.name, _element(hints[field.name]))
        for field in dataclasses.fields(kind)
    }


def _element(hint: Any) -> type | None:
    if dataclasses.is_dataclass(hint):
        return typing.cast("type", hint)
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is Mapping or isinstance(hint, types.GenericAlias):
        inner = inner[-1:] if typing.get_origin(hint) is not tuple else inner[:1]
    return next((found for one in inner if (found := _element(one))), None)


def _get(message: Any, descriptor: Any, element: type | None) -> Any:
    held = getattr(message, descriptor.name)
    if isinstance(held, MutableMapping):
        return {key: _value(descriptor, held[key], element) for key in sorted(held)}
    if isinstance(held, MutableSequence):
        return tuple(_value(descriptor, one, element) for one in held)
    if descriptor.has_presence and not message.HasField(descriptor.name):
        return None
    return _value(descriptor, held, element)


def _value(descriptor: Any, held: Any, element: type | None) -> Any:
    if element is not None:
        return _read(held, element)
    if descriptor.enum_type is None:
        return held
    return descriptor.enum_type.values_by_number[held].name


def to_text(config: ModelConfig) -> str:
    """config.pbtxt. Map entries come out sorted, so equal configs are equal bytes."""
    message = to_message(config)
    from google.protobuf import text_format

    return str(text_format.MessageToString(message, use_short_repeated_primitives=True))


def from_text(text: str, *, what: str) -> ModelConfig:
    """Parse config.pbtxt; the server would say only in its log which field it does not know."""
    pb = _pb()
    from google.protobuf import text_format

    try:
        return from_message(text_format.Parse(text, pb.ModelConfig()))
    except text_format.ParseError as error:
        raise DocumentError(f"{what}: {error}; correct the config") from error
