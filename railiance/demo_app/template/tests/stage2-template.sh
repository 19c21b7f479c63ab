#!/bin/sh
# Shows what Stage 2 would install, without a cluster. Needs Helm on PATH.
set -eu
exec helm template @app_id@-canary charts/@app_id@ --namespace @namespace@ --values values/stage2-canary.yaml
