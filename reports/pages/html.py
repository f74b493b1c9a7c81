"""The pages of a report as one self-contained HTML file, for mail and for people without a Markdown viewer."""

import base64
from collections.abc import Mapping, Sequence
from html import escape as escape_html
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #1f2328; background: #fff }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 1rem 0 }
th, td { border: 1px solid #d1d9e0; padding: .3rem .7rem; vertical-align: top }
tr:nth-child(2n) td { background: #f6f8fa }
img { max-width: 100%; height: auto }
code { background: #eff1f3; padding: .1em .3em; border-radius: 4px; font-size: 85% }
h1 { margin-top: 3rem }
h2 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3rem; margin-top: 2.5rem }
"""


def render_html(pages: Mapping[str, str], pictures: Mapping[str, bytes], title: str) -> str:
    """One self-contained HTML file from Markdown pages, by their file names, in their order.

    Links from page to page become links within the file; others stay only where they lead to the web. pictures: the
    bytes of each SVG or PNG by its path in the Markdown; others are not shown. Raw HTML in the Markdown stays text, and
    the file may neither run scripts nor load anything.
    """
    from markdown_it import MarkdownIt

    types = {"png": "image/png", "svg": "image/svg+xml"}
    embedded = {
        path: f"data:{types[path.rpartition('.')[2]]};base64,{base64.b64encode(data).decode()}"
        for path, data in pictures.items()
    }
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    image_as_it_is = parser.renderer.rules["image"]

    def image(tokens: Sequence[Any], place: int, options: Any, env: Any) -> str:
        source = tokens[place].attrGet("src")
        if source not in embedded:
            return escape_html(tokens[place].content)
        tokens[place].attrSet("src", embedded[source])
        return image_as_it_is(tokens, place, options, env)

    def link(tokens: Sequence[Any], place: int, options: Any, env: Any) -> str:
        address = str(tokens[place].attrGet("href"))
        if address in pages:
            tokens[place].attrSet("href", f"#{anchor(address)}")
        elif not address.startswith(("https://", "http://")):
            return "<a>"
        return parser.renderer.renderToken(tokens, place, options, env)

    parser.renderer.rules |= {"image": image, "link_open": link}
    body = "".join(
        f'<section id="{escape_html(anchor(name))}">\n{parser.render(markdown)}</section>\n'
        for name, markdown in pages.items()
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape_html(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def anchor(name: str) -> str:
    """Of a page, by the name of its file."""
    return name.removesuffix(".md")
