"""What all pages share: escaping, the content security policy, and readable colours."""

import base64
import hashlib
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError

from dflib.pages import figures, html

CSS = (Path(html.__file__).parent / "page.css").read_text()
TEXT = ("ink", "soft", "real", "fake")
BACKGROUNDS = ("back", "paper", "wrong", "right", "notice")


@pytest.fixture
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package ``made_page`` with a template that shows ``name`` and ``number``."""
    package = tmp_path / "made_page"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "page.html.j2").write_text(
        '{% extends "base.html.j2" %}{% block title %}{{ name }}{% endblock %}'
        '{% block content %}<p title="{{ name }}">{{ name }} {{ number | count }}</p>{% endblock %}'
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "made_page"


def policy(page: str) -> dict[str, str]:
    """The directives of a page's content security policy."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found is not None
    parts = [tuple(part.strip().split(" ", 1)) for part in unescape(found[1]).split(";")]
    return dict(parts)


def test_render_escapes_values(template: str) -> None:
    name = "<script>alert(1)</script>\"'"
    page = html.render(template, "page.html.j2", name=name, number=1234)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;") == 3
    assert " 1,234</p>" in page


def test_render_allows_no_script_and_no_request(template: str) -> None:
    directives = policy(html.render(template, "page.html.j2", name="", number=0))
    assert directives["default-src"] == directives["script-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert directives["form-action"] == directives["base-uri"] == "'none'"


def test_render_allows_its_script_by_hash(template: str) -> None:
    script = '\n"use strict"; const text = "a && b < c";\n'
    page = html.render(template, "page.html.j2", script, name="", number=0)
    assert f"<script>{script}</script>" in page
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy(page)["script-src"] == f"'sha256-{digest}'"


def test_render_rejects_a_script_that_ends_early(template: str) -> None:
    with pytest.raises(ValueError, match="must not contain"):
        html.render(template, "page.html.j2", "x = '</script>'", name="", number=0)


def test_render_rejects_a_missing_variable(template: str) -> None:
    with pytest.raises(UndefinedError, match="name"):
        html.render(template, "page.html.j2", number=0)


def test_render_includes_the_style_sheet(template: str) -> None:
    assert CSS.strip() in html.render(template, "page.html.j2", name="", number=0)


def test_svg_uri_gives_the_same_bytes_every_time() -> None:
    def draw() -> str:
        with figures.style():
            figure, axes = figures.new()
            axes.plot([0, 1], [0, 1], label="line")
            axes.legend()
            return figures.svg_uri(figure)

    assert draw() == draw()
    assert draw().startswith("data:image/svg+xml;base64,")


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("text", TEXT)
def test_text_contrast_is_sufficient(scheme: str, text: str, background: str) -> None:
    """At least 4.5 to 1, level AA of WCAG 2.1, which also defines the formula."""
    colours = schemes()[scheme]
    lighter, darker = sorted((luminance(colours[text]), luminance(colours[background])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def schemes() -> dict[str, dict[str, str]]:
    """The colours of each scheme, by the name of the variable."""
    found = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
    ]
    return {"light": found[0], "dark": found[0] | found[1], "print": found[0] | found[2]}


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` as WCAG 2.1 defines it."""
    channels = np.array([int(colour[index : index + 2], 16) for index in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
