import { z } from "zod";
import { countField, durationField, ignored, refusing } from "./fields.ts";

/** Where sessions are kept. Memory is what this version has. */
export const sessionStorageSchema = z
  .strictObject({
    provider: refusing(z.enum(["memory", "redis"]), ["redis"], "Kind of store."),
    address: ignored(z.string().optional(), "Address of the store."),
    db: ignored(z.int().optional(), "Number of the database."),
    keyPrefix: ignored(z.string().optional(), "Put before each key."),
    username: ignored(z.string().optional(), "User of the store."),
    passwordEnv: ignored(z.string().optional(), "Variable that holds the password."),
    tls: ignored(z.unknown().optional(), "TLS towards the store."),
    sentinels: ignored(z.array(z.unknown()).optional(), "Addresses of sentinels."),
  })
  .optional()
  .describe("Where sessions are kept.");

/** Search over tools instead of a list of them. */
export const optimizerSchema = z.strictObject({
  embeddingService: z.string().optional(),
  embeddingServiceTimeout: durationField().optional(),
  embeddingProvider: z.enum(["tei", "openai"]).optional(),
  embeddingModel: z.string().optional(),
  embeddingHeaders: z.record(z.string(), z.unknown()).optional(),
  maxToolsToReturn: countField(1, 50).optional(),
  hybridSearchSemanticRatio: z.union([z.string(), z.number()]).optional(),
  semanticDistanceThreshold: z.union([z.string(), z.number()]).optional(),
});

/** Scripts over tools. */
export const codeModeSchema = ignored(
  z
    .strictObject({
      enabled: refusing(z.boolean().optional(), [true], "Whether scripts are offered."),
      stepLimit: countField(1).optional(),
      parallelMaxConcurrency: countField(1).optional(),
      toolCallTimeout: durationField().optional(),
    })
    .optional(),
  "Scripts over tools.",
);
