#!/usr/bin/env bash
# Makes sure that this toolchain can compile for wasm32-unknown-unknown: by rustup where that works, else from the
# standard library's sources in Debian's package of exactly this compiler's version.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
# The pinned toolchain installs itself on most machines; here for those where automatic installs are off.
rustc --version > /dev/null 2>&1 || { echo "installing the Rust toolchain"; rustup toolchain install; }
library() { echo "$(rustc --print sysroot)/lib/rustlib/$target/lib"; }
present() { compgen -G "$(library)/libstd-*.rlib" > /dev/null; }
if present; then exit 0; fi

echo "installing the target $target"
if command -v rustup > /dev/null && rustup target add "$target" && present; then exit 0; fi

version=$(rustc --version | cut -d' ' -f2)
echo "rustup cannot: building the target's standard library from Debian's rust-src $version (about 75 s)"
fail() {
    echo "error: the target $target is missing: $1" >&2
    echo "hint: on a machine that reaches the Rust distribution server: rustup target add $target" >&2
    exit 1
}
command -v dpkg > /dev/null || fail "dpkg is not here to unpack Debian's rust-src"
mirror=$(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null | grep -E '/debian/?$' | head -n 1)
[[ -n $mirror ]] || fail "apt names no Debian mirror"
cache=$PWD/.cache/rust-src-$version
mkdir -p "$cache"
for suite in trixie-backports trixie sid bookworm-backports; do
    index=$mirror/dists/$suite/main/binary-all/Packages.xz
    path=$(curl -fsSL "$index" 2> /dev/null | xz -dc 2> /dev/null | awk -v version="$version" '
        /^Package: / { package = $2 } /^Version: / { found = index($2, version "+") == 1 || index($2, version "-") == 1 }
        /^Filename: / && package ~ /^rust(-[0-9.]+)?-src$/ && found { print $2; exit }' || true)
    [[ -z $path ]] || break
done
[[ -n ${path:-} ]] || fail "no rust-src $version in Debian's suites"
curl -fsSL "$mirror/$path" -o "$cache/rust-src.deb" || fail "rust-src did not come"
dpkg -x "$cache/rust-src.deb" "$cache/unpacked"
source=$(find "$cache/unpacked" -type d -path '*/library' -prune | head -n 1)
[[ -n $source ]] || fail "rust-src holds no library folder"
root=$(rustc --print sysroot)/lib/rustlib
mkdir -p "$root/src/rust" "$(library)"
ln -sfn "$source" "$root/src/rust/library"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2024"\n[lib]\ncrate-type = ["cdylib"]\n' > "$work/Cargo.toml"
touch "$work/src/lib.rs"
( cd "$work" && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" \
    cargo build --release -Zbuild-std=std,panic_abort --target "$target" ) || fail "its standard library did not build"
# Two copies of a library make every build fail with E0464: only into an empty folder.
present || find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libempty*' -exec cp {} "$(library)" \;
present || fail "nothing was built"
