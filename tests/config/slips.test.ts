// Variables with a slip of the pen in their names.

import { expect, test } from 'vitest';
import { slipsIn } from '../../src/config/config.ts';
import { SETTINGS } from '../../src/config/settings.ts';

test.each([
  ['REDIS_URI', 'REDIS_URL'],
  ['redis_url', 'REDIS_URL'],
  ['QUEUE', 'QUEUES'],
  ['CONCURENCY', 'CONCURRENCY'],
  ['CONCURRENYC', 'CONCURRENCY'],
  ['LOG_LEVELS', 'LOG_LEVEL'],
])('%s is most likely %s, unless that is set', (variable, meant) => {
  expect(slipsIn({ [variable]: 'x' })).toEqual([{ variable, meant }]);
  expect(slipsIn({ [variable]: 'x', [meant]: 'y' })).toEqual([]);
});

test('neither a setting nor what is usual in an environment is taken for a slip', () => {
  const usual = [
    'HOME',
    'POST',
    'API_KEY',
    'HOSTNAME',
    'PATH',
    'NODE_ENV',
    'DATABASE_URL',
    'LOGNAME',
    'SHELL',
  ];
  const settings = Object.values(SETTINGS).map(([variable]) => variable);
  for (const variable of [...usual, ...settings]) expect(slipsIn({ [variable]: 'x' })).toEqual([]);
});
