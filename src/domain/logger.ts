export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Where the parts say what an operator should know.
 *
 * Messages are constant texts and everything variable is a field, so that they can be searched. Fields
 * never hold a token, a header, an argument, a result or a session id.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export const SILENT_LOGGER: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
