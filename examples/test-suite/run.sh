#!/usr/bin/env bash
# The same command in a clean run, after a stranger was read, and with the operator's word.
cd "$(dirname "$0")"
. ../lib.sh

aecl init --example none --agent nobody --origin tests.example/aecl > /dev/null
rm -r "$work/aecl/policy"
cp -r policy project "$work/"
mv "$work/policy" "$work/aecl/policy"
sed -i "s|PROJECT|$work/project|" "$work/aecl/policy/actions/project.yaml"
# Only our own cages, so that it goes the same way on a machine with virtual machines.
sed -i 's|^sandbox: {}$|sandbox:\n  backends: [native]|' "$work/aecl/aecl.yaml"
starter=$(aecl keys add orchestrator starter --agent coder 2> /dev/null)
lea=$(aecl keys add person lea --group leads 2> /dev/null)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$AECL_BIN" --dir "$work/aecl" serve --listen "127.0.0.1:$port" 2> "$work/serve.log" &
started+=($!)
url=http://127.0.0.1:$port
until_ok curl --silent --fail "$url/readyz"

# On the socket it says what holds programs, over TCP only to operators and auditors.
healthz() { curl --silent --unix-socket "$work/aecl/data/aecl.sock" http://localhost/healthz; }
health=$(healthz)
available=$(field sandbox.backends.0.available <<< "$health")
if [ "$available" != True ]; then
  echo "skip: this machine has no cage: $(field sandbox.backends.0.reason <<< "$health")"
  exit 0
fi
expect "what is here" native "$(field sandbox.backends.0.tier <<< "$health")"

# post CREDENTIAL PATH BODY
post() {
  curl --silent --show-error "$url$2" -H "Authorization: Bearer $1" -H 'Content-Type: application/json' -d "$3"
}
token=$(post "$starter" /v1/runs '{"agent": "coder", "goal": "Run the test suite and fix what fails."}' | field token)
run_tests='{"action": "run_test_suite", "arguments": {}}'

answer=$(post "$token" /v1/actions "$run_tests")
expect "in a clean run the tests run" done "$(field state <<< "$answer")"
expect "and pass" 0 "$(field output.exit_code <<< "$answer")"
expect "the record names the cage" native: "$(aecl log show "$(field action <<< "$answer")" | grep -o '"sandbox": "native:' | cut -d'"' -f4)"

answer=$(post "$token" /v1/actions '{"action": "read_issue", "arguments": {}}')
expect "an issue is read" done "$(field state <<< "$answer")"
answer=$(post "$token" /v1/actions "$run_tests")
expect "now they need a virtual machine, which is not here" sandbox_unavailable "$(field code <<< "$answer")"
echo "     $(field message <<< "$answer")"

# The operator accepts less for now, and says why.
lower='accept_lower_tier: native\n  reason: no machine with KVM before March'
sed -i "s|^  backends: \[native\]$|&\n  $lower|" "$work/aecl/aecl.yaml"
accepted() { healthz | grep -q '"accept_lower_tier":"native"'; }
until_ok accepted
answer=$(post "$token" /v1/actions "${run_tests%\}}, \"resume\": true}")
expect "somebody is asked" pending "$(field state <<< "$answer")"
approval=$(field approval.id <<< "$answer")
action=$(field action <<< "$answer")
card=$(AECL_KEY=$lea aecl approvals show "$approval")
grep '  held ' <<< "$card"
post "$lea" "/v1/approvals/$approval/approve" '{"reason": "I have read the issue"}' > /dev/null
answer=$(curl --silent "$url/v1/actions/$action?wait_s=10" -H "Authorization: Bearer $token")
expect "after the yes they run" done "$(field state <<< "$answer")"
aecl log show "$action" | grep -o '`microvm` was asked for, and the operator accepts less' | head -1
aecl log verify > /dev/null 2>&1
expect "the record verifies" 0 $?
