#!/usr/bin/env bash
# Runs a command with CHROMIUM set to a browser. Uses an installed one, or installs Debian's or Playwright's. Without a
# browser it skips the command with a warning, or fails if CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."
pages=host/pages

skip() {
    printf '%s\n' "" "######################################################################" \
        "# $1" "# THE BROWSER TESTS WERE SKIPPED: the pages were not tested." \
        "# hint: install Chromium, or set its path: CHROMIUM=/path/to/chromium make test" \
        "######################################################################" "" >&2
    if [[ -n ${CI:-} ]]; then exit 1; fi
    exit 0
}
find_browser() {
    local name
    if [[ -n ${CHROMIUM:-} ]]; then command -v "$CHROMIUM" && return; fi
    for name in chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
        command -v "$name" && return
    done
    # The browser that Playwright installs for the version of the tests.
    (cd $pages && node -e 'const path = require("@playwright/test").chromium.executablePath(); require("fs").accessSync(path); console.log(path)') 2> /dev/null
}
[[ -e $pages/node_modules/@playwright/test && -f $pages/dist/index.html ]] || skip "The pages were not built."
if ! browser=$(find_browser); then
    echo "installing Chromium for the browser tests" >&2
    if [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null; then
        (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-liberation) > /dev/null || true
    fi
    find_browser > /dev/null || (cd $pages && timeout 300 npx playwright install chromium) > /dev/null 2>&1 || true
    browser=$(find_browser) || skip "No browser was found or could be installed."
fi
CHROMIUM=$browser exec "$@"
