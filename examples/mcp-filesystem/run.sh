#!/usr/bin/env bash
# AECL in front of an MCP server of somebody else: reading passes, writing waits for a person.
cd "$(dirname "$0")"
. ../lib.sh

server=${MCP_FILESYSTEM:-$root/.cache/peers/node/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js}
if [ ! -e "$server" ]; then
  echo "skip: the server is not installed; hint: \`cargo xtask test --only peers\` installs it, or set MCP_FILESYSTEM"
  exit 0
fi

mkdir "$work/files"
echo "hello from a file" > "$work/files/read.txt"
aecl init --agent assistant --origin files.example/aecl > /dev/null
# So that nobody waits half a minute for a person who is a script.
sed -i 's/hold_ms: .*/hold_ms: 500/' "$work/aecl/aecl.yaml"

# In an MCP client's configuration this command stands in place of `node SERVER DIR`.
client() {
  python3 client.py "$AECL_BIN" --dir "$work/aecl" mcp --agent assistant --server filesystem --embedded -- \
    node "$server" "$work/files" 2> "$work/mcp.log" | tee "$work/answers"
}
line() { sed -n "$1p" "$work/answers" | cut -f "$2"; }

read=$(printf '{"name": "read_text_file", "arguments": {"path": "%s/files/read.txt"}}' "$work")
write=$(printf '{"name": "write_file", "arguments": {"path": "%s/files/note.txt", "content": "one"}}' "$work")
printf '%s\n%s\n' "$read" "$write" | client > /dev/null
expect "the client sees the server's tools" tools "$(line 1 1)"
expect "reading passes" "hello from a file" "$(line 2 2)"
expect "writing is held" error "$(line 3 1)"
expect "nothing was written" no "$([ -e "$work/files/note.txt" ] && echo yes || echo no)"
echo "     the model is told: $(line 3 2 | cut -c 1-150)…"

approval=$(aecl --json approvals list | field approvals.0.id)
aecl approvals approve "$approval" > /dev/null
printf '%s\n' "$write" | client > /dev/null
expect "the same call after a yes is done" done "$(line 2 1)"
expect "the file is there" one "$(cat "$work/files/note.txt")"
printf '%s\n' "$write" | client > /dev/null
expect "the yes was for one time" error "$(line 2 1)"
aecl log verify > /dev/null 2>&1
expect "the record verifies" 0 $?
