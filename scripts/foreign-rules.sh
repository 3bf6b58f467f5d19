#!/usr/bin/env bash
# Builds the example rules of other languages into a folder, as javascript-rule.wasm and python-rule.wasm, where they or
# the contract changed. Their tools go into .cache/javascript and .cache/python, in the versions that the examples pin.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "error: $1" >&2; echo "hint: $2" >&2; exit 1; }
[[ $# == 1 ]] || fail "no folder for the components" "scripts/foreign-rules.sh target/test-plugins"
for tool in npm python3; do
    command -v "$tool" > /dev/null ||
        fail "$tool is missing; it builds the example rules" "install Node.js 20 and Python 3.10, or newer"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$(python3 --version) is too old for componentize-py" "install Python 3.10 or newer"
mkdir -p "$1"
output=$(cd "$1" && pwd)
wit=wit/plugin.wit

hash_of() { cat "$@" | openssl dgst -sha256 -r | cut -d' ' -f1; }
# Whether a file was made from these inputs: `FILE.inputs` beside it holds their hash.
current() { [[ -e $1 && "$(cat "$1.inputs" 2> /dev/null)" == "$(hash_of "${@:2}")" ]]; }
done_from() { hash_of "${@:2}" > "$1.inputs"; }

javascript=examples/javascript-rule
javascript_tools() {
    local folder=.cache/javascript
    current $folder/node_modules $javascript/package{,-lock}.json && return
    echo "installing componentize-js into $folder (213 MB)"
    mkdir -p $folder
    cp $javascript/package{,-lock}.json $folder
    npm ci --prefix $folder --ignore-scripts --no-audit --no-fund --loglevel=error ||
        fail "componentize-js was not installed" "npm must reach its registry; run this again when it does"
    done_from $folder/node_modules $javascript/package{,-lock}.json
}

python=examples/python-rule
python_tools() {
    local folder=.cache/python pip=python3
    current $folder/packages $python/requirements.txt && return
    echo "installing componentize-py into $folder (47 MB)"
    rm -rf $folder
    # Debian's Python has no venv unless it is asked for; then pip itself, if that is there.
    if python3 -m venv $folder/venv > /dev/null 2>&1; then pip=$folder/venv/bin/python; fi
    PIP_ROOT_USER_ACTION=ignore "$pip" -m pip install --quiet --disable-pip-version-check \
        --target $folder/packages -r $python/requirements.txt ||
        fail "componentize-py was not installed" "pip must be there (apt install python3-venv) and reach its index"
    done_from $folder/packages $python/requirements.txt
}

component=$output/javascript-rule.wasm
inputs=("$wit" "$javascript"/{rule.js,package.json,package-lock.json} scripts/foreign-rules.sh)
if ! current "$component" "${inputs[@]}"; then
    javascript_tools
    echo "building $component (about 15 s)"
    PATH=$PWD/.cache/javascript/node_modules/.bin:$PATH \
        npm run --silent --prefix $javascript build -- --out "$component.part"
    mv "$component.part" "$component"
    done_from "$component" "${inputs[@]}"
fi

component=$output/python-rule.wasm
inputs=("$wit" "$python"/{rule.py,requirements.txt} scripts/foreign-rules.sh)
if ! current "$component" "${inputs[@]}"; then
    python_tools
    echo "building $component (about 10 s)"
    # From a copy: the build leaves a `__pycache__` beside the rule.
    rm -rf .cache/python/rule && mkdir .cache/python/rule && cp $python/rule.py .cache/python/rule
    PYTHONPATH=.cache/python/packages python3 .cache/python/packages/bin/componentize-py --quiet --wit-path "$wit" \
        --world rule-plugin componentize --stub-wasi --python-path .cache/python/rule rule --output "$component.part"
    mv "$component.part" "$component"
    done_from "$component" "${inputs[@]}"
fi
