// What is wrong with a configuration.

import { expect } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { PopfleetError } from '../../src/protocol/errors.ts';

/** Expects a `bad-config`, and returns its lines. */
export function faultsOf(env: Record<string, string>): string[] {
  let fault: unknown;
  try {
    readConfig(env, 1);
  } catch (error) {
    fault = error;
  }
  expect(fault).toBeInstanceOf(PopfleetError);
  expect(fault).toMatchObject({ code: 'bad-config' });
  return (fault as Error).message.split('\n');
}
