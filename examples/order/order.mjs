// An order as a workflow (order.json): it is confirmed, waits without a slot until a person approves it, is prepared and delivered. When
// nobody approves it, or a step fails for good, what was done is taken back.

import { defineTask, PermanentError, v } from 'popfleet';

const DAY_MS = 86_400_000;

/** Stand for calls of a shop: each can be made twice. */
const shop = {
  confirm: async (order) => `${order} is confirmed`,
  prepare: async (order) => `${order} is packed`,
  deliver: async (order, by) => `${order} is on its way, as ${by} wanted`,
  takeBack: async (order) => `${order} is back on its shelf`,
};

const input = v.object({ order: v.string() });

export const confirm = defineTask({ type: 'order.confirm', input, run: ({ order }) => shop.confirm(order) });

export const approve = defineTask({
  type: 'order.approve',
  input: v.object({ order: v.string(), withinMs: v.optional(v.number(), DAY_MS) }),
  async run({ withinMs }, context) {
    if (!context.waited) {
      const token = await context.token('approval');
      context.log(`waits for: npx popfleet task complete-token ${token} approved=true by=ann`);
      return context.waitFor({ token, timeoutMs: withinMs });
    }
    const { timedOut, payload } = context.waited;
    if (timedOut) throw new PermanentError('nobody approved it in time');
    if (payload?.approved !== true) throw new PermanentError('it was refused');
    return { by: payload.by };
  },
});

export const prepare = defineTask({ type: 'order.prepare', input, run: ({ order }) => shop.prepare(order) });

export const deliver = defineTask({
  type: 'order.deliver',
  input: v.object({ order: v.string(), by: v.string() }),
  run: ({ order, by }) => shop.deliver(order, by),
});

/** Runs whatever the delivery has come to (`"onNeedFailed": "run"`), and finds in `needs` what that was. */
export const settle = defineTask({
  type: 'order.settle',
  input,
  async run({ order }, { needs }) {
    const { state, error } = needs.deliver;
    if (state === 'succeeded') return { delivered: true };
    return { delivered: false, reason: error?.message, done: await shop.takeBack(order) };
  },
});
