"""Grafana dashboards as code, built with Grafana's own builder library for Grafana 11.6 and newer.

A dashboard is a list of panels (`panel.py`) in one module per subject; `drawn.py` alone knows the library.
"""

from collections.abc import Mapping

from deploy.objects.monitoring.dashboards import (
    gpu,
    model_server,
    releases,
    revisions,
    torchserve,
    triton,
)
from deploy.objects.monitoring.dashboards.panel import Dashboard

ALL: Mapping[str, Dashboard] = {
    one.uid: one
    for one in (
        releases.DASHBOARD,
        revisions.DASHBOARD,
        triton.DASHBOARD,
        model_server.DASHBOARD,
        torchserve.DASHBOARD,
        gpu.DASHBOARD,
    )
}
