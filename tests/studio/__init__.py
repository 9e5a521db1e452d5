"""The studio in a browser: Debian's Chromium, driven by Playwright, on a whole server with a stand-in worker."""
