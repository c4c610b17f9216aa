"""The typed parts of an InferenceService, as KServe reads them. Pure."""
