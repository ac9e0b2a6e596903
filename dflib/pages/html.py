"""Renders self-contained HTML pages: the style, the script and all images are inside the file.

File names, models and chunks come from data and may be hostile.  Two defences: jinja2 escapes every value, and the
page's content security policy allows no request and no script but the one that the page was rendered with.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render(
    package: str,
    template: str,
    script: str = "",
    filters: Mapping[str, Callable[[Any], str]] | None = None,
    **context: Any,
) -> str:
    """A page as HTML.

    Args:
        package: dotted name of the package that holds the template.
        template: its file name; it extends ``base.html.j2``.
        script: plain JavaScript for the end of the page.
        filters: of the template, by name; ``count`` (an integer with thousands separators) is always there.
        context: the variables of the template.

    Raises:
        ValueError: the script would end its element early.
    """
    if "</" in script:
        raise ValueError("a script inside a page must not contain '</'")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("dflib.pages", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": "{:,}".format, **(filters or {})}
    return environment.get_template(template).render(
        context, page_script=script, page_script_source=_source_of(script) if script else "'none'"
    )


def read_script(package: str, name: str) -> str:
    """A JavaScript file of a package, also where dflib is imported from a zip."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a ``data:`` URI; ``kind`` is the subtype of image, such as "jpeg"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _source_of(script: str) -> str:
    """The source expression of a content security policy that allows this script alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
