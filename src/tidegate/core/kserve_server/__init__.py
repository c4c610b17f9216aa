"""What KServe's own Python servers (sklearn, xgboost, lightgbm) take, keep and tell. Pure."""

from tidegate.core.kserve_server.events import source_of, version_of
from tidegate.core.kserve_server.folder import FILES, linted
from tidegate.core.kserve_server.policies import unfit

__all__ = ["FILES", "linted", "source_of", "unfit", "version_of"]
