#!/usr/bin/env bash
# Builds the pages of `host serve` into host/pages/dist if their sources changed. Without Node.js it skips the build
# with a warning, or fails if CI is set.
set -euo pipefail
cd "$(dirname "$0")/../host/pages"

skip() {
    echo "WARNING: host is built WITHOUT THE PAGES of host serve: $1" >&2
    echo "hint: install Node.js 20.19, 22.12 or newer with npm, then run make again" >&2
    if [[ -n ${CI:-} ]]; then exit 1; fi
    exit 0
}
for tool in node npm; do command -v "$tool" > /dev/null || skip "$tool is not installed"; done
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' ||
    skip "Node.js $(node --version) is not supported: expected 20.19, 22.12 or newer"

lock=$(cat package.json package-lock.json | openssl dgst -sha256 -r | cut -d' ' -f1)
if [[ "$(cat node_modules/.lock-hash 2> /dev/null)" != "$lock" ]]; then
    echo "installing the pages' npm packages (about 10 s)"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || skip "npm could not install the pages' packages"
    echo "$lock" > node_modules/.lock-hash
fi
sources() { find src public index.html ./*.ts tsconfig.json package-lock.json -type f | LC_ALL=C sort; }
hash=$(sources | while read -r file; do echo "$file"; cat "$file"; done | openssl dgst -sha256 -r | cut -d' ' -f1)
# Unchanged pages are not rebuilt: a new `dist` would make cargo rebuild the host, which embeds it.
if [[ -f dist/index.html && "$(cat node_modules/.dist-hash 2> /dev/null)" == "$hash" ]]; then exit 0; fi
echo "building the pages (about 3 s)"
npm run --silent build -- --logLevel warn
echo "$hash" > node_modules/.dist-hash
