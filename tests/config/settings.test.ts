// The table of settings in docs/operations.md says what the table in the source says.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { defaultOf, SETTINGS } from '../../src/config/settings.ts';

const DOCUMENT = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
const ROW = /^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$/gm;

test('docs/operations.md lists every setting once, in the same order, with its default and its text', () => {
  const table = DOCUMENT.slice(DOCUMENT.indexOf('| variable |'), DOCUMENT.indexOf('## Keys'));
  const documented = Array.from(table.matchAll(ROW), ([, variable, byDefault = '', text = '']) => ({
    variable,
    byDefault: byDefault.replaceAll('`', ''),
    text,
  }));
  // The document may go on with details and links.
  const texts = Object.values(SETTINGS).map(([variable, , text], at) =>
    documented[at]?.text.startsWith(text) ? documented[at].text : `${variable}: ${text}`,
  );
  expect(documented).toEqual(
    Object.values(SETTINGS).map((setting, at) => ({
      variable: setting[0],
      byDefault: defaultOf(setting).replaceAll('`', ''),
      text: texts[at],
    })),
  );
});
