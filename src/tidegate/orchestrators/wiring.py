"""The tasks of an Argo DAG: what each one is given decides what it waits for; needs hera."""

import re
from dataclasses import dataclass

from hera.workflows import Parameter, Task

from tidegate.orchestrators.stores import Store


@dataclass(frozen=True)
class File:
    """A file of another task; of the DAG's own inputs when the task is ''."""

    task: str
    name: str

    @property
    def source(self) -> str:
        """As a Store knows it."""
        return f"{self.task}/{self.name}" if self.task else self.name


@dataclass(frozen=True)
class Drawn:
    """A task that others may be given something of."""

    name: str

    def file(self, name: str) -> File:
        """One of its files."""
        return File(self.name, name)

    def value(self, name: str) -> str:
        """One of its scalars."""
        return f"{{{{tasks.{self.name}.outputs.parameters.{name}}}}}"


def own(name: str) -> str:
    """A scalar input of the DAG itself."""
    return f"{{{{inputs.parameters.{name}}}}}"


def task(
    store: Store, name: str, *, when: str = "", after: tuple[str, ...] = (), **given: str | File
) -> Drawn:
    """A task that runs the template of its own name, once what it is given is there."""
    arguments = [
        store.argument(key, value.source)
        if isinstance(value, File)
        else Parameter(name=key, value=value)
        for key, value in given.items()
    ]
    waits = sorted(set(after) | {needed for value in given.values() for needed in _tasks_in(value)})
    Task(
        name=name,
        template=name,
        arguments=arguments,
        depends=" && ".join(waits) or None,
        when=when or None,
    )
    return Drawn(name)


def _tasks_in(value: str | File) -> list[str]:
    if isinstance(value, File):
        return [value.task] if value.task else []
    return re.findall(r"\{\{tasks\.([-\w]+)\.", value)
