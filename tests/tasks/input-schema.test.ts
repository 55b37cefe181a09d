// Inputs checked by a schema of another library than valibot: by the server, the library and the worker.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { openPopfleet } from '../../src/library.ts';
import { inputToJson } from '../../src/server/operation.ts';
import { defineTask } from '../../src/tasks/define.ts';
import { checkInput, pathOf } from '../../src/tasks/input-schema.ts';
import { type RoleProcess, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));

/** `mailer` has a transformation and a default; arktype's schemas are functions, and quote what they refuse. */
const MODULE = `import { defineTask } from 'popfleet';
import * as z from 'zod';
export const mail = defineTask({
  type: 'zod.mail',
  input: z.strictObject({ to: z.array(z.string().min(3)), 'a/b': z.coerce.string().optional(), subject: z.string().default('none') }),
  run: (input) => input,
});
export const late = defineTask({
  type: 'zod.late', input: z.object({ a: z.string().refine(async () => true) }), run: (input) => input,
});
const validate = (value) => typeof value === 'number' ? { value } : { issues: [{ message: 'must be a number (was "secret")' }] };
export const byHand = defineTask({
  type: 'by-hand', input: Object.assign(() => 1, { '~standard': { version: 1, vendor: 'hand', validate } }), run: (input) => input,
});
`;

let folder: string;
let all: RoleProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-schemas-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(REPO, join(folder, 'node_modules', 'popfleet'));
  symlinkSync(join(REPO, 'node_modules', 'zod'), join(folder, 'node_modules', 'zod'));
  writeFileSync(join(folder, 'tasks.mjs'), MODULE);
  all = await startRole('all', { CONCURRENCY: '1' }, folder, ['--tasks', './tasks.mjs']);
});
afterAll(async () => {
  all?.signal('SIGTERM');
  await all?.exited;
  rmSync(folder, { recursive: true, force: true });
});

function send(type: string, input: unknown): ReturnType<typeof post> {
  return post(`${all.url()}/v1/tasks?wait=20`, { type, input });
}

describe('case 32: any Standard Schema', () => {
  it('the handler gets what the schema makes of the input', async () => {
    const { status, body } = await send('zod.mail', { to: ['ada'], 'a/b': 5 });
    expect([status, body['result']]).toEqual([200, { to: ['ada'], 'a/b': '5', subject: 'none' }]);
    expect(body['input']).toEqual({ to: ['ada'], 'a/b': 5 });
    expect((await send('by-hand', 7)).body['result']).toBe(7);
  });

  it('what does not fit is refused with pointers, on every route that takes it, and never quoted', async () => {
    const refused = await send('zod.mail', { to: ['ada', 'x'], 'a/b': 1, subject: 5 });
    expect([refused.status, refused.body['errors']]).toEqual([
      422,
      [
        { pointer: '#/input/to/1', detail: expect.stringMatching(/small/) },
        { pointer: '#/input/subject', detail: expect.stringMatching(/string/) },
      ],
    ]);
    const batch = await post(`${all.url()}/v1/tasks/batch`, [{ type: 'by-hand', input: 'secret' }]);
    expect(batch.body['errors']).toEqual([{ pointer: '#/0/input', detail: 'must be a number' }]);
    const schedule = await call(`${all.url()}/v1/schedules/daily`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ everyMs: 60_000, type: 'by-hand', input: 'secret' }),
    });
    expect(schedule.body['errors']).toEqual([{ pointer: '#/input', detail: 'must be a number' }]);
    expect((await post(`${all.url()}/by-hand`, 'secret')).body['errors']).toMatchObject([{ pointer: '#' }]);
  });

  it('one that has to be awaited is refused with a sentence', async () => {
    const { status, body } = await send('zod.late', { a: 'x' });
    expect([status, body['code']]).toEqual([500, 'bad-definition']);
    expect(body['detail']).toBe('The input of this task type must have a schema that needs no await.');
  });

  it('the document shows what the library can say of it', async () => {
    const { body } = await call(`${all.url()}/v1/types`);
    const items = body['items'] as { readonly type: string; readonly input: Record<string, unknown> }[];
    const mail = items.find(({ type }) => type === 'zod.mail')?.input;
    expect(mail).toMatchObject({ type: 'object', required: ['to'], additionalProperties: false });
    expect(mail).not.toHaveProperty('$schema');
    expect(items.find(({ type }) => type === 'by-hand')?.input).toEqual({});
    expect(inputToJson(z.object({ at: z.date() }))).toMatchObject({ properties: { at: {} } });
  });

  it('the library checks with it as well', async () => {
    const tasks = [defineTask({ type: 'count', input: z.object({ n: z.number() }), run: ({ n }) => n + 1 })];
    const popfleet = await openPopfleet({
      redisUrl: join(folder, '.popfleet', 'redis.sock'),
      tasks,
    });
    try {
      await expect(popfleet.enqueue('count', { n: 'x' })).rejects.toMatchObject({
        code: 'invalid-input',
        faults: [{ pointer: '#/input/n' }],
      });
      expect(await popfleet.enqueue('count', { n: 1 })).toMatchObject({ replayed: false });
    } finally {
      popfleet.close();
    }
  });

  it('a path may have keys, or objects with a key', () => {
    expect(pathOf({ message: '', path: ['a', 0, { key: 'b' }, Symbol('c')] })).toEqual([
      'a',
      '0',
      'b',
      'Symbol(c)',
    ]);
    expect(checkInput(z.number(), 1)).toMatchObject({ value: 1 });
  });
});
