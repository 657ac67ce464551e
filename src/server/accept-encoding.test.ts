import { expect, test } from "vitest";
import { prefersGzip } from "./accept-encoding.ts";

test.for([
  "gzip",
  "gzip, deflate",
  "gzip, deflate, br, zstd",
  "br, gzip",
  "deflate,gzip;q=1.0",
  "GZip",
  "x-gzip",
  "gzip;q=0.001",
  "gzip ; Q=0.5",
  "gzip;q=1., br;q=0",
  "*",
  "*;q=0.1",
  "br, *;q=0.5",
  "*;q=0, gzip",
  "gzip;q=0.5, identity;q=0.5",
  "identity;q=0, gzip;q=0.2",
  "identity;q=0.5, *",
  ", gzip,,",
])('a client that says "%s" gets gzip', (header) => {
  expect(prefersGzip(header)).toBe(true);
});

test.for([
  undefined,
  "",
  "identity",
  "br",
  "deflate, br",
  "gzip;q=0",
  "gzip;q=0.000, *",
  "*, x-gzip;q=0",
  "gzip, gzip;q=0",
  "*;q=0",
  "identity, *;q=0",
  "identity;q=1, gzip;q=0.5",
  "identity, *;q=0.9",
  "gzipped",
  "not-gzip",
  "gzip;q=",
  "gzip;q=2",
  "gzip;q=0x1",
  "gzip;q=-1",
  "gzip;q=1.001",
  "gzip;q=0.0001",
  "gzip;level=9",
  "gzip;q=1;q=0",
])('a client that says "%s" gets none', (header) => {
  expect(prefersGzip(header)).toBe(false);
});
