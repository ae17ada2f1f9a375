"""The pages that everybody sees, and the answers of `/webapi/ping` and `/webapi/find`."""

from tests.support import web_site
from tests.support.web_site import HOST


def test_front_page_says_how_to_sign_in():
    async def story(cluster, site):
        page = await site.ask("GET", "/")
        assert page.status == 200
        assert page.headers.get_content_type() == "text/html"
        assert f"tsh login --proxy={HOST}:443 --user=YOUR_NAME" in page.shown

    web_site.run(story)


def test_style_sheet_is_the_only_thing_that_may_be_kept():
    async def story(cluster, site):
        sheet = await site.ask("GET", "/static/app.css")
        assert (sheet.status, sheet.headers.get_content_type()) == (200, "text/css")
        assert sheet.headers["Cache-Control"] == "max-age=300"
        assert (await site.ask("GET", "/")).headers["Cache-Control"] == "no-store"

    web_site.run(story)


def test_pages_load_nothing_from_elsewhere_and_no_script():
    async def story(cluster, site):
        for path in ("/", "/web/invite/x", "/static/app.css"):
            page = await site.ask("GET", path)
            assert "http:" not in page.text
            assert "https:" not in page.text
            assert "<script" not in page.text
            assert "style=" not in page.text

    web_site.run(story)


def test_what_pages_show_is_escaped():
    async def story(cluster, site):
        async with web_site.serving(cluster.proxy, cluster.entropy, public_address="<b>:1") as odd:
            page = await odd.ask("GET", "/")
            assert "--proxy=&lt;b&gt;:1" in page.text

    web_site.run(story)


def test_folders_and_other_files_are_not_served():
    async def story(cluster, site):
        for path in ("/static/", "/static/base.html", "/static/../web/app.py", "/static/%2e%2e/app.py", "/web/invite"):
            assert (await site.ask("GET", path)).status == 404

    web_site.run(story)
