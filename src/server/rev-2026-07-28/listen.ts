import type { Incoming } from "./incoming.ts";
import { readFilter } from "./listen-filter.ts";
import { Listener } from "./listener.ts";

/**
 * Serves a `subscriptions/listen`, for as long as its stream is open. Throws `invalid_params`, and what `Listeners.add`
 * throws: nobody has heard anything then.
 */
export function serveListen({ request, own, outlet, serverInfoJson }: Incoming): void {
  const filter = readFilter(request.params);
  const { listeners } = own;
  const listener = new Listener(filter, { idJson: request.idJson, serverInfoJson, outlet });
  listeners.add(listener);
  outlet.listen({
    drained: () => listener.drained(),
    closed: () => listeners.remove(listener),
  });
  void listeners.acknowledge(listener);
}
