"""The program around the agent: opens a run whose goal is the user's prompt, calls tools, gets people's answers."""

import contextlib
from dataclasses import dataclass

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

TIMEOUT_S = 60
# More people than any single call may need.
VOTES_MAX = 4


class Program:
    """One AECL, an orchestrator that opens runs, an MCP client per agent, and people who answer."""

    def __init__(self, url, orchestrator, people):
        self.url, self.orchestrator, self.people = url, orchestrator, people
        self.token = orchestrator

    @contextlib.asynccontextmanager
    async def open(self, agents):
        """The clients stay; what changes from run to run is the token that each request carries."""
        async with contextlib.AsyncExitStack() as stack:
            self.http = await stack.enter_async_context(httpx2.AsyncClient(base_url=self.url, timeout=TIMEOUT_S))
            self.clients = {}
            for agent in agents:
                hooks = {"request": [self._carry_token]}
                http = await stack.enter_async_context(httpx2.AsyncClient(event_hooks=hooks, timeout=TIMEOUT_S))
                transport = streamable_http_client(f"{self.url}/mcp/{agent}", http_client=http)
                client = Client(transport, mode="auto", read_timeout_seconds=TIMEOUT_S)
                self.clients[agent] = await stack.enter_async_context(client)
                await self.clients[agent].list_tools()
            yield self

    async def _carry_token(self, request):
        request.headers["authorization"] = f"Bearer {self.token}"

    async def _post(self, path, key, body):
        answer = await self.http.post(path, json=body, headers={"authorization": f"Bearer {key}"})
        said = answer.json()
        if answer.status_code >= 300:
            raise RuntimeError(f"POST {path}: {answer.status_code} {said}")
        return said

    @contextlib.asynccontextmanager
    async def run(self, agent, goal):
        opened = await self._post("/v1/runs", self.orchestrator, {"agent": agent, "goal": goal, "user": "emma"})
        self.token = opened["token"]
        try:
            yield Run(self, self.clients[agent])
        finally:
            self.token = self.orchestrator
            await self._post(f"/v1/runs/{opened['run']}/close", self.orchestrator, {"reason": "done"})

    async def answer(self, approval, yes, votes):
        verb, person = ("approve" if yes else "reject"), self.people[votes % len(self.people)]
        confirm = await self.ends(approval) if yes else []
        await self._post(f"/v1/approvals/{approval}/{verb}", person, {"reason": "the test says so", "confirm": confirm})

    async def ends(self, approval):
        """What somebody types who says yes to everything: the end of each destination that is asked about."""
        headers = {"authorization": f"Bearer {self.people[0]}"}
        request = (await self.http.get(f"/v1/approvals/{approval}", headers=headers)).json()
        ends = []
        for typed in request.get("confirm", []):
            value = request["arguments"]
            for step in typed["at"].split("/")[1:]:
                value = value[int(step) if isinstance(value, list) else step.replace("~1", "/").replace("~0", "~")]
            text = "".join(str(value).split())
            ends.append((text.rsplit(".", 1)[0] if "dot" in typed["what"] else text)[-4:])
        return ends

    async def reasons(self, approval):
        """What the person sees as the reasons for being asked."""
        answer = await self.http.get(f"/v1/approvals/{approval}", headers={"authorization": f"Bearer {self.people[0]}"})
        findings = answer.json()["decision"]["findings"]
        return "; ".join(f"{finding['code']}: {finding['message']}" for finding in findings)


class Run:
    def __init__(self, program, client):
        self.program, self.client = program, client

    async def call(self, name, arguments, says_yes):
        # The votes by request for approval.
        asked, why = {}, ""
        for _ in range(VOTES_MAX):
            result = await self.client.call_tool(name, arguments)
            ours = (result.meta or {}).get("aecl")
            if ours is None:
                return Came("failed", asked, str(result.content)) if result.is_error else Came("done", asked, why)
            if ours["status"] != "pending":
                return Came(ours["status"], asked, f"{ours.get('code')}: {ours.get('reason')}")
            approval = ours["approval_id"]
            if approval not in asked:
                why = await self.program.reasons(approval)
            votes = asked.setdefault(approval, 0)
            await self.program.answer(approval, says_yes, votes)
            asked[approval] += 1
            if not says_yes:
                return Came("rejected", asked, why)
        return Came("undecided", asked, why)


@dataclass
class Came:
    """What came of a call: `done`, `failed` at the tool, or how AECL stopped it; who was asked; why."""

    how: str
    asked: dict
    why: str = ""
