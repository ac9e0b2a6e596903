"""Parts of statements of Spark SQL."""


def quoted(text: str) -> str:
    """A text as a string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
