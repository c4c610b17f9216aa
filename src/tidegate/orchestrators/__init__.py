"""Where steps become Kubeflow components and Argo templates, and where those drawings are run.

On this machine by kfp's local runner or by an interpreter of the Argo YAML, which runs a step as a process or
as a call; in Kubeflow through its SDK. The only importer of kfp and hera.
"""
