"""One outside system per module, the only place its SDK is imported; errors leave as TidegateError."""
