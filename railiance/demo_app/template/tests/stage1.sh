#!/bin/sh
# The contract and all values files must name the same image: otherwise what was checked is not what is deployed.
set -eu
digest=$(sed -n 's/^digest = "\(sha256:[0-9a-f]*\)"$/\1/p' railiance/app.toml)
test -n "$digest" || { echo "railiance/app.toml: no digest in [source]" >&2; exit 1; }
for file in values/stage1.yaml values/stage2-canary.yaml values/stage3-production.yaml; do
    grep -q "^  digest: $digest\$" "$file" || {
        echo "$file: image.digest is not $digest of railiance/app.toml; make them equal" >&2
        exit 1
    }
done
