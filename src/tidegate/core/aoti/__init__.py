"""AOTInductor packages: which server reads them, under which names, and where they load. Pure."""
