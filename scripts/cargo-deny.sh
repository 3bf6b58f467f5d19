#!/usr/bin/env bash
# Checks licenses, sources and advisories of all dependencies with cargo-deny, which it installs into .cache/cargo-deny in
# the pinned version. What needs a network is skipped with a warning where there is none, or fails if CI is set.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
folder=.cache/cargo-deny

skip() {
    if [[ -n ${CI:-} ]]; then echo "error: $1" >&2; exit 1; fi
    echo "warning: $1" >&2
    exit 0
}
if [[ "$("$folder/bin/cargo-deny" --version 2> /dev/null)" != "cargo-deny $version" ]]; then
    echo "installing cargo-deny $version into $folder (about 5 minutes on 2 cores)"
    cargo install --quiet --locked --root "$folder" --target-dir "$folder/target" "cargo-deny@$version" ||
        skip "licenses, sources and advisories were not checked: cargo-deny $version could not be installed"
    rm -rf "$folder/target"
fi
deny() { "$folder/bin/cargo-deny" --log-level warn "$@"; }
deny check bans licenses sources
deny fetch db || skip "advisories were not checked: their database could not be fetched"
deny check --disable-fetch advisories
