// The same call for a terminal.

import { apiUrl } from './api.ts';
import { readShared } from './shared.ts';

/** @param body of `POST /v1/tasks` */
export function toCurl(body: object): string {
  const { session } = readShared();
  const key = session?.key !== undefined ? " \\\n  -H 'authorization: Bearer KEY'" : '';
  const json = JSON.stringify(body).replaceAll("'", String.raw`'\''`);
  return `curl -i ${apiUrl('tasks')}${key} \\\n  -H 'content-type: application/json' \\\n  -d '${json}'`;
}
