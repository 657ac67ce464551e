import type { VmcpConfig } from "../config/vmcp-config.ts";
import type { Logger } from "../domain/logger.ts";
import { NO_ARGUMENT_CHECK, type ArgumentCheck } from "../session/argument-check.ts";
import { ArgumentChecker } from "../validation/argument-checker.ts";

/** The check of arguments that a configuration asks for; what it has compiled is shared by all sessions. */
export function createArgumentCheck(
  { backends, limits }: Pick<VmcpConfig, "backends" | "limits">,
  logger: Logger,
): ArgumentCheck {
  const checked = new Set(
    backends.filter(({ validateArguments }) => validateArguments).map(({ name }) => name),
  );
  if (checked.size === 0) return NO_ARGUMENT_CHECK;
  return new ArgumentChecker({
    backends: checked,
    limits: { subSchemas: limits.subSchemas, depth: limits.schemaDepth },
    logger,
  });
}
