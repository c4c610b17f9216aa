"""The arguments of a tritonserver, as its predictor gets them."""


def flag(arguments: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The values of a flag, in both spellings."""
    words = iter(arguments)
    found = []
    for word in words:
        key, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and key == name:
            found.append(value if equals else next(words, ""))
    return tuple(found)
