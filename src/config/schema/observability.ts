import { z } from "zod";
import { ignored, nonEmptyText, refused } from "./fields.ts";

const texts = z.record(z.string(), z.string());

/** Traces and metrics. Without an endpoint nothing would be sent, so such a block only warns. */
export const telemetrySchema = ignored(
  z
    .strictObject({
      endpoint: refused(nonEmptyText().optional(), "Where traces and metrics are sent."),
      serviceName: z.string().optional(),
      serviceVersion: z.string().optional(),
      tracingEnabled: z.boolean().optional(),
      metricsEnabled: z.boolean().optional(),
      samplingRate: z.union([z.string(), z.number()]).optional(),
      headers: texts.optional(),
      insecure: z.boolean().optional(),
      enablePrometheusMetricsPath: z.boolean().optional(),
      environmentVariables: z.array(z.string()).optional(),
      customAttributes: texts.optional(),
      caCertPath: z.string().optional(),
      useLegacyAttributes: z.boolean().optional(),
    })
    .optional(),
  "Traces and metrics.",
);
