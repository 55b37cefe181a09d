// An order is confirmed and prepared, waits without a slot until a person approves it, and is delivered. When nobody approves it, or
// somebody refuses, what was prepared goes back.

import { defineTask, v } from 'popfleet';

const DAY_MS = 86_400_000;

/** Stand for calls of a shop: each can be made twice. */
const shop = {
  confirm: async (order) => `${order} is confirmed`,
  prepare: async (order) => `${order} is packed`,
  deliver: async (order) => `${order} is on its way`,
  putBack: async (order) => `${order} is back on its shelf`,
};

export const handleOrder = defineTask({
  type: 'order',
  input: v.object({ order: v.string(), approveWithinMs: v.optional(v.number(), DAY_MS) }),
  async run({ order, approveWithinMs }, context) {
    /** What is done already, also by earlier runs: a run that goes on after a crash, or after the wait, does none of it again. */
    const done = context.lastCheckpoint ?? [];
    const step = async (name) => {
      if (done.includes(name)) return;
      context.log(await shop[name](order));
      done.push(name);
      await context.checkpoint(done);
    };

    await step('confirm');
    await step('prepare');
    if (!context.waited) {
      const token = await context.token('approval');
      context.log(`waits for: popfleet task complete-token ${token} approved=true`);
      return context.waitFor({ token, timeoutMs: approveWithinMs });
    }
    const { timedOut, payload } = context.waited;
    if (timedOut || payload?.approved !== true) {
      await step('putBack');
      return { delivered: false, reason: timedOut ? 'nobody approved it in time' : 'it was refused', done };
    }
    await step('deliver');
    return { delivered: true, approvedBy: payload.by, done };
  },
});
