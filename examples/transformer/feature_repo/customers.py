"""What Feast knows of a customer: two views of one file, and the set of features that the model reads."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Float64, Int64

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
customers = FileSource(path="data/customers.parquet", timestamp_field="event_timestamp")
orders = FeatureView(
    name="orders",
    entities=[customer],
    ttl=timedelta(days=30),
    schema=[Field(name="count_30d", dtype=Int64), Field(name="amount_30d", dtype=Float32)],
    source=customers,
)
risk = FeatureView(
    name="risk",
    entities=[customer],
    ttl=timedelta(days=30),
    schema=[Field(name="chargebacks", dtype=Int64), Field(name="age_days", dtype=Float64)],
    source=customers,
)
fraud = FeatureService(name="fraud", features=[orders, risk])
