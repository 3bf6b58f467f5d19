#!/usr/bin/env bash
# Builds the pages of `host serve` into host/pages/dist, where their sources changed. Where Node.js is missing they are left
# out, which is said loudly, and fails where CI is set.
set -euo pipefail
cd "$(dirname "$0")/../host/pages"

leave_out() {
    echo "WARNING: $1; host is built WITHOUT THE PAGES of host serve" >&2
    echo "hint: install Node.js 20.19 or newer with npm, then make again" >&2
    if [[ -n ${CI:-} ]]; then exit 1; fi
    exit 0
}
for tool in node npm; do command -v "$tool" > /dev/null || leave_out "$tool is missing"; done
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' ||
    leave_out "Node.js $(node --version) is too old to build them"

lock=$(cat package.json package-lock.json | openssl dgst -sha256 -r | cut -d' ' -f1)
if [[ "$(cat node_modules/.lock-hash 2> /dev/null)" != "$lock" ]]; then
    echo "installing what the pages are built with (about 10 s)"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || leave_out "npm could not install what they are built with"
    echo "$lock" > node_modules/.lock-hash
fi
sources() { find src public index.html ./*.ts tsconfig.json package-lock.json -type f | LC_ALL=C sort; }
hash=$(sources | while read -r file; do echo "$file"; cat "$file"; done | openssl dgst -sha256 -r | cut -d' ' -f1)
# An unchanged folder is left alone: cargo builds anew what embeds it.
if [[ -f dist/index.html && "$(cat node_modules/.dist-hash 2> /dev/null)" == "$hash" ]]; then exit 0; fi
echo "building the pages (about 3 s)"
npm run --silent build -- --logLevel warn
echo "$hash" > node_modules/.dist-hash
