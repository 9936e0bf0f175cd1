// A certified OpenID provider (npm oidc-provider) with one client and people who need no password: its own pages of
// development ask for a login, and for consent. Arguments: the redirect URI. Prints its issuer as one JSON line.
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import Provider from "oidc-provider";

const redirect = process.argv[2];
const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: "headwater", client_secret: "a secret of the client", redirect_uris: [redirect],
    token_endpoint_auth_method: "client_secret_post",
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, email: `${id}@example.org`, email_verified: true, name: `${id} of the provider`, preferred_username: id,
    }),
  }),
});
server.on("request", provider.callback());
console.log(JSON.stringify({ issuer }));
await new Promise((done) => createInterface({ input: process.stdin }).once("close", done));
server.close();
server.closeAllConnections();
