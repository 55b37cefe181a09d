// Runs a task in a process of its own: one that lost its worker before. If it does so again, nobody else is harmed, it is
// known for certain who did it, and the process can tell how it ended.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Answer, RunnerSettings, StopReason, Told } from './job.ts';
import type { ToIsolated } from './isolated-entry.ts';
import { builtEntry } from './built-entry.ts';
import { handlerEnv } from './handler-env.ts';
import { type Runner, STOP_GRACE_MS } from './runner.ts';

/** The last words of a process that are kept. */
const LAST_WORDS_CHARS = 2_000;

type FromIsolated = { readonly told: Told } | { readonly answer: Answer };

export function createIsolated(
  settings: Omit<RunnerSettings, 'stopChannel'>,
  onTold: (told: Told) => void,
): Runner {
  return {
    async run(job, stop) {
      const child = fork(fileURLToPath(builtEntry('isolated-entry')), {
        serialization: 'advanced',
        env: handlerEnv(),
        // The last one carries nothing: it closes when this process ends, however that may be (isolated-watch.ts).
        stdio: ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'],
      });
      let answer: Answer | undefined;
      let lastWords = '';
      child.stderr?.on('data', (text: Buffer) => {
        lastWords = (lastWords + text.toString()).slice(-LAST_WORDS_CHARS);
      });
      child.on('message', (message: FromIsolated) => {
        if ('answer' in message) answer = message.answer;
        const told = 'answer' in message ? message.answer.told : message.told;
        if (told) onTold(told);
      });
      child.on('error', () => undefined); // Its exit says the same.
      const send = (message: ToIsolated): void => void child.send(message, () => undefined);
      send({
        kind: 'run',
        settings: { ...settings, stopChannel: '' },
        job: { ...job, content: Uint8Array.from(job.content) },
      });

      let asked: { readonly reason: StopReason; readonly at: number } | undefined;
      let killedAt: number | undefined;
      let grace: NodeJS.Timeout | undefined;
      const off = stop.onStop((reason) => {
        asked = { reason, at: performance.now() };
        send({ kind: 'stop', request: { id: job.id, claim: job.claim, reason } });
        grace = setTimeout(() => {
          killedAt = performance.now();
          child.kill('SIGKILL');
        }, STOP_GRACE_MS);
      });

      const [code, signalName] = (await once(child, 'close').catch(() => [null, null])) as [
        number | null,
        string | null,
      ];
      clearTimeout(grace);
      off();
      const latencyMs = performance.now() - (killedAt ?? asked?.at ?? performance.now());
      if (answer) return { kind: 'answered', answer, stop: asked && { reason: asked.reason, latencyMs } };
      if (asked && killedAt !== undefined)
        return { kind: 'killed', stop: { reason: asked.reason, latencyMs } };
      return { kind: 'process-lost', error: lostError(code, signalName, lastWords) };
    },
  };
}

function lostError(code: number | null, signal: string | null, lastWords: string): Error {
  const end = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
  const error = new Error(`its process ${end}${lastWords.trim() ? `; last words: ${lastWords.trim()}` : ''}`);
  error.name = 'ProcessLost';
  delete error.stack;
  return error;
}
