"""The HTML file shows the pictures it was given, and no other file."""

from reports import pages
from tests.compared_runs import Tags


def test_html_shows_no_file_but_those_it_was_given():
    markdown = "![a](pictures/a.png) ![b](/etc/passwd) ![c](http://x.y/z.png)"
    shown = pages.render_html({"index.md": markdown}, {"pictures/a.png": b"1"}, "t")
    tags = Tags()
    tags.feed(shown)
    assert [attrs["src"] for tag, attrs in tags.seen if tag == "img"] == ["data:image/png;base64,MQ=="]
