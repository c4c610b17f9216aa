"""Where things are: the only reader of the environment. What to decide is the policy's business."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Endpoints as given by the environment; '' = not set. Read them through `need`."""

    mlflow_tracking_uri: str = ""
    mlflow_tracking_token: str = field(default="", repr=False)
    mlflow_tracking_username: str = ""
    mlflow_tracking_password: str = field(default="", repr=False)
    prometheus_url: str = ""
    prometheus_ca_file: str = ""
    prometheus_cert_file: str = ""
    prometheus_key_file: str = ""
    prometheus_insecure: str = ""  # "true": TLS without checking who answers
    prometheus_token_file: str = ""
    prometheus_username: str = ""
    prometheus_password_file: str = ""
    gate_token_file: str = ""
    ingress_url: str = ""  # send here with the service's Host; '' = the service's own URL resolves
    ingress_ca: str = ""  # a bundle of certificates; '' = the system's
    ingress_certificate: str = ""
    ingress_key: str = ""
    ingress_insecure: str = ""  # 'true' alone switches the check of the ingress's certificate off
    ingress_token: str = field(default="", repr=False)
    storage_uri: str = ""  # parent of published repositories, e.g. s3://models/tidegate
    claim_mounts: str = ""  # where claims are mounted here: CLAIM=/FOLDER,...
    # What KServe sets from the annotations of a Secret; the clouds' own variables obstore reads itself.
    aws_endpoint_url: str = ""
    aws_ca_bundle: str = ""
    s3_endpoint: str = ""
    s3_use_https: str = ""
    s3_verify_ssl: str = ""
    s3_virtual_bucket: str = ""
    s3_anonymous: str = ""
    kubeconfig: str = ""
    kfp_url: str = ""
    kfp_token: str = field(default="", repr=False)
    pushgateway_url: str = ""
    textfile_dir: str = ""  # node-exporter's --collector.textfile.directory
    otlp_endpoint: str = ""  # OpenTelemetry's own variable; its SDK reads the rest of them itself
    tritonserver: str = ""  # a command of this machine, with its own arguments
    tensorrt_cache: str = ""  # plans and timings of earlier builds; '' = none is kept
    aoti_cache: str = ""  # packages of earlier compilations; '' = none is kept
    trtexec: str = ""  # a command; '' = the one on PATH
    modelopt_python: str = ""  # an interpreter that has nvidia-modelopt; '' = our own
    grafana_url: str = ""
    grafana_token: str = field(default="", repr=False)
    progress_file: str = ""  # JSON lines that a local runner shows while steps run

    def need(self, field: str) -> str:
        """The value of a setting, or the one line that says which variable to set."""
        value: str = getattr(self, field)
        if not value:
            raise UsageError(f"{VARIABLES[field]} is not set; set it to {EXAMPLES[field]}")
        return value


