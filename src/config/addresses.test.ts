import { expect, test } from "vitest";
import { classifyHost, httpUrlFault, isExposedHttp, isLoopbackHost } from "./addresses.ts";

function hostOf(url: string): string {
  return new URL(url).hostname;
}

test.for([
  "http://127.0.0.1/",
  "http://localhost/",
  "http://[::1]/",
  "http://10.1.2.3/",
  "http://192.168.0.9/",
  "http://[fd12::1]/",
  "http://[::ffff:127.0.0.1]/",
  "http://backend:8080/",
  "http://tools.default.svc/",
  "http://host.docker.internal/",
  "http://app.localhost./",
])("the host of %s is private", (url) => {
  expect(classifyHost(hostOf(url))).toBe("private");
});

test.for(["https://example.com/", "https://93.184.216.34/", "https://[2606:4700::1111]/"])(
  "the host of %s is public",
  (url) => {
    expect(classifyHost(hostOf(url))).toBe("public");
  },
);

test.for([
  "http://169.254.169.254/",
  "http://2852039166/",
  "http://0xa9fea9fe/",
  "http://0251.0376.0251.0376/",
  "http://[::ffff:169.254.169.254]/",
  "http://[fe80::1]/",
  "http://[fd00:ec2::254]/",
  "http://[64:ff9b::a9fe:a9fe]/",
  "http://[2002:a9fe:a9fe::]/",
  "http://0.0.0.0/",
  "http://224.0.0.1/",
  "http://metadata.google.internal/",
  "http://metadata.google.internal./",
  "http://100.100.100.200/",
])("the host of %s is refused, however it is written", (url) => {
  expect(classifyHost(hostOf(url))).toBe("refused");
  expect(httpUrlFault(url)).toContain("never a backend");
});

test.for([
  ["file:///etc/passwd", "must begin with"],
  ["javascript:alert(1)", "must begin with"],
  ["unix:///run/x.sock", "must begin with"],
  ["not a url", "is not a URL"],
  ["https://user@example.com/", "must not hold a user name"],
] as const)("%s is no URL of a backend", ([url, fault]) => {
  expect(httpUrlFault(url)).toContain(fault);
});

test("only plain http to a public host is exposed", () => {
  const urls = ["http://example.com/", "https://example.com/", "http://10.0.0.1/", "nonsense"];

  expect(urls.filter((url) => isExposedHttp(url))).toEqual(["http://example.com/"]);
});

test.for(["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost", "::ffff:127.0.0.1"])(
  "%s is a loopback address",
  (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  },
);

test.for(["0.0.0.0", "::", "192.168.1.5", "example.com", "localhost.example.com", ""])(
  "%j is not a loopback address",
  (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  },
);
