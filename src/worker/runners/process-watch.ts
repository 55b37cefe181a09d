// A thread that reads the messages of the worker, and ends its process when that worker is gone, also while the handler
// never yields.

import { Socket } from 'node:net';
import { parentPort } from 'node:worker_threads';
import { createFrameReader, TO_PROCESS } from './frames.ts';

const read = createFrameReader((message) => parentPort?.postMessage(message));

new Socket({ fd: TO_PROCESS, readable: true, writable: false })
  .on('error', () => undefined) // It closes as well.
  .on('close', () => process.kill(process.pid, 'SIGKILL'))
  .on('data', read);