VARIABLES: Mapping[str, str] = {
    "mlflow_tracking_uri": "MLFLOW_TRACKING_URI",
    "mlflow_tracking_token": "MLFLOW_TRACKING_TOKEN",
    "mlflow_tracking_username": "MLFLOW_TRACKING_USERNAME",
    "mlflow_tracking_password": "MLFLOW_TRACKING_PASSWORD",
    "prometheus_url": "TIDEGATE_PROMETHEUS_URL",
    "prometheus_ca_file": "TIDEGATE_PROMETHEUS_CA_FILE",
    "prometheus_cert_file": "TIDEGATE_PROMETHEUS_CERT_FILE",
    "prometheus_key_file": "TIDEGATE_PROMETHEUS_KEY_FILE",
    "prometheus_insecure": "TIDEGATE_PROMETHEUS_INSECURE",
    "prometheus_token_file": "TIDEGATE_PROMETHEUS_TOKEN_FILE",
    "prometheus_username": "TIDEGATE_PROMETHEUS_USERNAME",
    "prometheus_password_file": "TIDEGATE_PROMETHEUS_PASSWORD_FILE",
    "gate_token_file": "TIDEGATE_GATE_TOKEN_FILE",
    "ingress_url": "TIDEGATE_INGRESS_URL",
    "ingress_ca": "TIDEGATE_INGRESS_CA",
    "ingress_certificate": "TIDEGATE_INGRESS_CERTIFICATE",
    "ingress_key": "TIDEGATE_INGRESS_KEY",
    "ingress_insecure": "TIDEGATE_INGRESS_INSECURE",
    "ingress_token": "TIDEGATE_INGRESS_TOKEN",
    "storage_uri": "TIDEGATE_STORAGE_URI",
    "claim_mounts": "TIDEGATE_CLAIM_MOUNTS",
    "aws_endpoint_url": "AWS_ENDPOINT_URL",
    "aws_ca_bundle": "AWS_CA_BUNDLE",
    "s3_endpoint": "S3_ENDPOINT",
    "s3_use_https": "S3_USE_HTTPS",
    "s3_verify_ssl": "S3_VERIFY_SSL",
    "s3_virtual_bucket": "S3_USER_VIRTUAL_BUCKET",
    "s3_anonymous": "awsAnonymousCredential",
    "kubeconfig": "KUBECONFIG",
    "kfp_url": "TIDEGATE_KFP_URL",
    "kfp_token": "TIDEGATE_KFP_TOKEN",
    "pushgateway_url": "TIDEGATE_PUSHGATEWAY_URL",
    "textfile_dir": "TIDEGATE_TEXTFILE_DIR",
    "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "tritonserver": "TIDEGATE_TRITONSERVER",
    "tensorrt_cache": "TIDEGATE_TENSORRT_CACHE",
    "aoti_cache": "TIDEGATE_AOTI_CACHE",
    "trtexec": "TIDEGATE_TRTEXEC",
    "modelopt_python": "TIDEGATE_MODELOPT_PYTHON",
    "grafana_url": "TIDEGATE_GRAFANA_URL",
    "grafana_token": "TIDEGATE_GRAFANA_TOKEN",
    "progress_file": "TIDEGATE_PROGRESS_FILE",
}
EXAMPLES: Mapping[str, str] = {
    "mlflow_tracking_uri": "the tracking server, e.g. http://mlflow.mlflow:5000",
    "mlflow_tracking_token": "a bearer token of the tracking server",
    "mlflow_tracking_username": "a user of the tracking server",
    "mlflow_tracking_password": "that user's password",
    "prometheus_url": "Prometheus, e.g. http://prometheus.monitoring:9090",
    "prometheus_ca_file": "a PEM file of the authority that signed Prometheus' certificate",
    "prometheus_cert_file": "a PEM file of a client certificate",
    "prometheus_key_file": "the PEM file of its key",
    "prometheus_insecure": "true, to trust whoever answers",
    "prometheus_token_file": "a file that holds a bearer token",
    "prometheus_username": "a user of Prometheus",
    "prometheus_password_file": "a file that holds that user's password",
    "gate_token_file": "a file that holds a bearer token for http objectives",
    "ingress_url": "the ingress gateway, e.g. http://istio-ingressgateway.istio-system",
    "ingress_ca": "a file of the certificates that vouch for the ingress",
    "ingress_certificate": "a file of this client's own certificate",
    "ingress_key": "a file of its private key",
    "ingress_insecure": "true, to accept any certificate",
    "ingress_token": "a bearer token of the ingress",
    "storage_uri": "the folder for published repositories, e.g. s3://models/tidegate",
    "claim_mounts": "where claims are mounted, e.g. models=/mnt/models",
    "aws_endpoint_url": "the S3 server, e.g. http://minio.minio:9000",
    "aws_ca_bundle": "a PEM file of the authority that signed the S3 server's certificate",
    "s3_endpoint": "the S3 server without a scheme, e.g. minio.minio:9000",
    "s3_use_https": "0, for plain HTTP",
    "s3_verify_ssl": "0, to trust whoever answers",
    "s3_virtual_bucket": "true, for bucket names in the host",
    "s3_anonymous": "true, to sign nothing",
    "kubeconfig": "a kubeconfig file",
    "kfp_url": "Kubeflow Pipelines' API, e.g. http://ml-pipeline.kubeflow:8888",
    "kfp_token": "a bearer token of Kubeflow",
    "pushgateway_url": "a Pushgateway, e.g. http://pushgateway.monitoring:9091",
    "textfile_dir": "the folder of node-exporter's textfile collector",
    "otlp_endpoint": "an OpenTelemetry collector, e.g. http://otel-collector.monitoring:4318",
    "tritonserver": "the command of a tritonserver, e.g. /opt/tritonserver/bin/tritonserver",
    "tensorrt_cache": "a folder that builds of TensorRT plans share",
    "aoti_cache": "a folder that compilations of AOTInductor share",
    "trtexec": "the command of a trtexec, e.g. /usr/src/tensorrt/bin/trtexec",
    "modelopt_python": "a Python that has nvidia-modelopt",
    "grafana_url": "Grafana, e.g. http://grafana.monitoring:3000",
    "grafana_token": "a token of a Grafana service account that may write annotations",
    "progress_file": "a file",
}


def settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment once."""
    source = os.environ if environ is None else environ
    return Settings(**{key: source.get(name, "") for key, name in VARIABLES.items()})
