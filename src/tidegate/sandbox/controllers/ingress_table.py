"""The one table of the ingress: the hosts of Knative's Routes, those of HTTPRoutes, and virtual hosts.

A virtual host has no weights of its own: it follows the Knative hosts that it names, in the same change.
"""

import logging
from collections.abc import Mapping, Sequence

from tidegate.sandbox.controllers import hosts
from tidegate.sandbox.controllers.hosts import VirtualHost
from tidegate.sandbox.interfaces import HostRoute, Ingress, Weights

_log = logging.getLogger(__name__)


class IngressTable:
    """Programs the ingress with all parts whenever one of them changes."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress
        self._knative: dict[str, Weights] = {}
        self._virtual: dict[str, VirtualHost] = {}
        self._routes: tuple[HostRoute, ...] = ()
        self.trouble = ""  # why the ingress did not take the last table

    @property
    def applied(self) -> dict[str, Weights]:
        """What is in force of Knative's hosts."""
        return self._knative

    def put(self, table: Mapping[str, Weights]) -> None:
        """Replace Knative's hosts; on failure all stays, `trouble` says why, and the next tries again."""
        if table != self._knative or self.trouble:
            self._program(dict(table), self._virtual, self._routes)

    def put_virtual(self, table: Mapping[str, VirtualHost]) -> None:
        """Likewise the virtual hosts."""
        if table != self._virtual or self.trouble:
            self._program(self._knative, dict(table), self._routes)

    def put_routes(self, routes: Sequence[HostRoute]) -> None:
        """Likewise the hosts of Standard mode."""
        if tuple(routes) != self._routes or self.trouble:
            self._program(self._knative, self._virtual, tuple(routes))

    def _program(
        self,
        knative: dict[str, Weights],
        virtual: dict[str, VirtualHost],
        routes: tuple[HostRoute, ...],
    ) -> None:
        of_knative = [*hosts.as_routes(knative), *hosts.as_virtual_routes(virtual, knative)]
        try:
            self._ingress.program([*of_knative, *routes])
        except Exception as error:  # noqa: BLE001 - whatever the data plane raised: said, and tried again
            self.trouble = f"{type(error).__name__}: {error}"
            _log.warning("The ingress did not take its table: %s", self.trouble)
        else:
            self._knative, self._virtual, self._routes, self.trouble = knative, virtual, routes, ""
