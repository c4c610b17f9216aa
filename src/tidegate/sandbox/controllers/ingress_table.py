"""The one table of the ingress: the hosts of Knative's Routes, those of HTTPRoutes, and virtual hosts.

A virtual host has no weights of its own: it follows the Knative hosts that it names, in the same change.
"""

import logging
from collections.abc import Mapping
from typing import Literal

from tidegate.sandbox.controllers import hosts
from tidegate.sandbox.controllers.hosts import VirtualHost
from tidegate.sandbox.interfaces import Ingress, Weights

_log = logging.getLogger(__name__)
Part = Literal["Knative", "Standard"]


class IngressTable:
    """Programs the ingress with both parts whenever one of them changes."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress
        self._parts: dict[Part, dict[str, Weights]] = {"Knative": {}, "Standard": {}}
        self._virtual: dict[str, VirtualHost] = {}
        self.trouble = ""  # why the ingress did not take the last table

    def applied(self, part: Part) -> dict[str, Weights]:
        """What is in force of one part."""
        return self._parts[part]

    def put(self, part: Part, table: Mapping[str, Weights]) -> None:
        """Replace one part; on failure the whole table stays, `trouble` says why, and the next tries."""
        if table == self._parts[part] and not self.trouble:
            return
        self._program(self._parts | {part: dict(table)}, self._virtual)

    def put_virtual(self, table: Mapping[str, VirtualHost]) -> None:
        """Likewise for the virtual hosts."""
        if table != self._virtual or self.trouble:
            self._program(self._parts, dict(table))

    def _program(
        self, parts: dict[Part, dict[str, Weights]], virtual: dict[str, VirtualHost]
    ) -> None:
        knative = parts["Knative"]
        routes = [*hosts.as_routes(knative), *hosts.as_virtual_routes(virtual, knative)]
        try:
            self._ingress.program([*routes, *hosts.as_routes(parts["Standard"], _services(parts))])
        except Exception as error:  # noqa: BLE001 - whatever the data plane raised: said, and tried again
            self.trouble = f"{type(error).__name__}: {error}"
            _log.warning("The ingress did not take its table: %s", self.trouble)
        else:
            self._parts, self._virtual, self.trouble = parts, virtual, ""


def _services(parts: Mapping[Part, Mapping[str, Weights]]) -> dict[str, str]:
    """A ReplicaSet's name is its Deployment's, which is the Service's, and a hash."""
    weights = [entry for listed in parts["Standard"].values() for entry in listed]
    names = {name for _, name, _ in weights if not name.endswith(hosts.SUFFIX)}
    return {name: name.rpartition("-")[0] for name in names}
