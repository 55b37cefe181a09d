// A thread that ends its process when the worker that started it is gone, also while the handler never yields.

import { Socket } from 'node:net';

/** Of the pipe that isolated.ts opens: it closes with the worker. */
const PIPE_TO_WORKER = 4;

new Socket({ fd: PIPE_TO_WORKER, readable: true, writable: false })
  .on('error', () => undefined) // It closes as well.
  .on('close', () => process.kill(process.pid, 'SIGKILL'))
  .resume();
