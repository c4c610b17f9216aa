"""The schema of InferenceGraphs: what KServe 0.21's CRD says of the fields that a graph is routed by.

Told here because no graph can be run whose nodes have another shape; a CRD at hand takes its place.
"""

from tidegate.sandbox.api.kinds import Json

_ANYTHING: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}


def _object(properties: Json, *required: str) -> Json:
    found: Json = {"type": "object", "properties": properties}
    return found | ({"required": list(required)} if required else {})


_STEP = _object(
    {
        **dict.fromkeys(
            ("condition", "data", "name", "nodeName", "serviceName", "serviceUrl"), _TEXT
        ),
        "dependency": {"type": "string", "enum": ["Soft", "Hard"]},
        "mapPredictionsToInstances": {"type": "boolean"},
        "weight": _WHOLE,
    }
)
_NODE = _object(
    {
        "routerType": {"type": "string", "enum": ["Sequence", "Splitter", "Ensemble", "Switch"]},
        "steps": {"type": "array", "items": _STEP},
    },
    "routerType",
)
_TIMEOUTS = _object(
    dict.fromkeys(("serverIdle", "serverRead", "serverWrite", "serviceClient"), _WHOLE)
)
_SPEC = _object(
    {
        **dict.fromkeys(("affinity", "resources"), _ANYTHING),
        **dict.fromkeys(("maxReplicas", "minReplicas", "scaleTarget", "timeout"), _WHOLE),
        **dict.fromkeys(("nodeName", "serviceAccountName"), _TEXT),
        "nodeSelector": {"type": "object", "additionalProperties": _TEXT},
        "nodes": {"type": "object", "additionalProperties": _NODE},
        "routerTimeouts": _TIMEOUTS,
        "scaleMetric": {"type": "string", "enum": ["cpu", "memory", "concurrency", "rps"]},
        "tolerations": {"type": "array", "items": _ANYTHING},
    },
    "nodes",
)
SCHEMA: Json = _object({"spec": _SPEC, "status": _ANYTHING})
