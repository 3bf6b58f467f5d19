#!/usr/bin/env bash
# Builds the example rules in JavaScript and Python into a folder, as javascript-rule.wasm and python-rule.wasm, if they
# or the contract changed. Installs their tools into .cache/javascript and .cache/python, in the pinned versions.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "error: $1" >&2; echo "hint: $2" >&2; exit 1; }
[[ $# == 1 ]] ||
    fail "expected one argument, the folder for the components" "scripts/foreign-rules.sh target/test-plugins"
for tool in npm python3; do
    command -v "$tool" > /dev/null ||
        fail "cannot build the example rules: $tool is not installed" \
            "install Node.js 20 or newer and Python 3.10 or newer"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "cannot build the example rules: $(python3 --version) is too old for componentize-py" \
        "install Python 3.10 or newer"
mkdir -p "$1"
output=$(cd "$1" && pwd)
wit=wit/plugin.wit

hash_of() { cat "$@" | openssl dgst -sha256 -r | cut -d' ' -f1; }
# Whether a file was built from these inputs. `FILE.inputs` contains their hash.
is_current() { [[ -e $1 && "$(cat "$1.inputs" 2> /dev/null)" == "$(hash_of "${@:2}")" ]]; }
mark_current() { hash_of "${@:2}" > "$1.inputs"; }

javascript=examples/javascript-rule
install_javascript_tools() {
    local folder=.cache/javascript
    is_current $folder/node_modules $javascript/package{,-lock}.json && return
    echo "installing componentize-js into $folder (213 MB)"
    mkdir -p $folder
    cp $javascript/package{,-lock}.json $folder
    npm ci --prefix $folder --ignore-scripts --no-audit --no-fund --loglevel=error ||
        fail "cannot install componentize-js: npm ci failed" \
            "check that npm can reach its registry, then run this again"
    mark_current $folder/node_modules $javascript/package{,-lock}.json
}

python=examples/python-rule
install_python_tools() {
    local folder=.cache/python pip=python3
    is_current $folder/packages $python/requirements.txt && return
    echo "installing componentize-py into $folder (47 MB)"
    rm -rf $folder
    # Debian's Python may lack venv. Then the system's pip is used, if there is one.
    if python3 -m venv $folder/venv > /dev/null 2>&1; then pip=$folder/venv/bin/python; fi
    PIP_ROOT_USER_ACTION=ignore "$pip" -m pip install --quiet --disable-pip-version-check \
        --target $folder/packages -r $python/requirements.txt ||
        fail "cannot install componentize-py: pip failed" \
            "install pip (apt install python3-venv) and check that it can reach its index"
    mark_current $folder/packages $python/requirements.txt
}

component=$output/javascript-rule.wasm
inputs=("$wit" "$javascript"/{rule.js,package.json,package-lock.json} scripts/foreign-rules.sh)
if ! is_current "$component" "${inputs[@]}"; then
    install_javascript_tools
    echo "building $component (about 15 s)"
    PATH=$PWD/.cache/javascript/node_modules/.bin:$PATH \
        npm run --silent --prefix $javascript build -- --out "$component.part"
    mv "$component.part" "$component"
    mark_current "$component" "${inputs[@]}"
fi

component=$output/python-rule.wasm
inputs=("$wit" "$python"/{rule.py,requirements.txt} scripts/foreign-rules.sh)
if ! is_current "$component" "${inputs[@]}"; then
    install_python_tools
    echo "building $component (about 10 s)"
    # Builds from a copy, since the build leaves a `__pycache__` folder next to the rule.
    rm -rf .cache/python/rule && mkdir .cache/python/rule && cp $python/rule.py .cache/python/rule
    PYTHONPATH=.cache/python/packages python3 .cache/python/packages/bin/componentize-py --quiet --wit-path "$wit" \
        --world rule-plugin componentize --stub-wasi --python-path .cache/python/rule rule --output "$component.part"
    mv "$component.part" "$component"
    mark_current "$component" "${inputs[@]}"
fi
