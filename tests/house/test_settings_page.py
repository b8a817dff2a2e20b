"""docs/settings.md says of every setting what the code says."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def documented() -> dict[str, tuple[str, str]]:
    """Field -> (default as written, docstring in one line), from the source itself."""
    tree = ast.parse((ROOT / "plugin" / "cbmir" / "settings.py").read_text())
    (settings,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    found: dict[str, tuple[str, str]] = {}
    for field, docstring in zip(settings.body, settings.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(docstring, ast.Expr), f"{field.target.id} has no docstring"
            assert isinstance(docstring.value, ast.Constant)
            assert field.value is not None
            found[field.target.id] = (ast.unparse(field.value), " ".join(str(docstring.value.value).split()))
    return found


def page() -> str:
    """The page as it should be."""
    lines = [
        "# Settings",
        "",
        "Each is an environment variable; `NAME_FILE` may name a file that holds the value, which suits secrets.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, (default, meaning) in documented().items():
        lines.append(f"| `CBMIR_{name.upper()}` | {_shown(default)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _shown(default: str) -> str:
    if default.startswith("Path("):
        default = default.removeprefix("Path('").removesuffix("')")
    if default.startswith("field(default="):
        default = "''"
    value = eval(default, {}) if default[:1].isdigit() or default[:1] in "'\"" else default
    return f"`{value}`" if isinstance(value, int) else f"`{value}`" if value else "none"


def test_the_page_says_what_the_code_says() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == page()
