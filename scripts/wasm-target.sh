#!/usr/bin/env bash
# Installs the target wasm32-unknown-unknown: with rustup or, if rustup cannot download it, by compiling the standard
# library from Debian's rust-src package of the same version as the compiler.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
# rustup installs the pinned toolchain on first use, unless automatic installation is off.
rustc --version > /dev/null 2>&1 || { echo "installing the Rust toolchain"; rustup toolchain install; }
library_folder() { echo "$(rustc --print sysroot)/lib/rustlib/$target/lib"; }
is_installed() { compgen -G "$(library_folder)/libstd-*.rlib" > /dev/null; }
if is_installed; then exit 0; fi

echo "installing the target $target"
if command -v rustup > /dev/null && rustup target add "$target" && is_installed; then exit 0; fi

version=$(rustc --version | cut -d' ' -f2)
echo "rustup cannot install it: compiling the standard library from Debian's rust-src $version (about 75 s)"
fail() {
    echo "error: cannot install the target $target: $1" >&2
    echo "hint: run 'rustup target add $target' with access to the Rust distribution server" >&2
    exit 1
}
command -v dpkg > /dev/null || fail "dpkg, which unpacks Debian's rust-src, is not installed"
mirror=$(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2> /dev/null | grep -E '/debian/?$' | head -n 1)
[[ -n $mirror ]] || fail "the apt sources contain no Debian mirror"
cache=$PWD/.cache/rust-src-$version
mkdir -p "$cache"
for suite in trixie-backports trixie sid bookworm-backports; do
    index=$mirror/dists/$suite/main/binary-all/Packages.xz
    path=$(curl -fsSL "$index" 2> /dev/null | xz -dc 2> /dev/null | awk -v version="$version" '
        /^Package: / { package = $2 } /^Version: / { found = index($2, version "+") == 1 || index($2, version "-") == 1 }
        /^Filename: / && package ~ /^rust(-[0-9.]+)?-src$/ && found { print $2; exit }' || true)
    [[ -z $path ]] || break
done
[[ -n ${path:-} ]] || fail "Debian has no rust-src $version"
curl -fsSL "$mirror/$path" -o "$cache/rust-src.deb" || fail "the download of rust-src failed"
dpkg -x "$cache/rust-src.deb" "$cache/unpacked"
source=$(find "$cache/unpacked" -type d -path '*/library' -prune | head -n 1)
[[ -n $source ]] || fail "rust-src has no folder named library"
root=$(rustc --print sysroot)/lib/rustlib
mkdir -p "$root/src/rust" "$(library_folder)"
ln -sfn "$source" "$root/src/rust/library"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2024"\n[lib]\ncrate-type = ["cdylib"]\n' > "$work/Cargo.toml"
touch "$work/src/lib.rs"
( cd "$work" && RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$work/target" \
    cargo build --release -Zbuild-std=std,panic_abort --target "$target" ) || fail "its standard library did not compile"
# Copy only if the libraries are still missing: two copies of one make every build fail with E0464.
is_installed || find "$work/target/$target/release/deps" -name '*.rlib' ! -name 'libempty*' -exec cp {} "$(library_folder)" \;
is_installed || fail "the build produced no standard library"
