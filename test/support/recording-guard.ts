import type { VmcpError } from "../../src/domain/errors.ts";
import type { BackendGuard } from "../../src/session/backend-guard.ts";

/** A guard that writes down what it is told, and refuses while it is given a refusal. */
export interface RecordingGuard extends BackendGuard {
  /** `admit`, `succeeded`, `withdrawn`, or `failed` with its code, in order. */
  readonly heard: string[];
  refusal: VmcpError | undefined;
}

export function recordingGuard(): RecordingGuard {
  const heard: string[] = [];
  return {
    heard,
    refusal: undefined,
    isDoubtful: false,
    admit() {
      if (this.refusal !== undefined) throw this.refusal;
      heard.push("admit");
    },
    succeeded: () => void heard.push("succeeded"),
    failed: (error) => void heard.push(`failed ${error.code}`),
    withdrawn: () => void heard.push("withdrawn"),
  };
}
