// A kind of failure that nobody wants to be warned of for a while.

import { useState } from 'preact/hooks';
import { callApi, serverNow } from './api.ts';
import type { ErrorGroup } from './api-types.d.ts';
import { Choice } from './choice.tsx';
import { Action } from './parts.tsx';

const DAY_MS = 86_400_000;

const UNTIL = new Map([
  ['1', 'for a day'],
  ['7', 'for a week'],
  ['30', 'for a month'],
  ['twice', 'until its count has doubled'],
]);

function endOf(choice: string, { total }: ErrorGroup): object {
  if (choice === 'twice') return { moreDeaths: total };
  return { until: new Date(serverNow() + Number(choice) * DAY_MS).toISOString() };
}

/** The switch, for those who may. */
export function Ignore({ group }: { readonly group: ErrorGroup }) {
  const { queue, fingerprint, ignored } = group;
  const [choice, choose] = useState('7');
  const path = `errors/${encodeURIComponent(fingerprint)}/ignored`;
  if (ignored) {
    return (
      <Action
        label="Heed again"
        about={`in ${queue}`}
        done="It is no longer ignored"
        run={() => callApi('DELETE', `${path}?queue=${encodeURIComponent(queue)}`)}
      />
    );
  }
  return (
    <div class="filters">
      <Choice
        label={`Ignore in ${queue}`}
        value={choice}
        choices={[...UNTIL.keys()]}
        words={UNTIL}
        set={choose}
      />
      <Action
        label="Ignore"
        about={`in ${queue}`}
        done={`It is ignored ${UNTIL.get(choice) ?? ''}`}
        run={() => callApi('PUT', path, { queue, ...endOf(choice, group) })}
      />
    </div>
  );
}
