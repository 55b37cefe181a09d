// What the fleet of the pictures runs (pictures.mjs): a small shop with mails, reports and a model.

import { setTimeout as sleep } from 'node:timers/promises';
import { defineTask, v } from 'popfleet';

export const mail = defineTask({
  type: 'mail.send',
  input: v.object({ to: v.string() }),
  defaults: { queue: 'mail', maxAttempts: 1 },
  runIn: 'inline',
  async run({ to }) {
    await sleep(40 + Math.random() * 120);
    if (to.endsWith('.invalid')) throw new Error(`550 no such host: ${to}`);
    return { accepted: to };
  },
});

export const report = defineTask({
  type: 'report.render',
  input: v.object({ customer: v.string(), pages: v.number() }),
  defaults: { queue: 'reports', timeoutMs: 60_000 },
  async run({ pages }, { progress, signal }) {
    for (let page = 1; page <= pages; page += 1) {
      await sleep(150, undefined, { signal });
      progress((page / pages) * 100, `page ${page} of ${pages}`);
    }
    return { pages };
  },
});

export const train = defineTask({
  type: 'model.train',
  input: v.object({ epochs: v.number() }),
  defaults: { queue: 'models', timeoutMs: 600_000 },
  async run({ epochs }, { progress, signal }) {
    for (let epoch = 1; epoch <= epochs; epoch += 1) {
      await sleep(1_000, undefined, { signal });
      progress((epoch / epochs) * 100, `epoch ${epoch}, loss ${(1.2 / (1 + epoch / 9)).toFixed(3)}`);
    }
    return { epochs };
  },
});
