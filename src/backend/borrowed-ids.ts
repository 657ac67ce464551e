import type { BackendMessage } from "../mcp/exchange.ts";
import { OWN_ID_PREFIX, type RequestId } from "../mcp/json-rpc.ts";
import { scanMembers, spliceBytes, type Member } from "../mcp/json-spans.ts";
import { answeredId } from "./read-messages.ts";

interface Borrowed<Owner> {
  readonly owner: Owner;
  /** The id as the backend wrote it. */
  readonly idJson: string;
}

/**
 * Gives requests of several backend sessions ids that cannot meet, and gives the original ids back to the
 * answers, so that each finds the session that asked.
 */
export class BorrowedIds<Owner> {
  readonly #borrowed = new Map<RequestId, Borrowed<Owner>>();
  #count = 0;

  /** The same request under an id of ours. */
  lend(owner: Owner, request: BackendMessage): BackendMessage {
    const span = idOf(request.bytes);
    if (span === undefined) return request;
    this.#count += 1;
    const id = `${OWN_ID_PREFIX}asked:${this.#count}`;
    const idJson = request.bytes.toString("utf8", span.valueStart, span.valueEnd);
    this.#borrowed.set(id, { owner, idJson });
    const bytes = withId(request.bytes, span, JSON.stringify(id));
    return { bytes, message: { ...request.message, id } };
  }

  /** The answer under its original id and whose it is; undefined if it answers nothing that is still open. */
  giveBack(answer: Buffer): { readonly owner: Owner; readonly message: Buffer } | undefined {
    const id = answeredId(answer);
    const borrowed = id === undefined ? undefined : this.#borrowed.get(id);
    const span = borrowed && idOf(answer);
    if (id === undefined || borrowed === undefined || span === undefined) return undefined;
    this.#borrowed.delete(id);
    return { owner: borrowed.owner, message: withId(answer, span, borrowed.idJson) };
  }

  /** Nothing that this owner asked for can be answered any more. */
  forget(owner: Owner): void {
    for (const [id, borrowed] of this.#borrowed) {
      if (borrowed.owner === owner) this.#borrowed.delete(id);
    }
  }
}

/** Of a key that repeats, the last counts, as in `JSON.parse`. */
function idOf(bytes: Buffer): Member | undefined {
  return scanMembers(bytes, bytes.indexOf(OPEN_BRACE)).findLast(({ key }) => key === "id");
}

function withId(bytes: Buffer, { valueStart, valueEnd }: Member, idJson: string): Buffer {
  return spliceBytes(bytes, [{ start: valueStart, end: valueEnd, replacement: idJson }]);
}

const OPEN_BRACE = 0x7b;
