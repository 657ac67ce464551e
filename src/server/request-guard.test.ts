import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { RequestGuard, type GuardOptions } from "./request-guard.ts";

const OPTIONS: GuardOptions = { host: "127.0.0.1", allowedHosts: [], allowedOrigins: [] };

function requestWith(...headers: readonly (readonly [string, string])[]): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  request.rawHeaders = headers.flat();
  for (const [name, value] of headers) request.headers[name.toLowerCase()] = value;
  return request;
}

function check(options: Partial<GuardOptions>, ...headers: [string, string][]): string {
  try {
    new RequestGuard({ ...OPTIONS, ...options }).check(requestWith(...headers));
    return "welcome";
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

describe("the Host header", () => {
  test.for<[string, string, Partial<GuardOptions>]>([
    ["localhost", "welcome", {}],
    ["LOCALHOST:4483", "welcome", {}],
    ["127.0.0.1:1", "welcome", {}],
    ["[::1]:4483", "welcome", {}],
    ["[::1]", "welcome", { host: "::1" }],
    ["127.0.0.2:4483", "welcome", { host: "127.0.0.2" }],
    ["127.0.0.2", "forbidden_host", {}],
    ["192.168.1.5:4483", "welcome", { host: "192.168.1.5" }],
    ["[fd00::1]:80", "welcome", { host: "fd00::1" }],
    ["localhost", "forbidden_host", { host: "192.168.1.5" }],
    ["localhost:4483", "welcome", { host: "0.0.0.0" }],
    ["evil.example:4483", "forbidden_host", { host: "0.0.0.0" }],
    ["0.0.0.0", "forbidden_host", { host: "0.0.0.0" }],
    ["evil.example", "forbidden_host", {}],
    ["localhost.evil.example", "forbidden_host", {}],
    ["evil.example:localhost", "forbidden_host", {}],
    ["localhost:99999999", "forbidden_host", {}],
    ["localhost:", "forbidden_host", {}],
    ["user@localhost", "forbidden_host", {}],
    ["localhost, localhost", "forbidden_host", {}],
    ["", "forbidden_host", {}],
    ["mcp.example.com", "welcome", { allowedHosts: ["MCP.example.com"] }],
    ["mcp.example.com:8443", "welcome", { allowedHosts: ["mcp.example.com"] }],
    ["mcp.example.com:8443", "welcome", { allowedHosts: ["mcp.example.com:8443"] }],
    ["mcp.example.com:80", "forbidden_host", { allowedHosts: ["mcp.example.com:8443"] }],
  ])("%j is %s with %j", ([host, expected, options]) => {
    expect(check(options, ["Host", host])).toBe(expected);
  });

  test("a request without one is refused", () => {
    expect(check({})).toBe("forbidden_host");
  });
});

describe("the Origin header", () => {
  test.for<[string, string, Partial<GuardOptions>]>([
    ["http://localhost:6274", "welcome", {}],
    ["https://127.0.0.1", "welcome", {}],
    ["http://[::1]:1", "welcome", {}],
    ["null", "forbidden_host", {}],
    ["", "forbidden_host", {}],
    ["http://evil.example", "forbidden_host", {}],
    ["http://localhost@evil.example", "forbidden_host", {}],
    ["http://localhost.evil.example", "forbidden_host", {}],
    ["http://localhost:80/path", "forbidden_host", {}],
    ["file://localhost", "forbidden_host", {}],
    ["http://localhost:6274", "forbidden_host", { host: "0.0.0.0" }],
    ["https://app.example.com", "welcome", { allowedOrigins: ["https://app.example.com"] }],
    ["http://app.example.com", "forbidden_host", { allowedOrigins: ["https://app.example.com"] }],
    [
      "https://app.example.com:1",
      "forbidden_host",
      { allowedOrigins: ["https://app.example.com"] },
    ],
  ])("%j is %s with %j", ([origin, expected, options]) => {
    expect(check(options, ["Host", "localhost"], ["Origin", origin])).toBe(expected);
  });
});

test.for([
  "Host",
  "Origin",
  "Authorization",
  "Content-Type",
  "Last-Event-ID",
  "Mcp-Session-Id",
  "MCP-Protocol-Version",
  "Mcp-Name",
])("%s may not stand twice, in whatever case", (name) => {
  const host: [string, string][] = name === "Host" ? [] : [["Host", "localhost"]];
  const value = name === "Host" ? "localhost" : "http://localhost";

  expect(check({}, ...host, [name, value])).toBe("welcome");
  expect(check({}, ...host, [name, value], [name.toUpperCase(), value])).toBe("invalid_request");
});

test("other headers may", () => {
  expect(check({}, ["Host", "localhost"], ["Accept", "a/b"], ["Accept", "c/d"])).toBe("welcome");
});
