"""What the fork server does once, so that no process forked from it has to."""

import gc

import httpx

from tests.chaos import actors, workers

WARM = (actors, workers)

with httpx.Client(verify=False):  # imports its transport; the ingress here speaks plain HTTP
    pass
gc.collect()
gc.freeze()  # a forked process's collections neither visit nor copy what is already here
