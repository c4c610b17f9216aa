"""What people do to a release from outside its run: look, plan, abort, resume, roll back, sweep.

No steps of the DAG: they read and write the same journal and drive the same rules.
"""
