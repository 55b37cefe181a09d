// docs/protocol.md lists every code of a problem, with its status and its title.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/protocol/errors.ts';

test('the table has every code, and no other', () => {
  const document = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const section = document.split('\n### Problems\n')[1] ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  const codes = Object.entries(ERROR_CODES);
  expect(rows).toEqual(codes.map(([code, { status, title }]) => `| \`${code}\` | ${status} | ${title} |`));
});
