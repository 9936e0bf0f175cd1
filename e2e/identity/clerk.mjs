// Clerk's stand-in: serves the key set of an instance, mints session tokens and signs webhooks, and has Clerk's own
// library and Svix's say what they make of each. Prints one JSON line with the issuer, then the cases, and
// ends when its input does.
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import { verifyToken } from "@clerk/backend";
import { Webhook } from "svix";

const APP = "https://live.example";
const pair = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const [ours, stranger] = [pair(), pair()];
const jwk = { ...ours.publicKey.export({ format: "jwk" }), kid: "ins_1", use: "sig", alg: "RS256" };

const server = createServer((request, answer) => {
  // Where we look, and where Clerk's library does.
  if (!["/.well-known/jwks.json", "/v1/jwks"].includes(request.url)) return answer.writeHead(404).end();
  answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys: [jwk] }));
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const secret = `whsec_${Buffer.from("a key of some thirty-two letters").toString("base64")}`;
console.log(JSON.stringify({ issuer, secret, app: APP }));

const base64 = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const now = Math.floor(Date.now() / 1000);
const usual = {
  azp: APP, exp: now + 600, fva: [0, -1], iat: now, iss: issuer, nbf: now - 10, sid: "sess_1", sub: "user_1",
};
const v2 = { ...usual, v: 2, sts: "active", o: { id: "org_1", rol: "admin", slg: "acme" }, pla: "u:free", fea: "u:live" };

function token(claims, header = {}, key = ours.privateKey) {
  const message = `${base64({ alg: "RS256", cat: "cl_1", kid: "ins_1", typ: "JWT", ...header })}.${base64(claims)}`;
  return `${message}.${sign("sha256", Buffer.from(message), key).toString("base64url")}`;
}

function hmac() {
  const message = `${base64({ alg: "HS256", kid: "ins_1", typ: "JWT" })}.${base64(usual)}`;
  const pem = ours.publicKey.export({ format: "pem", type: "spki" });
  return `${message}.${createHmac("sha256", pem).update(message).digest("base64url")}`;
}

const good = token(v2);
const [head, , tail] = good.split(".");
const without = (name) => Object.fromEntries(Object.entries(usual).filter(([key]) => key !== name));
const cases = {
  "version 1": token(usual),
  "version 2": good,
  "not yet, by a little": token({ ...usual, nbf: now + 3 }),
  "over": token({ ...usual, exp: now - 60 }),
  "not yet": token({ ...usual, nbf: now + 600 }),
  "from the future": token({ ...usual, iat: now + 600 }),
  "no end": token(without("exp")),
  "no subject": token(without("sub")),
  "no party": token(without("azp")),
  "another party": token({ ...usual, azp: "https://evil.example" }),
  "alg none": `${base64({ alg: "none", kid: "ins_1", typ: "JWT" })}.${base64(usual)}.`,
  "alg HS256 with the public key": hmac(),
  "another key": token(usual, {}, stranger.privateKey),
  "another kid": token(usual, { kid: "ins_2" }),
  "another type": token(usual, { typ: "logout+jwt" }),
  "a payload that was not signed": `${head}.${base64({ ...v2, sub: "user_admin" })}.${tail}`,
  "no signature": `${good.split(".").slice(0, 2).join(".")}.`,
  "two parts": good.split(".").slice(0, 2).join("."),
  "nonsense": "a.b.c",
};

async function judge(text) {
  try {
    const claims = await verifyToken(text, { secretKey: "sk_test_any", apiUrl: issuer, authorizedParties: [APP] });
    return Boolean(claims.sub);
  } catch {
    return false;
  }
}

const tokens = [];
for (const [name, text] of Object.entries(cases)) tokens.push({ name, token: text, accepted: await judge(text) });

function webhook(name, id, type, data, { at = new Date(), change = (body) => body, key = secret } = {}) {
  const body = JSON.stringify({ type, object: "event", data });
  const headers = {
    "svix-id": id, "svix-timestamp": String(Math.floor(at.getTime() / 1000)),
    "svix-signature": new Webhook(key).sign(id, at, body),
  };
  const sent = change(body);
  let accepted = true;
  try {
    new Webhook(secret).verify(sent, headers);
  } catch {
    accepted = false;
  }
  return { name, headers, body: sent, accepted };
}

const user = {
  id: "user_hook", username: "hook", first_name: "Web", last_name: "Hook", updated_at: Date.now(),
  primary_email_address_id: "idn_1",
  email_addresses: [{ id: "idn_1", email_address: "hook@example.org", verification: { status: "verified" } }],
};
const off = (minutes) => new Date(Date.now() + minutes * 60_000);
const other = `whsec_${Buffer.from("another key of some length, too").toString("base64")}`;
const webhooks = [
  webhook("created", "msg_1", "user.created", user),
  webhook("the same again", "msg_1", "user.created", user),
  webhook("two minutes old", "msg_2", "user.updated", user, { at: off(-2) }),
  webhook("six minutes old", "msg_3", "user.updated", user, { at: off(-6) }),
  webhook("ten minutes ahead", "msg_4", "user.updated", user, { at: off(10) }),
  webhook("changed", "msg_5", "user.updated", user, { change: (body) => body.replace("Web", "Evil") }),
  webhook("another key", "msg_6", "user.deleted", { id: "user_hook" }, { key: other }),
];
console.log(JSON.stringify({ tokens, webhooks }));

await new Promise((done) => createInterface({ input: process.stdin }).once("close", done));
server.close();
server.closeAllConnections();
