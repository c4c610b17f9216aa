"""The emulated controllers of KServe, Knative, Kubernetes and KEDA: pure rules, and what carries them out."""
