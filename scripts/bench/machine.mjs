// What the numbers were measured on.

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
