// The input of a task on the command line: fields such as `one=1`, or a whole document with --input.

import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { decodeText } from './decode-text.ts';
import { readJson } from './read-json.ts';
import type { Input } from './terminal.ts';
import { UsageError } from './usage-error.ts';

/**
 * @param fields `name=value`; a value that is JSON stands for what it says, any other one for its text
 * @param document JSON, `@file` with JSON, or `-` for stdin; instead of fields
 * @param option that gives the document
 * @throws UsageError
 */
export async function readTaskInput(
  fields: readonly string[],
  document: string | undefined,
  stdin: Input,
  option = '--input',
): Promise<unknown> {
  if (document === undefined) return readFields(fields);
  if (fields.length > 0) throw new UsageError(`Give either fields (one=1) or ${option}.`);
  const input = readJson(await readSource(document, stdin), option);
  if (input !== undefined) return input;
  throw new UsageError(`${option} must be JSON, @file with JSON, or - for JSON on stdin.`);
}

function readFields(fields: readonly string[]): Readonly<Record<string, unknown>> {
  const entries = new Map<string, unknown>();
  for (const field of fields) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/s.exec(field) ?? [];
    if (name === '') throw new UsageError(`"${field}" must be name=value, such as one=1.`);
    if (entries.has(name)) throw new UsageError(`The field "${name}" was given twice.`);
    const read = readJson(value, field);
    entries.set(name, read === undefined ? value : read);
  }
  // Defines properties, whatever their names are.
  return Object.fromEntries(entries);
}

async function readSource(document: string, stdin: Input): Promise<string> {
  if (document === '-') return decodeText(await buffer(stdin), 'stdin');
  if (!document.startsWith('@')) return document;
  const file = document.slice(1);
  return decodeText(await readBytes(file), file);
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new UsageError(
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`,
    );
  }
}
