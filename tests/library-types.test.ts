// What the types of the library promise; `tsc -p tests` checks it.

import { expectTypeOf, test } from 'vitest';
import * as z from 'zod';
import {
  defineTask,
  type Popfleet,
  type Stored,
  type TaskDefinition,
  type TaskHandle,
  v,
} from '../src/index.ts';
import { createAdd } from '../src/tasks/add.ts';

const render = defineTask({
  type: 'render',
  input: v.object({
    customer: v.string(),
    pages: v.optional(v.pipe(v.string(), v.transform(Number)), '1'),
  }),
  run({ customer, pages }) {
    expectTypeOf(customer).toEqualTypeOf<string>();
    expectTypeOf(pages).toEqualTypeOf<number>();
    return { at: new Date(0), pages, file: new Uint8Array(pages) };
  },
});
const ofZod = defineTask({
  type: 'of-zod',
  input: z.object({ count: z.coerce.number<string>() }),
  run: async ({ count }) => [count, 'text'] as const,
});

test('the steps of a workflow: the task of each says its input, and needs are names of steps', () => {
  const send = async (popfleet: Popfleet): Promise<void> => {
    const { id } = await popfleet.workflows.start({
      key: 'letters-1',
      tasks: {
        count: { task: ofZod, input: { count: '5' }, maxAttempts: 2 },
        render: {
          task: render,
          input: { customer: 'acme', pages: { $from: 'count', path: '/1' } },
          needs: ['count'],
        },
        other: { task: 'other', input: 5, needs: ['count', 'render'] },
      },
    });
    expectTypeOf((await popfleet.workflows.wait(id)).steps[0]?.state).not.toBeAny();
    // @ts-expect-error: a field is missing
    await popfleet.workflows.start({ tasks: { render: { task: render, input: {} } } });
    // @ts-expect-error: zod takes a text here
    await popfleet.workflows.start({ tasks: { count: { task: ofZod, input: { count: 5 } } } });
    // @ts-expect-error: the name of no step
    await popfleet.workflows.start({ tasks: { a: { task: ofZod, input: { count: '5' }, needs: ['b'] } } });
  };
  expectTypeOf(send).toBeFunction();
});

test('a definition says what may be sent, and what its result is', () => {
  const send = async (popfleet: Popfleet): Promise<void> => {
    const sent = await popfleet.enqueue(render, { customer: 'acme' }, { priority: 'low' });
    expectTypeOf(sent).toEqualTypeOf<
      TaskHandle<{ at: string; pages: number; file: Uint8Array<ArrayBuffer> }>
    >();
    expectTypeOf(await sent.result({ timeoutMs: 1_000 }))
      .toHaveProperty('at')
      .toEqualTypeOf<string>();
    expectTypeOf(await (await popfleet.enqueue(ofZod, { count: '5' })).result()).toEqualTypeOf<
      readonly [number, 'text']
    >();
    // @ts-expect-error: the handler gets a number, but a text is sent
    await popfleet.enqueue(render, { customer: 'acme', pages: 2 });
    // @ts-expect-error: a field is missing
    await popfleet.enqueue(render, {});
    // @ts-expect-error: zod takes a text here
    await popfleet.enqueue(ofZod, { count: 5 });
    // @ts-expect-error: no such option
    await popfleet.enqueue(render, { customer: 'acme' }, { delay: 1 });
    const [many] = await popfleet.enqueueMany(render, [
      { customer: 'acme' },
      { customer: 'beta', pages: '2' },
    ]);
    expectTypeOf(many).toEqualTypeOf<typeof sent | undefined>();
    // @ts-expect-error: a field of the second is missing
    await popfleet.enqueueMany(render, [{ customer: 'acme' }, {}]);
    // @ts-expect-error: they would be one task
    await popfleet.enqueueMany(render, [{ customer: 'acme' }], { key: 'k' });
  };
  expectTypeOf(send).toBeFunction();
});

test('a type that is text takes any input, and its result may be anything', () => {
  const send = async (popfleet: Popfleet): Promise<void> => {
    const sent = await popfleet.enqueue('render', 5);
    expectTypeOf(sent).toEqualTypeOf<TaskHandle>();
    expectTypeOf(await sent.result()).toBeUnknown();
    expectTypeOf(await popfleet.enqueueMany([{ type: 'render', input: 5 }])).toEqualTypeOf<TaskHandle[]>();
    // A definition whose schema says nothing of what is sent.
    const add: TaskDefinition<{ one: number; two: number }, number> = createAdd(0);
    expectTypeOf(await (await popfleet.enqueue(add, 5)).result()).toEqualTypeOf<number>();
  };
  expectTypeOf(send).toBeFunction();
});

test('every definition is one of the tasks of a program', () => {
  expectTypeOf<[typeof render, typeof ofZod]>().toExtend<readonly TaskDefinition[]>();
});

test('a result is what JSON shows of it', () => {
  expectTypeOf<Stored<{ url: URL; all: (Date | null)[]; bytes: Buffer }>>().toEqualTypeOf<{
    url: string;
    all: (string | null)[];
    bytes: Buffer;
  }>();
  expectTypeOf<Stored<void>>().toBeVoid();
  expectTypeOf<Stored<unknown>>().toBeUnknown();
  expectTypeOf<Stored<any>>().toBeAny();
});
