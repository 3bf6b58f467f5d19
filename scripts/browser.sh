#!/usr/bin/env bash
# Runs a command with CHROMIUM set to a browser: the one that is there, else Debian's or Playwright's own, installed. Where
# none can be had the command is left out, which is said loudly, and fails where CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."
pages=host/pages

leave_out() {
    printf '%s\n' "" "######################################################################" \
        "# $1" "# THE BROWSER TESTS WERE LEFT OUT: nobody saw the pages work." \
        "# hint: install Chromium, or give one: CHROMIUM=/path/to/chromium make test" \
        "######################################################################" "" >&2
    if [[ -n ${CI:-} ]]; then exit 1; fi
    exit 0
}
present() {
    local name
    if [[ -n ${CHROMIUM:-} ]]; then command -v "$CHROMIUM" && return; fi
    for name in chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
        command -v "$name" && return
    done
    # Playwright's own, of the version that the tests use.
    (cd $pages && node -e 'const path = require("@playwright/test").chromium.executablePath(); require("fs").accessSync(path); console.log(path)') 2> /dev/null
}
[[ -e $pages/node_modules/@playwright/test && -f $pages/dist/index.html ]] || leave_out "The pages were not built."
if ! browser=$(present); then
    echo "installing Chromium for the browser tests" >&2
    if [[ $(id -u) == 0 ]] && command -v apt-get > /dev/null; then
        (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium fonts-liberation) > /dev/null || true
    fi
    present > /dev/null || (cd $pages && timeout 300 npx playwright install chromium) > /dev/null 2>&1 || true
    browser=$(present) || leave_out "No browser was found, and none could be installed."
fi
CHROMIUM=$browser exec "$@"
