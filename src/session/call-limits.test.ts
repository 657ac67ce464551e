import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseBackendName } from "../domain/ids.ts";
import { CallLimits, NO_CALL_LIMITS } from "./call-limits.ts";

const A = parseBackendName("a");
const B = parseBackendName("b");

test("one call more than the process may have is overloaded, and has a time to wait", () => {
  const limits = new CallLimits({ callsPerProcess: 2, callsPerBackend: () => 9 });
  limits.enter(A);
  limits.enter(B);

  expect(() => limits.enter(A)).toThrow(
    expect.objectContaining({ code: "overloaded", retryAfterSeconds: 1 }),
  );
});

test("one call more than a backend may have is that backend's alone", () => {
  const limits = new CallLimits({
    callsPerProcess: 9,
    callsPerBackend: (backend) => (backend === A ? 1 : 9),
  });
  limits.enter(A);

  expect(() => limits.enter(A)).toThrow(
    expect.objectContaining({
      code: "backend_busy",
      backend: "a",
      executionState: "not_executed",
    }),
  );
  expect(() => limits.enter(B)).not.toThrow();
});

test("without limits any number may enter", () => {
  const limits = new CallLimits(NO_CALL_LIMITS);

  expect(() => {
    for (let call = 0; call < 10_000; call += 1) limits.enter(A);
  }).not.toThrow();
});

test("no limit is ever passed, and when all have left there is as much room as at the start", () => {
  const steps = fc.array(fc.record({ backend: fc.constantFrom(A, B), isEntry: fc.boolean() }), {
    maxLength: 200,
  });
  const sizes = fc.integer({ min: 1, max: 6 });

  fc.assert(
    fc.property(steps, sizes, sizes, (sequence, callsPerProcess, perBackend) => {
      const limits = new CallLimits({ callsPerProcess, callsPerBackend: () => perBackend });
      const inside = { [A]: 0, [B]: 0 };
      let surprises = 0;
      const enter = (backend: typeof A): boolean => {
        try {
          limits.enter(backend);
          inside[backend] = (inside[backend] ?? 0) + 1;
          return true;
        } catch {
          return false;
        }
      };
      const leave = (backend: typeof A): void => {
        limits.leave(backend);
        inside[backend] = (inside[backend] ?? 0) - 1;
      };

      for (const { backend, isEntry } of sequence) {
        const before = (inside[A] ?? 0) + (inside[B] ?? 0);
        const hasRoom = before < callsPerProcess && (inside[backend] ?? 0) < perBackend;
        if (isEntry) surprises += enter(backend) === hasRoom ? 0 : 1;
        else if ((inside[backend] ?? 0) > 0) leave(backend);
      }
      for (const backend of [A, B]) while ((inside[backend] ?? 0) > 0) leave(backend);

      const room = Math.min(callsPerProcess, perBackend);
      expect(surprises).toBe(0);
      expect(Array.from({ length: room + 1 }, () => enter(A))).toEqual([
        ...Array.from({ length: room }, () => true),
        false,
      ]);
    }),
  );
});

test("other limits hold from the next call on, and calls in flight count among them", () => {
  const limits = new CallLimits({ callsPerProcess: 2, callsPerBackend: () => 9 });
  limits.enter(A);
  limits.enter(A);

  limits.reconfigure({ callsPerProcess: 3, callsPerBackend: () => 9 });
  limits.enter(A);

  expect(() => limits.enter(B)).toThrow(expect.objectContaining({ code: "overloaded" }));
  limits.leave(A);
  expect(() => limits.enter(B)).not.toThrow();
});
