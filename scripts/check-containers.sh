#!/usr/bin/env bash
# Builds the image, looks at what is in it, and runs compose.yaml with 3 and with 5 workers: tasks that are sent
# over HTTP must come back with their results, and every process must end cleanly when it is stopped.
# Takes a minute or two, and leaves nothing behind but the cache of the build.
set -euo pipefail
cd "$(dirname "$0")/.."

for program in podman podman-compose curl; do
  command -v "$program" >/dev/null || { echo "skipped: $program is not installed"; exit 0; }
done

# Names and a port of its own, so that a fleet which runs from the same file is left alone.
project=popfleet-check-$$
unset API_KEYS ALLOW_ANONYMOUS QUEUES
export POPFLEET_IMAGE=localhost/$project PORT=$((20000 + RANDOM % 10000)) TASK_DURATION_MS=200
base=http://127.0.0.1:$PORT
ours=(--filter "label=com.docker.compose.project=$project")
log=$(mktemp)

main() {
  trap clean_up EXIT
  step "building the image"
  quietly podman build -t "$POPFLEET_IMAGE" -f Containerfile .
  check_image
  check_fleet 3
  check_fleet 5
  step "all passed"
}

check_image() {
  step "looking into the image"
  # The entry point is node, so node itself looks around: there is nothing else in the image that could.
  podman run --rm -i "$POPFLEET_IMAGE" - <<'JS'
    const { existsSync, readdirSync, readFileSync, statSync } = require('node:fs');
    const faults = [];
    if (process.getuid() === 0) faults.push('it runs as root');
    for (const folder of ['/bin', '/usr/bin', '/busybox', '/usr/local/bin']) {
      for (const shell of ['sh', 'bash', 'dash', 'busybox']) {
        if (existsSync(`${folder}/${shell}`)) faults.push(`it has a shell: ${folder}/${shell}`);
      }
    }
    for (const name of Object.keys(JSON.parse(readFileSync('package.json', 'utf8')).devDependencies)) {
      if (existsSync(`node_modules/${name}`)) faults.push(`it has a development package: ${name}`);
    }
    const bytes = readdirSync('.', { recursive: true }).reduce((sum, path) => sum + statSync(path).size, 0);
    if (bytes > 50e6) faults.push('it carries more than 50 MB beside the runtime');
    console.log(`   ${(bytes / 1e6).toFixed(1)} MB beside the runtime`);
    for (const fault of faults) console.log(`   fault: ${fault}`);
    process.exitCode = faults.length;
JS
  echo "   $(($(podman image inspect --format '{{.Size}}' "$POPFLEET_IMAGE") / 1000000)) MB in all"
}

check_fleet() {
  local workers=$1
  step "a fleet of $workers workers"
  # Both ways to say how many: podman-compose before 1.4 ignores --scale.
  WORKERS=$workers quietly compose up -d --scale "worker=$workers"
  eventually curl -sf "$base/readyz"
  equal "# Protocol" "$(curl -sf "$base/docs/protocol.md" | sed -n 1p)" "first line of a document"
  equal "$workers" "$(podman ps -q "${ours[@]}" --filter label=com.docker.compose.service=worker | wc -l)" "workers that run"
  check_tasks
  check_server
  # shellcheck disable=SC2046 # container ids have no spaces
  quietly podman stop -t 35 $(podman ps -q "${ours[@]}")
  equal $((workers + 2)) "$(podman ps -aq "${ours[@]}" --filter exited=0 | wc -l)" "processes that ended without an error"
  WORKERS=$workers quietly compose down -v
}

check_tasks() {
  local ids=() id record used
  for _ in {1..20}; do
    id=$(curl -sS --fail-with-body "$base/add" -H 'content-type: application/json' -d '{"one":1,"two":2}' | field id)
    ids+=("$id")
  done
  : >"$log"
  for id in "${ids[@]}"; do
    record=$(curl -sS --fail-with-body "$base/v1/tasks/$id?wait=30")
    equal succeeded "$(field state <<<"$record")" "state of task $id"
    equal 3 "$(field result <<<"$record")" "result of task $id"
    field worker <<<"$record" >>"$log"
  done
  used=$(sort -u "$log" | wc -l)
  echo "   ${#ids[@]} tasks succeeded, shared by $used workers"
  [ "$used" -gt 1 ]
}

# What compose.yaml and docs/operations.md run in the container of the server: `node`, as in any image with Node. Not by `podman healthcheck`,
# as podman-compose 1.0 puts a shell before the words of the check.
check_server() {
  local server words
  server=$(podman ps -q "${ours[@]}" --filter label=com.docker.compose.service=server)
  mapfile -t words < <(sed -nE '/^  server:/,/^  worker:/{/- CMD$/,/interval:/s/^ +- //p}' compose.yaml | sed 1d)
  equal node "${words[0]}" "program of the health check"
  quietly podman exec "$server" "${words[@]}"
  quietly podman exec "$server" node dist/cli.js status
}

compose() { podman-compose -p "$project" -f compose.yaml "$@"; }

step() { echo "-- $*"; }

# What a tool says is only interesting when it fails.
quietly() { "$@" >"$log" 2>&1 || { cat "$log"; return 1; }; }

eventually() {
  for _ in {1..120}; do
    "$@" >/dev/null && return
    sleep 0.5
  done
  echo "gave up waiting for: $*"
  return 1
}

# The value of a field of a flat JSON object on standard input.
field() { sed -nE "s/.*\"$1\":\"?([^\",}]*).*/\1/p"; }

equal() { [ "$1" = "$2" ] || { echo "$3: expected $1, got $2"; return 1; }; }

clean_up() {
  local status=$? id
  if [ "$status" -ne 0 ]; then
    for id in $(podman ps -aq "${ours[@]}"); do
      podman inspect --format '-- {{.Name}}: {{.State.Status}} {{.State.ExitCode}}' "$id"
      podman logs --tail 20 "$id" 2>&1
    done
  fi
  WORKERS=5 compose down -v >/dev/null 2>&1 || true
  podman ps -aq "${ours[@]}" | xargs -r podman rm -f >/dev/null 2>&1 || true
  podman network rm -f "${project}_default" >/dev/null 2>&1 || true
  podman image rm -f "$POPFLEET_IMAGE" >/dev/null 2>&1 || true
  rm -f "$log"
  exit "$status"
}

main
