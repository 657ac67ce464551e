/**
 * The keys of `_meta` by which the stateless revision says what the sessionful ones agreed on once. They are between
 * two neighbours: who passes a message on takes away those that it was given and says its own.
 *
 * Source: MCP 2026-07-28, base protocol, "_meta".
 */
export const PROTOCOL_VERSION_KEY = "io.modelcontextprotocol/protocolVersion";
export const CLIENT_CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities";
export const CLIENT_INFO_KEY = "io.modelcontextprotocol/clientInfo";
export const LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel";
export const SUBSCRIPTION_ID_KEY = "io.modelcontextprotocol/subscriptionId";
export const SERVER_INFO_KEY = "io.modelcontextprotocol/serverInfo";

/** Error codes of MCP 2026-07-28, each with HTTP status 400. */
export const HEADER_MISMATCH = -32_020;
export const MISSING_CLIENT_CAPABILITY = -32_021;
export const UNSUPPORTED_REVISION = -32_022;

/** What `resultType` says of a result that is whole, and of one that asks the client for something first. */
export const COMPLETE = "complete";
export const INPUT_REQUIRED = "input_required";
