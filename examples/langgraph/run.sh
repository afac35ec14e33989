#!/usr/bin/env bash
# An agent of LangChain whose transfer waits for a person, and is made by another process after the yes.
cd "$(dirname "$0")"
. ../lib.sh

python=${PYTHON:-$root/.cache/peers/frameworks/bin/python}
if ! "$python" -c 'import langchain, langgraph.checkpoint.sqlite' 2> /dev/null; then
  echo "skip: LangChain is not installed; hint: \`cargo xtask test --only frameworks\` installs it, or set PYTHON"
  exit 0
fi

aecl init --example finance --origin finance.example/aecl > /dev/null
mkdir "$work/agent"
touch "$work/agent/book"
agent() { PYTHONPATH=$root/sdk/python/src AECL_BIN=$AECL_BIN AECL_DIR=$work/aecl "$python" agent.py "$work/agent"; }

held=$(agent)
# The library has started it, and it would end by itself ten minutes after the last question.
started+=("$(cat "$work/aecl/data/lock")")
expect "the transfer waits for a person" held "${held%% *}"
expect "nothing was transferred" "" "$(cat "$work/agent/book")"
expect "an approve of the framework alone is none" "$held" "$(agent)"

aecl approvals approve "${held#* }" > /dev/null
expect "after the yes another process goes on" 'ended The model has read: {"id": "tr-1"}' "$(agent)"
expect "it was transferred once" "950.00 EUR to vendor-7" "$(cat "$work/agent/book")"
aecl log verify > /dev/null 2>&1
expect "the record verifies" 0 $?
