"""tune: the settings of a served model with the highest throughput within its latency limit, measured.

One tritonserver of this machine is asked again and again, each time with another config by its load API.
"""
