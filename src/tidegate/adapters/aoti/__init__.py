"""AOTInductor packages: how one is compiled, kept and read."""
