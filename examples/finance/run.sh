#!/usr/bin/env bash
# An agent and an approver with nothing but curl, in front of a payments service.
cd "$(dirname "$0")"
. ../lib.sh

# A company: its database, and a payments service with a key of its own.
mkdir "$work/world"
sqlite3 "$work/world/company.db" < company.sql
head -c 24 /dev/urandom | base64 > "$work/payments.key"
"$AECL_BIN" demo-payments --book "$work/world/payments.db" --key-file "$work/payments.key" \
  --listen 127.0.0.1:0 > "$work/payments.address" &
started+=($!)
until_ok grep -q : "$work/payments.address"

# AECL in front of it, with the policy of this directory and only the places filled in.
aecl init --example none --agent nobody --origin finance.example/aecl > /dev/null
rm -r "$work/aecl/policy"
cp -r policy "$work/aecl/policy"
sed -i "s|127.0.0.1:7601|$(cat "$work/payments.address")|; s|world/company.db|$work/world/company.db|" \
  "$work"/aecl/policy/actions/*.yaml
starter=$(aecl keys add orchestrator starter --agent finance_agent_v2 2> /dev/null)
priya=$(aecl keys add person priya --group finance_leads 2> /dev/null)
"$AECL_BIN" policy check policy > /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PAYMENTS_KEY=$(cat "$work/payments.key") "$AECL_BIN" --dir "$work/aecl" serve --listen "127.0.0.1:$port" 2> "$work/serve.log" &
started+=($!)
url=http://127.0.0.1:$port
until_ok curl --silent --fail "$url/readyz"

# post CREDENTIAL PATH BODY
post() {
  curl --silent --show-error "$url$2" -H "Authorization: Bearer $1" -H 'Content-Type: application/json' -d "$3"
}

# The program that starts the agent opens a run, and the agent gets its token.
run='{"agent": "finance_agent_v2", "goal": "Clear the inbox of accounts payable.", "user": "arjun"}'
token=$(post "$starter" /v1/runs "$run" | field token)

answer=$(post "$token" /v1/actions '{"action": "read_inbox", "arguments": {"folder": "inbox"}}')
expect "reading is allowed" done "$(field state <<< "$answer")"

pay='{"action": "transfer_funds", "idempotency_key": "pay-INV-884", "resume": true,
      "arguments": {"vendor_id": "V-221", "amount": 100000, "currency": "INR", "invoice_id": "INV-884"}}'
answer=$(post "$token" /v1/actions "$pay")
expect "paying waits for a person" pending "$(field state <<< "$answer")"
action=$(field action <<< "$answer")
approval=$(field approval.id <<< "$answer")

answer=$(post "$token" "/v1/approvals/$approval/approve" '{}')
expect "the agent does not answer itself" forbidden "$(field code <<< "$answer")"
# Only the mail named the vendor, so a yes is typed: the end of where the money goes.
answer=$(post "$priya" "/v1/approvals/$approval/approve" '{"reason": "checked against INV-884"}')
expect "a yes without a look is none" confirmation_wanted "$(field code <<< "$answer")"
answer=$(post "$priya" "/v1/approvals/$approval/approve" '{"reason": "checked against INV-884", "confirm": ["-221"]}')
answer=$(curl --silent "$url/v1/actions/$action?wait_s=10" -H "Authorization: Bearer $token")
expect "after the yes it is done" done "$(field state <<< "$answer")"
answer=$(post "$token" /v1/actions "$pay")
expect "the same again is only told" True "$(field replayed <<< "$answer")"
expect "one transfer is in the book" 1 "$(sqlite3 "$work/world/payments.db" 'SELECT count(*) FROM transfers')"

answer=$(post "$token" /v1/actions '{"action": "delete_record", "arguments": {"invoice_id": "INV-884"}}')
expect "deleting is refused" action_blocked "$(field code <<< "$answer")"

aecl rollback "$action" --reason "paid twice" > /dev/null
expect "the transfer is called back" 1 "$(sqlite3 "$work/world/payments.db" 'SELECT count(*) FROM reversals')"
aecl log verify > /dev/null 2>&1
expect "the record verifies" 0 $?
