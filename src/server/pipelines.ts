// Requests that a connection sends ahead (pipelining, RFC 9112, section 9.3.2) wait until the answer before them was written.
// Node parses and emits all of them at once: a client that sends many and reads nothing would fill the memory.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export type RequestListener = (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** Requests that may wait, of one connection and of all together. Each costs some kilobytes. */
const MOST_WAITING = 128;
const MOST_WAITING_IN_ALL = 8_192;
/** Small requests of one connection that run together: tasks sent so share a call to Redis. */
const MOST_TOGETHER = 64;
const SMALL_BODY_BYTES = 4_096;
/** While the client has not taken this many bytes of earlier answers, no request begins. */
const BACKED_UP_BYTES = 65_536;

type Exchange = readonly [incoming: IncomingMessage, outgoing: ServerResponse];

interface Pipeline {
  /** Requests under way. */
  running: number;
  /** Whether all requests under way are small. */
  isSmall: boolean;
  readonly waiting: Exchange[];
}

/**
 * @returns a listener that hands on a request when the answer to the one before it was written. A connection with too many
 *   waiting requests is closed: its client has to repeat those without an answer
 */
export function inPipelines(listener: RequestListener): RequestListener {
  const pipelines = new WeakMap<Socket, Pipeline>();
  let waitingInAll = 0;

  function begin(pipeline: Pipeline, [incoming, outgoing]: Exchange): void {
    pipeline.isSmall = isSmall(incoming);
    pipeline.running += 1;
    outgoing.once('close', () => {
      pipeline.running -= 1;
      goOn(pipeline, incoming.socket);
    });
    listener(incoming, outgoing);
  }

  function goOn(pipeline: Pipeline, socket: Socket): void {
    // An answer had `Connection: close`: requests that wait get no answer, as the client has to expect.
    if (socket.destroyed || socket.writableEnded) forget(pipeline);
    for (let next = pipeline.waiting[0]; next && mayBegin(pipeline, next[0]); next = pipeline.waiting[0]) {
      pipeline.waiting.shift();
      waitingInAll -= 1;
      begin(pipeline, next);
    }
  }

  function forget({ waiting }: Pipeline): void {
    waitingInAll -= waiting.length;
    waiting.length = 0;
  }

  function pipelineOf(socket: Socket): Pipeline {
    const known = pipelines.get(socket);
    if (known) return known;
    const pipeline: Pipeline = { running: 0, isSmall: true, waiting: [] };
    pipelines.set(socket, pipeline);
    return pipeline;
  }

  return (incoming, outgoing) => {
    const { socket } = incoming;
    const pipeline = pipelineOf(socket);
    if (pipeline.waiting.length === 0 && mayBegin(pipeline, incoming)) {
      begin(pipeline, [incoming, outgoing]);
    } else if (pipeline.waiting.length < MOST_WAITING && waitingInAll < MOST_WAITING_IN_ALL) {
      pipeline.waiting.push([incoming, outgoing]);
      waitingInAll += 1;
    } else {
      forget(pipeline);
      socket.destroy();
    }
  };
}

function mayBegin({ running, isSmall: areSmall }: Pipeline, incoming: IncomingMessage): boolean {
  if (running === 0) return true;
  if (!areSmall || running >= MOST_TOGETHER || incoming.socket.writableLength > BACKED_UP_BYTES) return false;
  return isSmall(incoming);
}

/** Whether a request sends one task and does not wait for its end: its answer is small. */
function isSmall({ method, url = '', headers }: IncomingMessage): boolean {
  if (method !== 'POST' || url.includes('?') || headers.prefer !== undefined) return false;
  const hasSmallBody = Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) <= SMALL_BODY_BYTES;
  // `/v1/tasks`, or the short route of a type.
  return hasSmallBody && (url === '/v1/tasks' || url.lastIndexOf('/') === 0);
}
