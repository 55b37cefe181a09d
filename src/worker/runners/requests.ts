// Requests of handlers on their way from a thread, or a process of its own, to the worker: each waits for the reply with its number.

import type { HandlerReply, HandlerRequest } from './runner.ts';
import type { Reply, Request } from './thread-messages.ts';

export class Requests {
  readonly #post: (request: Request) => void;
  readonly #waiting = new Map<number, (reply: HandlerReply) => void>();
  #last = 0;

  /** @param post sends a request to the worker */
  constructor(post: (request: Request) => void) {
    this.#post = post;
  }

  /** @param run number of the run that asks */
  send(run: number, request: HandlerRequest): Promise<HandlerReply> {
    const number = (this.#last += 1);
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      this.#post({ kind: 'request', run, number, request });
    });
  }

  /** The reply to a request is there. */
  settle({ number, reply }: Reply): void {
    this.#waiting.get(number)?.(reply);
    this.#waiting.delete(number);
  }
}
