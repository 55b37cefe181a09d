// A worker by where it runs, which leads to what it runs.

import { toShortId } from './format.ts';
import { linkToWorker } from './place.ts';
import { useShared } from './shared.ts';

/** By host and process while it lives, else by its id. */
export function WorkerLink({ worker }: { readonly worker: string }) {
  const live = useShared().fleet?.workers.find((one) => one.worker === worker);
  return (
    <a href={linkToWorker(worker)} title={worker}>
      {live?.host === undefined ? toShortId(worker) : `${live.host}:${String(live.pid)}`}
    </a>
  );
}
