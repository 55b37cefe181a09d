#!/usr/bin/env bash
# Floods a running popfleet server and proves that nothing was lost; `scripts/load.sh --help` shows the options.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# Talk of the build goes to stderr: stdout belongs to the summary.
if [[ ! -f "$root/dist/cli.js" ]]; then
  (cd "$root" && node scripts/setup.mjs) >&2
fi

exec node "$root/dist/cli.js" load "$@"
