"""Reference pages of the documentation, made from the code.

python -m tools.reference            # writes docs/reference/*.md
python -m tools.reference --check    # exits with 1 when a committed page is out of date

The pages of jobs and of named parts are not committed: ``make docs`` makes them.  So a new part or job touches no page.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from dflib.config import Config, Section
from dflib.parts import catalog
from dflib.tables.names import RUN_COLUMNS
from dflib.tables.schemas import TABLES, TRAINING_SET, Table
from dflib.tables.views import VIEWS
from tools import made_pages

HOME = Path(__file__).parent.parent
PAGES = HOME / "docs" / "reference"
MADE = "<!-- Made by python -m tools.reference; do not edit. -->"


def committed() -> dict[str, str]:
    """The content of the pages in the repository, by file name."""
    return {"configuration.md": configuration(), "tables.md": tables()}


def built() -> dict[str, str]:
    """The content of the pages that only the site has, by file name."""
    return {"parts.md": parts(), "commands.md": commands()}


def configuration() -> str:
    """Every key of the configuration: kind, default and meaning."""
    defaults = yaml.safe_load((HOME / "conf" / "base.yml").read_text())
    local = yaml.safe_load((HOME / "conf" / "env" / "local.yml").read_text())
    lines = [
        "# Configuration",
        "",
        MADE,
        "",
        "The configuration is `conf/base.yml`, then `conf/env/<env>.yml` (`--env`, default `local`), then "
        "`--set section.key=value`. An unknown key is an error that names the nearest known one. Credentials are never "
        "part of it.",
    ]
    for name, field in Config.model_fields.items():
        section = field.annotation
        assert isinstance(section, type) and issubclass(section, BaseModel)
        lines += ["", f"## {name}", ""]
        if section.__doc__:
            lines += [_prose(inspect.cleandoc(section.__doc__)), ""]
        lines += ["| key | kind | default | meaning |", "|---|---|---|---|"]
        values = defaults.get(name) or {}
        lines += list(_keys(section, name, values, local.get(name) or {}))
    return "\n".join(lines) + "\n"


def _keys(section: type[BaseModel], prefix: str, values: Any, local: dict[str, Any]) -> Iterator[str]:
    meanings = _attribute_docstrings(section)
    schema = section.model_json_schema()
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            summary = _cell(_first_line(kind.__doc__))
            yield f"| `{prefix}.{name}.*` | section | | {summary} |"
            yield from _keys(kind, f"{prefix}.{name}", values.get(name) or {}, {})
            continue
        default = values.get(name, local.get(name))
        yield (
            f"| `{prefix}.{name}` | {_cell(_kind(schema['properties'][name], schema))} | {_default(default)} | "
            f"{_cell(meanings.get(name, ''))} |"
        )


def _attribute_docstrings(section: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a class and of the sections that it extends."""
    (tree,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(section))).body
    assert isinstance(tree, ast.ClassDef)
    (base,) = section.__bases__
    found = _attribute_docstrings(base) if issubclass(base, Section) and base is not Section else {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = inspect.cleandoc(text.value.value)
    return found


def _kind(schema: dict[str, Any], root: dict[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in schema:
        kinds = [_kind(one, root) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(kinds) + ", or null"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return "list of texts"
    kind = {"string": "text", "integer": "integer", "number": "number", "boolean": "true or false"}[schema["type"]]
    limits = [
        f"{sign} {schema[key]:.15g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return " ".join([kind, ", ".join(limits)]).strip()


def _default(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return "`[" + ", ".join(map(str, value)) + "]`"
    return f"`{value}`"


def tables() -> str:
    """Every table and view with its columns."""
    lines = [
        "# Tables and views",
        "",
        MADE,
        "",
        "Delta tables below `tables.root`. `DESCRIBE deepfake.<name>` gives the same descriptions in SQL. Columns of "
        "the key identify a row. How to query them: [SQL](../sql.md).",
    ]
    for table in TABLES.values():
        lines += _table(table, table.name)
    lines += _table(TRAINING_SET, "training_sets/&lt;set_id&gt;")
    lines += ["", "## runs", "", "One JSON record a run of a job.", ""]
    lines += ["| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind.lower()} | {_cell(text)} |" for name, (kind, text) in RUN_COLUMNS.items()]
    for view in VIEWS.values():
        lines += ["", f"## {view.name} (view)", "", f"{view.comment}.", "", "| column | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(text)} |" for name, text in view.columns.items()]
    return "\n".join(lines) + "\n"


def _table(table: Table, name: str) -> list[str]:
    lines = ["", f"## {name}", "", f"{table.comment}. Key: {', '.join(f'`{key}`' for key in table.key)}.", ""]
    lines += ["| column | type | meaning |", "|---|---|---|"]
    for column in table.spark_schema():
        kind = column.dataType.simpleString() + ("" if column.nullable else ", not null")
        lines.append(f"| `{column.name}` | {_cell(kind)} | {_cell(table.comments[column.name])} |")
    if table.constraints:
        lines += ["", f"Constraints: {', '.join(f'`{condition}`' for condition in table.constraints.values())}."]
    return lines


def parts() -> str:
    """Every named part of the catalog."""
    lines = [
        "# Named parts",
        "",
        MADE,
        "",
        "What the configuration chooses by name. `dflib parts` prints the same list and says which are installed.",
    ]
    for kind in catalog.KINDS:
        lines += ["", f"## {kind.plural}", ""]
        if not list(kind):
            lines += ["None yet."]
            continue
        lines += ["| name | what it is | extra |", "|---|---|---|"]
        lines += [f"| `{part.usage}` | {_cell(part.summary)} | {part.extra or ''} |" for part in kind]
    return "\n".join(lines) + "\n"


def commands() -> str:
    """Every job and what it is for."""
    lines = [
        "# Commands",
        "",
        MADE,
        "",
        "`./spark-submit.sh JOB` in a checkout, `dflib JOB` where the package is installed. `JOB --help` lists the "
        "options.",
        "",
        "| job | what it does |",
        "|---|---|",
    ]
    for path in sorted((HOME / "jobs").glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text()))
        lines.append(f"| `{path.stem}` | {_cell(_first_line(text))} |")
    return "\n".join(lines) + "\n"


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n\n")[0]


def _prose(text: str) -> str:
    """A docstring as Markdown: double backquotes become single ones, references their last part."""
    import re

    text = re.sub(r":\w+:`~?([\w.]+)`", lambda match: f"`{match[1]}`", text)
    return text.replace("``", "`")


def _cell(text: str) -> str:
    """A text as one cell of a Markdown table."""
    return " ".join(_prose(text).split()).replace("|", "\\|")


def main() -> int:
    made = ({PAGES / name: text for name, text in pages.items()} for pages in (committed(), built()))
    return made_pages.main(__doc__, "tools.reference", *made)


if __name__ == "__main__":
    sys.exit(main())
