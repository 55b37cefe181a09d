// Finds the handlers of a request. Of paths without parameters, which most requests ask for, it remembers them.

import type { Result } from 'hono/router';
import { TrieRouter } from 'hono/router/trie-router';

export class RememberingRouter<Handler> extends TrieRouter<Handler> {
  /** Paths of routes that have no parameters: only what is found for these is remembered, so it cannot grow. */
  readonly #fixed = new Set<string>();
  /** By method and path. */
  readonly #found = new Map<string, Result<Handler>>();

  override add(method: string, path: string, handler: Handler): void {
    if (!/[:*]/.test(path)) this.#fixed.add(path);
    super.add(method, path, handler);
  }

  override match(method: string, path: string): Result<Handler> {
    if (!this.#fixed.has(path)) return super.match(method, path);
    const name = `${method} ${path}`;
    const known = this.#found.get(name);
    if (known) return known;
    const found = super.match(method, path);
    this.#found.set(name, found);
    return found;
  }
}
