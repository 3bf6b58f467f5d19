#!/usr/bin/env bash
# Downloads DuckDB's official shared library of the pinned version to .cache/duckdb, from its npm package.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.5.5-r.5
folder=.cache/duckdb
case "$(uname -s)-$(uname -m)" in
    Linux-x86_64)  platform=linux-x64;    file=libduckdb.so
        integrity=sha512-kCyq6BXhn6QXfwF8yVdVKriSSHP+rfVWcJ56cG8qZzlOZpxyvT5WGm6jMshxg4ditLlOsHsIN/D47RYrcjXuHQ== ;;
    Linux-aarch64) platform=linux-arm64;  file=libduckdb.so
        integrity=sha512-CafH2AIvXtpwDynG3KB/4uEOHRGlFoB7auCRMIwH3BKNIobsANV5LSpDJ3tfyRCFIsK6e8AT1eseWVnu2Dv3cw== ;;
    Darwin-arm64)  platform=darwin-arm64; file=libduckdb.dylib
        integrity=sha512-WJdeLTFy4pRg60rkbp9smtlP1iIQ8ErtIJkxS+2LQtM1ZZMSByyW+3WPpNoKe7IwPtVl2fLlPw7tDmQW4Z974g== ;;
    Darwin-x86_64) platform=darwin-x64;   file=libduckdb.dylib
        integrity=sha512-rN0KjX13MwVQ5V5ufykolty/tf4SaafOpGWcUA1Cegf98jPeRdsJsEE1IMXn8n3u6WvMSZEVJmHJ3ma4Hr7Vzg== ;;
    *) echo "error: no prebuilt DuckDB library: $(uname -sm) is not supported" >&2
       echo "hint: compile DuckDB instead: cargo build --release --features bundled (about 45 minutes on 2 cores)" >&2; exit 1 ;;
esac
if [[ -f $folder/$file && "$(cat "$folder/version" 2>/dev/null)" == "$version" ]]; then exit 0; fi

echo "downloading DuckDB's library $version for $platform"
command -v npm > /dev/null || {
    echo "error: cannot download DuckDB's library: npm is not installed" >&2
    echo "hint: install Node.js, or compile DuckDB: cargo build --release --features bundled (about 45 minutes on 2 cores)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
( cd "$work" && npm pack --silent "@duckdb/node-bindings-$platform@$version" > name )
package=$work/$(cat "$work/name")
actual=sha512-$(openssl dgst -sha512 -binary "$package" | openssl base64 -A)
if [[ $actual != "$integrity" ]]; then
    echo "error: DuckDB's package @duckdb/node-bindings-$platform@$version has the hash $actual: expected $integrity" >&2; exit 1
fi
tar -xzf "$package" -C "$work"
mkdir -p "$folder"
cp "$work/package/$file" "$folder/$file.part" && mv "$folder/$file.part" "$folder/$file"
echo "$version" > "$folder/version"
