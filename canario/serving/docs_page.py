"""`GET /docs`: the OpenAPI document as one page that needs nothing from elsewhere."""

from __future__ import annotations

import html
from typing import Any

import msgspec

POLICY = b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin: 2.5rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 1.1rem; }
code, pre { font: 0.85rem/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.75rem 1rem; border: 1px solid var(--line); border-radius: 0.4rem; }
table { border-collapse: collapse; } td { padding: 0.1rem 1.5rem 0.1rem 0; vertical-align: top; }
.method { display: inline-block; min-width: 3.5rem; font-weight: 600; } summary { cursor: pointer; }
"""


def docs_page(document: dict[str, Any]) -> str:
    """The page."""
    info = document["info"]
    operations = [
        _operation(document, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post")
    ]
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(info['title'])}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{_text(info['title'])}</h1><p>{_text(info['summary'])}</p><p>{_text(info['description'])}</p>",
            '<p><a href="openapi.json">openapi.json</a> is this page for programs, <a href="./">the form</a> is for people.</p>',
            *operations,
            "</body></html>\n",
        ]
    )


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<h2><code><span class="method">{method.upper()}</span> {_text(path)}</code></h2>',
        f"<p>{_text(operation['summary'])}. {_text(operation.get('description', ''))}</p>",
    ]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        schema = _resolved(document, content["schema"])
        parts.append(f"<p>A request:</p>{_json(content['example'])}{_details('Its schema', schema)}")
    answers = {status: _resolved(document, answer) for status, answer in operation["responses"].items()}
    example = answers["200"]["content"].get("application/json", {}).get("example")
    if example is not None:
        parts.append(f"<p>Its answer:</p>{_json(example)}")
    rows = (f"<tr><td>{status}</td><td>{_text(answer['description'])}</td></tr>" for status, answer in answers.items())
    return "".join([*parts, "<table>", *rows, "</table>"])


def _resolved(document: dict[str, Any], part: Any) -> Any:
    """The part with what it refers to in its place."""
    if isinstance(part, list):
        return [_resolved(document, item) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        found: Any = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        return _resolved(document, found)
    return {name: _resolved(document, item) for name, item in part.items()}


def _details(title: str, content: Any) -> str:
    return f"<details><summary>{title}</summary>{_json(content)}</details>"


def _json(content: Any) -> str:
    return f"<pre>{_text(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())}</pre>"


def _text(text: str) -> str:
    return html.escape(text)
