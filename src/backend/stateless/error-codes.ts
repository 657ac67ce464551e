/** Errors that the stateless revision defines, by the names that it gives them. */
export const HEADER_MISMATCH = -32_020;
export const MISSING_CAPABILITY = -32_021;
export const UNSUPPORTED_REVISION = -32_022;
