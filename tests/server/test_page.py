"""The page in a real browser, headless: spoken, lit up, downloaded, without an error in its console."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import soundfile

from spear_accel import Voice
from tests.server.conftest import Running, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
TEXT = "She sells sea shells. Yes!"


def test_the_page_is_served_whole_and_from_here_alone(served: Running) -> None:
    with served.client() as client:
        page = client.get("/")
        assert page.status_code == 200 and "default-src 'self'" in page.headers["content-security-policy"]
        for name in ("page.css", "page.js", "mel.js"):
            assert f"page/{name}" in page.text
            part = client.get(f"/page/{name}")
            assert part.status_code == 200 and "http://" not in part.text and "https://" not in part.text
        for name in ("app.py", "..%2Fapp.py", "nothing.js"):
            assert client.get(f"/page/{name}").status_code == 404


@pytest.fixture
def browser() -> Iterator[Any]:
    selenium = pytest.importorskip("selenium.webdriver", reason="the page is tried with selenium (extra dev)")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1000,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options, service=selenium.ChromeService(DRIVER))
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


def wait(browser: Any, condition: str) -> None:
    """Until a condition of the page holds."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(f"return Boolean({condition})"))


def speak(browser: Any, text: str) -> None:
    """Types and starts as somebody without a mouse does."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    wait(browser, "document.getElementById('voice').options.length")
    browser.execute_script("window.seen = 0; new MutationObserver(() => { window.seen += "
                           "document.querySelectorAll('#words mark.now').length })"
                           ".observe(document.getElementById('words'), {subtree: true, attributes: true})")  # fmt: skip
    field = browser.find_element(By.ID, "text")
    field.clear()
    field.send_keys(text, *[Keys.TAB] * 4, Keys.ENTER)


def test_it_speaks_lights_up_and_downloads(browser: Any, served: Running) -> None:
    browser.get(served.url)
    speak(browser, TEXT)
    wait(browser, "document.getElementById('download').href && !document.getElementById('download').hidden")
    wait(browser, "window.seen > 0")
    shown = browser.execute_script("return document.getElementById('words').textContent")
    marked = browser.execute_script("return [...document.querySelectorAll('#words mark')].map(m => m.textContent)")
    wanted = served.voice.speak(TEXT, seed=0, words=True)
    assert shown == TEXT and marked == [word.word for word in wanted.words]
    data = browser.execute_async_script(
        "const done = arguments[0]; run.wav().arrayBuffer()"
        ".then(b => { const a = new Uint8Array(b); let s = ''; for (const c of a) s += String.fromCharCode(c); "
        "done(btoa(s)) })"
    )
    with soundfile.SoundFile(io.BytesIO(base64.b64decode(data))) as sound:
        assert sound.samplerate == 24_000 and sound.frames == len(wanted.waveform)
    drawn = browser.execute_script(
        "const c = document.getElementById('mel'); "
        "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, n) => n % 4 < 3 && v > 60)"
    )
    assert drawn
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_it_says_what_is_wrong_and_asks_for_a_key(browser: Any, served: Running, served_voice: Voice) -> None:
    browser.get(served.url)
    speak(browser, "&& ...")
    wait(browser, "document.getElementById('status').textContent.includes('can be read aloud')")
    with running(served_voice, api_key="secret") as server:
        browser.get(server.url)
        wait(browser, "!document.getElementById('key-label').hidden")
        browser.execute_script(
            "const key = document.getElementById('key'); key.value = 'secret'; key.dispatchEvent(new Event('change'))"
        )
        wait(browser, "document.getElementById('voice').options.length")
