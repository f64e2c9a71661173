// Tokens for rooms as an application's back end makes them.

import { createHmac, sign } from "node:crypto";

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

// Signed with the secret (HS256), or with the private key of P-256 (ES256).
export function roomToken(secret, claims) {
  const algorithm = typeof secret === "string" ? "HS256" : "ES256";
  const text = `${encode({ alg: algorithm, typ: "JWT" })}.${encode({ exp: inAnHour(), ...claims })}`;
  const signature = algorithm === "HS256"
    ? createHmac("sha256", secret).update(text).digest()
    : sign("sha256", text, { key: secret, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

// Every token that opens nothing, by what is wrong with it.
export function badTokens(secret, claims) {
  const good = roomToken(secret, claims);
  const [head, body, signature] = good.split(".");
  return {
    none: "",
    "another's": roomToken("another-secret-of-thirty-two-bytes", claims),
    expired: roomToken(secret, { ...claims, exp: inAnHour() - 3700 }),
    early: roomToken(secret, { ...claims, nbf: inAnHour() }),
    changed: [head, encode({ room: "*", exp: inAnHour() }), signature].join("."),
    unsigned: `${encode({ alg: "none" })}.${body}.`,
    "cut short": good.slice(0, -2),
    nonsense: "nonsense",
  };
}
