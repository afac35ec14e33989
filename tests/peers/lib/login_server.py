"""An MCP server on the official Python SDK that wants a log-in, and gives the tokens for it.

Discovery, registration, PKCE, tokens and their checks are the SDK's; what is remembered stands here.
SIGUSR1 ends every token that was given out, SIGUSR2 whatever they are renewed with, too.

Usage: login_server.py PORT LIFE_S
"""

import secrets
import signal
import sys
import time

import uvicorn
from mcp.server.auth.provider import AccessToken, AuthorizationCode, RefreshToken, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthToken

PORT, LIFE_S = int(sys.argv[1]), int(sys.argv[2])
HERE = f"http://127.0.0.1:{PORT}"
SCOPES = ["notes"]


class Provider:
    """What was given out, in memory. Each refresh token counts once; a second use ends all."""

    def __init__(self):
        self.clients, self.codes, self.access, self.refresh, self.used = {}, {}, {}, {}, set()

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client):
        self.clients[client.client_id] = client

    async def authorize(self, client, asked):
        code = secrets.token_urlsafe(32)
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=asked.scopes or SCOPES,
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=asked.code_challenge,
            redirect_uri=asked.redirect_uri,
            redirect_uri_provided_explicitly=asked.redirect_uri_provided_explicitly,
            resource=asked.resource,
        )
        return construct_redirect_uri(str(asked.redirect_uri), code=code, state=asked.state)

    async def load_authorization_code(self, client, code):
        return self.codes.get(code)

    async def exchange_authorization_code(self, client, code):
        del self.codes[code.code]
        return self.give(client, code.scopes, code.resource)

    async def load_refresh_token(self, client, token):
        if token in self.used:
            print(f"a refresh token came a second time: {token[:8]}", flush=True)
            self.access.clear()
            self.refresh.clear()
        return self.refresh.get(token)

    async def exchange_refresh_token(self, client, token, scopes):
        del self.refresh[token.token]
        self.used.add(token.token)
        return self.give(client, scopes, token.resource)

    async def load_access_token(self, token):
        return self.access.get(token)

    async def revoke_token(self, token):
        self.access.clear()
        self.refresh.clear()
        print("given back", flush=True)

    def give(self, client, scopes, resource):
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        about = {"client_id": client.client_id, "scopes": scopes, "resource": resource}
        self.access[access] = AccessToken(token=access, expires_at=int(time.time()) + LIFE_S, **about)
        self.refresh[refresh] = RefreshToken(token=refresh, **about)

        return OAuthToken(
            access_token=access, token_type="Bearer", expires_in=LIFE_S, scope=" ".join(scopes), refresh_token=refresh
        )


provider = Provider()
server = MCPServer(
    "notes",
    auth_server_provider=provider,
    auth=AuthSettings(
        issuer_url=HERE,
        resource_server_url=f"{HERE}/mcp",
        required_scopes=SCOPES,
        validate_token_resource=True,
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=SCOPES, default_scopes=SCOPES),
        revocation_options=RevocationOptions(enabled=True),
    ),
)


@server.tool()
def list_notes() -> str:
    """Lists all notes."""
    return "one note"


def end_tokens(*_):
    provider.access.clear()


def end_all(*_):
    provider.access.clear()
    provider.refresh.clear()


app = server.streamable_http_app()
signal.signal(signal.SIGUSR1, end_tokens)
signal.signal(signal.SIGUSR2, end_all)
uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
