"""The model formats that KServe's own Python servers serve, and that are released without Triton."""

from collections.abc import Mapping
from typing import Literal

ServedFormat = Literal["triton", "sklearn", "xgboost", "lightgbm"]
TRITON = "triton"
# Format -> KServe's ClusterServingRuntime of it (config/runtimes/kserve-{sklearn,xgb,lgb}server.yaml). It is
# named, for with protocol v2 KServe would choose MLServer, whose priority is higher (kserve-mlserver.yaml).
SERVERS: Mapping[str, str] = {
    "sklearn": "kserve-sklearnserver",
    "xgboost": "kserve-xgbserver",
    "lightgbm": "kserve-lgbserver",
}
# What such a server puts into `ce-source` of its answer to a CloudEvent (kserve/utils/utils.py:97).
EVENT_SOURCE = "CE_SOURCE"
PREDICT_PROBA = "PREDICT_PROBA"  # sklearnserver/model.py: "true" asks for predict_proba
