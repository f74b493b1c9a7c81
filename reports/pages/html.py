"""Renders the pages of a report as one self-contained HTML file, for mail and for people without a Markdown viewer."""

import base64
from collections.abc import Mapping, Sequence
from html import escape as escape_html
from typing import Any

from markupsafe import Markup

from reports.pages.templates import render_html_frame

_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


def render_html(pages: Mapping[str, str], pictures: Mapping[str, bytes], title: str) -> str:
    """Returns one self-contained HTML file from Markdown pages, by their file names, in their order.

    Links from page to page become links within the file; other links stay only if they lead to the web. pictures: the
    bytes of each SVG or PNG by its path in the Markdown; other pictures are not shown. Raw HTML in the Markdown stays
    text, and the file may neither run scripts nor load anything.
    """
    from markdown_it import MarkdownIt

    embedded = {
        path: f"data:{_TYPES[path.rpartition('.')[2]]};base64,{base64.b64encode(data).decode()}"
        for path, data in pictures.items()
    }
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    render_image = parser.renderer.rules["image"]

    def image(tokens: Sequence[Any], place: int, options: Any, env: Any) -> str:
        source = tokens[place].attrGet("src")
        if source not in embedded:
            return escape_html(tokens[place].content)
        tokens[place].attrSet("src", embedded[source])
        return render_image(tokens, place, options, env)

    def link(tokens: Sequence[Any], place: int, options: Any, env: Any) -> str:
        address = str(tokens[place].attrGet("href"))
        if address in pages:
            tokens[place].attrSet("href", f"#{address.removesuffix('.md')}")
        elif not address.startswith(("https://", "http://")):
            return "<a>"
        return parser.renderer.renderToken(tokens, place, options, env)

    parser.renderer.rules |= {"image": image, "link_open": link}
    bodies = {name.removesuffix(".md"): Markup(parser.render(markdown)) for name, markdown in pages.items()}
    return render_html_frame("report.html.j2", title=title, bodies=bodies)
