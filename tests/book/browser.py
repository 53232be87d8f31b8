"""Headless Chromium on the built site, cut off from every other host."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
]
#: Names resolve nowhere but on this machine: a page that needs another host fails its request.
BLOCK = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"


def executables() -> tuple[str | None, str | None]:
    """Chromium and its driver, where they are installed."""
    browser = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    return browser, shutil.which("chromedriver")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """A file server without a log."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """The address of a folder served on this machine."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def chromium(profile: Path, language: str = "en") -> Iterator[webdriver.Chrome]:
    """A fresh browser that logs requests and console messages."""
    browser, driver = executables()
    options = webdriver.ChromeOptions()
    options.binary_location = str(browser)
    for flag in (*FLAGS, BLOCK, f"--user-data-dir={profile}", f"--lang={language}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(str(driver)))
    try:
        yield chrome
    finally:
        chrome.quit()


def set_window(chrome: webdriver.Chrome, width: int, height: int = 900) -> None:
    """The size of the visible page, a phone below 500 pixels."""
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )


def complaints(chrome: webdriver.Chrome) -> list[str]:
    """Console errors, failed requests and requests to other hosts since the last call."""
    found = [entry["message"] for entry in chrome.get_log("browser") if entry["level"] == "SEVERE"]
    for entry in chrome.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        parameters = message["params"]
        if message["method"] == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "chrome", "about:")):
                found.append(f"asks another host: {url}")
        elif message["method"] == "Network.loadingFailed" and not parameters.get("canceled"):
            found.append(f"failed request: {parameters['errorText']}")
        elif (
            message["method"] == "Network.responseReceived"
            and parameters["response"]["status"] >= 400
        ):
            found.append(f"{parameters['response']['status']}: {parameters['response']['url']}")
    return found
