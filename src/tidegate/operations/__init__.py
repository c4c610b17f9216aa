"""What people do about releases from outside a run.

To one of them: look, plan, abort, approve, resume, roll back; these read and write the same journal and drive
the same rules as the steps. And before any: doctor asks whether a cluster is fit, calibrate how often a gate
errs.
"""
