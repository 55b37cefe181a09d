// What the numbers were measured on.

import { readdirSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, release, totalmem, type } from 'node:os';

export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release().split('-', 1)[0]} ${arch()}`,
    node: process.version,
  };
}

/** Seconds of processor time that all threads of a process have had so far, as Linux counts it. */
export function cpuSecondsOf(pid) {
  const ranNs = readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ', 1)[0]),
  );
  return ranNs.reduce((sum, ns) => sum + ns, 0) / 1e9;
}

/**
 * What the main thread of a process has had of the machine so far, as Linux counts it.
 * @returns seconds that it ran, seconds that it could have run and had no core, and how often its core was taken from it
 */
export function schedulingOf(pid) {
  const read = (name) => readFileSync(`/proc/${pid}/task/${pid}/${name}`, 'utf8');
  const [ran, waited] = read('schedstat').split(' ').map(Number);
  const taken = Number(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(read('status'))?.[1]);
  return { ranSeconds: ran / 1e9, waitedSeconds: waited / 1e9, taken };
}
