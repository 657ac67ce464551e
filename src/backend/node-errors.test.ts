import { expect, test } from "vitest";
import type { ExecutionState, VmcpErrorCode } from "../domain/errors.ts";
import { toConnectionError } from "./node-errors.ts";

type Row = readonly [
  string,
  { readonly isWritten: boolean; readonly isTls: boolean },
  VmcpErrorCode,
  ExecutionState,
];

const BEFORE = { isWritten: false, isTls: false };
const AFTER = { isWritten: true, isTls: false };
const TLS_BEFORE = { isWritten: false, isTls: true };
const TLS_AFTER = { isWritten: true, isTls: true };

test.for<Row>([
  ["ECONNREFUSED", BEFORE, "backend_unreachable", "not_executed"],
  ["ERR_ADDRESS_REFUSED", BEFORE, "backend_unreachable", "not_executed"],
  ["ERR_INVALID_REQUEST", BEFORE, "backend_unreachable", "not_executed"],
  ["ENOTFOUND", BEFORE, "backend_unreachable", "not_executed"],
  ["ERR_CONNECT_TIMEOUT", BEFORE, "backend_unreachable", "not_executed"],
  ["ECONNRESET", BEFORE, "backend_unreachable", "not_executed"],
  ["ECONNRESET", AFTER, "backend_closed", "unknown"],
  ["EPIPE", AFTER, "backend_closed", "unknown"],
  ["ERR_CONNECTION_CLOSED", AFTER, "backend_closed", "unknown"],
  ["ECONNRESET", TLS_BEFORE, "backend_tls", "not_executed"],
  ["EPROTO", TLS_BEFORE, "backend_tls", "not_executed"],
  ["ECONNREFUSED", TLS_BEFORE, "backend_unreachable", "not_executed"],
  ["ECONNRESET", TLS_AFTER, "backend_closed", "unknown"],
  ["CERT_HAS_EXPIRED", TLS_BEFORE, "backend_tls", "not_executed"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", TLS_BEFORE, "backend_tls", "not_executed"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", TLS_BEFORE, "backend_tls", "not_executed"],
  ["ERR_SSL_UNSUPPORTED_PROTOCOL", TLS_BEFORE, "backend_tls", "not_executed"],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", TLS_AFTER, "backend_tls", "unknown"],
  ["ERR_RESPONSE_HEAD_TOO_LARGE", AFTER, "backend_protocol", "unknown"],
  ["ERR_MALFORMED_RESPONSE", AFTER, "backend_protocol", "unknown"],
])("%s with %j is %s, %s", ([code, reach, expected, executionState]) => {
  const thrown = Object.assign(new Error("connect 10.0.0.1:443 s3cret"), { code });

  const error = toConnectionError("b1", thrown, reach);

  expect(error).toMatchObject({ code: expected, executionState, backend: "b1", cause: thrown });
  expect(error.message).toContain(`(${code})`);
  expect(error.message).not.toMatch(/s3cret|10\.0/);
});

test.for<readonly [string, string]>([
  ["ERR_INVALID_REQUEST", "cannot be asked: the path, the host or a header of the request holds"],
  ["ERR_ADDRESS_REFUSED", "cannot be reached: its name leads to an address that it must not"],
  ["ECONNREFUSED", "cannot be reached (ECONNREFUSED)"],
])("%s says what is wrong: %s", ([code, expected]) => {
  const error = toConnectionError("b1", Object.assign(new Error("no"), { code }), BEFORE);

  expect(error.message).toContain(`Backend "b1" ${expected}`);
});

test.for([undefined, null, "text", { code: 5 }, { code: "a secret\ntext" }])(
  "something without a code of its own shows none: %j",
  (thrown) => {
    const error = toConnectionError("b1", thrown, BEFORE);

    expect(error.message).toBe('Backend "b1" cannot be reached');
  },
);
