"""Where steps become Kubeflow components and Argo templates; the only importer of kfp and hera."""
