// No script makes the name of a key: each comes from the opening that scripts.ts writes, of what the script declares. And one that
// did would be found by the check of declared-keys.test.ts.

import { describe, expect, onTestFinished, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { homeOf, SCRIPT_KEY_GROUPS, SCRIPT_KEYS } from '../../src/store/keys.ts';
import type { ScriptArgument } from '../../src/store/script-call.ts';
import { type buildScripts, runScript, type ScriptName } from '../../src/store/scripts.ts';
import { checkScripts, luaFiles, luaOf, withoutKeys } from '../support/checked-scripts.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { openStore, startStore } from '../support/store.ts';

const NAMES = [...SCRIPT_KEYS.keys(), ...SCRIPT_KEY_GROUPS.keys()].join('|');
/** A name, one of a group, or a variable that has one: the check of each call sees what that is. */
const KEY = new RegExp(`^(Q\\.(${NAMES})(\\[[\\w.]+(\\[\\w+\\])?\\])?|[a-z]+)$`);
const JOINED = new RegExp(`\\.\\. *Q\\.(${NAMES})\\b|Q\\.(${NAMES})\\b *\\.\\.`);
const CALL = /(?:redis\.p?call|Q\.call_sliced)\((?:'\w+'|\w+), ([^,)]+)/g;

const { redis, client } = await startStore(buildScriptsWithClock);

describe('in no file', () => {
  test.each(luaFiles())('%s', (file) => {
    // Sentences for people may name keys.
    const code = luaOf(file)
      .replaceAll(/^\s*--.*$/gm, '')
      .replaceAll(/'[^'\n]{16,}'/g, "''");
    expect(code).not.toMatch(/\bKEYS\b|pf:/);
    // Fields and entries begin with the id of their task; a name would begin with that of another key, or of its queue.
    expect(code.replaceAll("id .. ':' ..", '')).not.toMatch(/['"]:|:['"]/);
    for (const line of code.split('\n')) {
      // A channel is no key.
      if (/'(PUBLISH|PUBSUB)'/.test(line)) continue;
      expect(line).not.toMatch(/\bgsub\(Q\b/);
      expect(line).not.toMatch(JOINED);
      for (const [, key] of line.matchAll(CALL)) expect(key, line).toMatch(KEY);
    }
  });
});

test.each<[ScriptName, string, readonly ScriptArgument[]]>([
  ['enqueue', 'contents', [1, newTaskId(), newTaskId(), encodeContent('add', {})]],
  ['claim', 'running', ['w', 1_000, '', '', 0, 1, 0, 0]],
  ['sweep', 'suspects', [1_000, 10, 1_000, 1e12, 0, 1_000, 1, 0]],
  ['probe', 'stream', ['all']],
])('the check finds a script %s that makes the name %s itself', async (name, taken, args) => {
  const { enqueue } = await openScriptedQueue(client);
  await enqueue(1);
  const build = (): ReturnType<typeof buildScripts> => {
    const scripts = buildScriptsWithClock();
    return checkScripts({ ...scripts, [name]: withoutKeys(scripts[name], (key) => key !== taken) }).scripts;
  };
  const other = await openStore(redis.url, build);
  onTestFinished(() => other.disconnect());
  const message = new RegExp(`^UNDECLARED ${name} [\\w/-]+\\.lua:\\d+ [A-Z]+ pf:\\{.+\\}:${taken}\\b`);
  await expect(runScript(other, name, homeOf(QUEUE), args)).rejects.toThrow(message);
  // The script of the same queue that declares it passes.
  await runScript(client, name, homeOf(QUEUE), args);
});
