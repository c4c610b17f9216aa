"""KServe's own model servers (sklearn, xgboost, lightgbm, custom, transformers): latency by stage."""

from deploy.objects.monitoring.dashboards.panel import (
    Dashboard,
    Panel,
    Query,
    Variable,
    panel,
    quantile,
    rate,
    ratio,
)

WHO = 'namespace=~"$namespace",model_name=~"$model"'
STAGES = {
    "Preprocess": "preprocess",
    "Predict": "predict",
    "Postprocess": "postprocess",
    "Explain": "explain",
}


def _stage(title: str, stage: str) -> Panel:
    """Mean, p50 and p99 of one stage, from python/kserve/kserve/metrics.py's histogram, in milliseconds."""
    name = f"request_{stage}_seconds"
    mean = ratio(f"{name}_sum{{{WHO}}}", f"{name}_count{{{WHO}}}", by="model_name", times=" * 1000")
    quantiles = [
        Query(
            promql=f"{quantile(q, f'{name}_bucket{{{WHO}}}', by='model_name')} * 1000",
            legend=f"p{q * 100:g} {{{{model_name}}}}",
        )
        for q in (0.5, 0.99)
    ]
    asked = (Query(promql=mean, legend="mean {{model_name}}"), *quantiles)
    return Panel(title=title, unit="ms", queries=asked)


DASHBOARD = Dashboard(
    uid="tidegate-model-server",
    title="tidegate / KServe ModelServer latency",
    description="Latency of pre- and postprocessing, prediction and explanation.",
    variables=(
        Variable(name="namespace", metric="request_predict_seconds_count", label="namespace"),
        Variable(name="model", metric="request_predict_seconds_count", label="model_name"),
    ),
    rows=(
        ("Latency", tuple(_stage(title, stage) for title, stage in STAGES.items())),
        (
            "Work",
            tuple(
                panel(
                    f"{title} calls",
                    "ops",
                    rate(f"request_{stage}_seconds_count{{{WHO}}}", by="model_name"),
                    "{{model_name}}",
                )
                for title, stage in STAGES.items()
            ),
        ),
    ),
    annotated=True,
)
