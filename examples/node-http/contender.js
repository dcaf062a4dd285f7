// The four endpoints on Node's http module, with pg and jsonwebtoken. One process, one thread.

import { randomUUID } from "node:crypto";
import http from "node:http";
import jwt from "jsonwebtoken";
import pg from "pg";

const BODY_MAX_BYTES = 64 * 1024;
const UPSTREAM_MAX_BYTES = 1024 * 1024;
const TIMEOUT_MS = 5000;
const DRAIN_MS = 12000;
const SELECT_USER = "SELECT id, name, email, address, city, country FROM users WHERE id = $1";

const env = process.env;
for (const name of ["JWT_SECRET", "UPSTREAM_URL", "UPSTREAM_API_KEY", "DB_HOST", "DB_PORT", "DB_NAME", "DB_USER", "DB_PASSWORD"]) {
  if (!env[name]) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
}

// The response to a request that is refused.
class Refusal extends Error {
  constructor(status, phrase, { headers = {}, detail, cause } = {}) {
    super(phrase, { cause });
    Object.assign(this, { status, headers, body: { error: phrase, detail } });
  }
}

// Authentication

function authenticate(request) {
  const values = request.headersDistinct.authorization ?? [];
  const [, token] = /^bearer +([\w.-]+)$/i.exec(values[0] ?? "") ?? [];
  try {
    if (values.length !== 1) throw new Error("one Authorization header is required");
    const claims = jwt.verify(token, env.JWT_SECRET, { algorithms: ["HS256"] });
    if (!isName(claims.sub) || !isName(claims.name)) throw new Error("sub and name are required");
    return claims;
  } catch {
    throw new Refusal(401, "invalid token", { headers: { "www-authenticate": "Bearer" } });
  }
}

const isName = (value) => typeof value === "string" && value !== "";

// Movies

const FIELDS = {
  title: (value) => typeof value === "string",
  year: (value) => Number.isInteger(value) && value === (value | 0),
  director: (value) => typeof value === "string",
  genre: (value) => typeof value === "string",
  rating: Number.isFinite,
};

async function createMovie(request) {
  const { sub, name } = authenticate(request);
  const type = (request.headers["content-type"] ?? "").split(";")[0].trim();
  if (!/^application\/(.+\+)?json$/i.test(type)) throw new Refusal(415, "unsupported media type");
  const bytes = await read(request, BODY_MAX_BYTES, () => new Refusal(413, "body too large"));
  const value = parse(bytes);
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Refusal(422, "invalid body", { detail: "the body must be an object" });
  }
  const movie = {};
  for (const [field, fits] of Object.entries(FIELDS)) {
    if (!fits(value[field])) throw new Refusal(422, "invalid body", { detail: `${field} is missing or invalid` });
    movie[field] = value[field];
  }
  return [201, { ...movie, id: randomUUID(), user: { id: sub, name } }];
}

function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Refusal(400, "malformed body");
  }
}

async function read(stream, limit, refusal) {
  if (Number(stream.headers["content-length"]) > limit) throw refusal();
  const chunks = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > limit) throw refusal();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// Catalog

const agent = new http.Agent({ keepAlive: true, maxSockets: Number(env.UPSTREAM_POOL_SIZE ?? 64) });
const upstream = {
  url: `${env.UPSTREAM_URL.replace(/\/$/, "")}/data`,
  headers: { authorization: `Bearer ${env.UPSTREAM_API_KEY}` },
};

async function catalog() {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await new Promise((resolve, reject) => {
      http.get(upstream.url, { agent, headers: upstream.headers, signal }, resolve).on("error", reject);
    });
    if (response.statusCode !== 200) {
      response.resume();
      throw new Error(`the upstream answered ${response.statusCode}`);
    }
    const bytes = await read(response, UPSTREAM_MAX_BYTES, () => new Error("the upstream's body is too large"));
    return [200, product(JSON.parse(bytes))];
  } catch (cause) {
    const [status, phrase] = signal.aborted ? [504, "upstream timeout"] : [502, "upstream unavailable"];
    throw new Refusal(status, phrase, { cause });
  }
}

function product({ id, title, price, inStock, tags, rating, description, vendor }) {
  const fits =
    [id, title, description, vendor?.id, vendor?.name].every((value) => typeof value === "string") &&
    [price, rating].every(Number.isFinite) &&
    typeof inStock === "boolean" &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === "string");
  if (!fits) throw new Error("the upstream's body is not a product");
  return { id, title, price, inStock, tags, rating, description, vendor: { id: vendor.id, name: vendor.name } };
}

// Users

const pool = new pg.Pool({
  host: env.DB_HOST,
  port: Number(env.DB_PORT),
  database: env.DB_NAME,
  user: env.DB_USER,
  password: env.DB_PASSWORD,
  max: Number(env.DB_POOL_SIZE ?? 64),
  connectionTimeoutMillis: TIMEOUT_MS,
  statement_timeout: TIMEOUT_MS,
});
pool.on("error", (error) => console.error(`database: ${error.message}`));

async function me(request) {
  const { sub } = authenticate(request);
  let rows;
  try {
    ({ rows } = await pool.query({ name: "user", text: SELECT_USER, values: [sub] }));
  } catch (cause) {
    throw new Refusal(503, "database unavailable", { headers: { "retry-after": "1" }, cause });
  }
  if (rows.length === 0) throw new Refusal(404, "user not found");
  return [200, rows[0]];
}

// Server

function info() {
  const body = {
    id: "info-1",
    name: "Benchmark Info",
    count: 42,
    ratio: 3.14159,
    active: true,
    tags: ["alpha", "beta", "gamma"],
    createdAt: "2026-01-01T00:00:00Z",
    nested: { level: 2, label: "nested" },
  };
  return [200, body, { "x-response-id": randomUUID() }];
}

const routes = {
  "/health": { GET: () => [200, "ok", { "content-type": "text/plain" }] },
  "/info": { GET: info },
  "/movies": { POST: createMovie },
  "/catalog": { GET: catalog },
  "/proxy": { GET: catalog },
  "/users/me": { GET: me },
};

async function handle(request) {
  const route = routes[request.url.split("?")[0]];
  if (!route) throw new Refusal(404, "not found");
  const handler = route[request.method === "HEAD" ? "GET" : request.method];
  if (!handler) throw new Refusal(405, "method not allowed", { headers: { allow: Object.keys(route).join(", ") } });
  return handler(request);
}

function refused(error) {
  const refusal = error instanceof Refusal ? error : new Refusal(500, "internal error", { cause: error });
  if (refusal.cause) console.error(`${refusal.message}: ${refusal.cause.message}`);
  return [refusal.status, refusal.body, refusal.headers];
}

const server = http.createServer(async (request, response) => {
  const [status, body, headers = {}] = await handle(request).catch(refused);
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const closes = request.complete ? {} : { connection: "close" };
  const fields = { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...closes, ...headers };
  response.writeHead(status, fields).end(text);
});
server.keepAliveTimeout = 75_000;
server.listen(Number(env.PORT ?? 8000), env.HOST ?? "0.0.0.0");

for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(1), DRAIN_MS).unref();
  });
}
