// How a queue is kept whole: its messages and their copies, what was put right, and the last sweep. It is read only while it is open.

import { useEffect, useState } from 'preact/hooks';
import type { Ledger } from './api-types.d.ts';
import { SaveDiagnostics } from './diagnostics.tsx';
import { plural, toCount, toShortId, toTimeOfDay } from './format.ts';
import { Card, Facts, Loading, RequestId, Table, Time } from './parts.tsx';
import { linkTo, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { Stale } from './stale.tsx';

/** Read at each third beat: every six seconds. */
const BEATS = 3;
const BALANCED_KEPT = 2;

/** @param missing tasks that do not add up: then it is open */
export function LedgerPanel({ queue, missing }: { readonly queue: string; readonly missing: number }) {
  const [isOpen, setOpen] = useState(missing !== 0);
  return (
    <Card>
      <details open={isOpen} onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          <b>How this is checked</b>{' '}
          <span class="muted">messages and their copies, what was put right, the last sweep</span>
        </summary>
        {isOpen ? <Opened queue={queue} /> : undefined}
      </details>
    </Card>
  );
}

function Opened({ queue }: { readonly queue: string }) {
  const { data, problem } = useResource<Ledger>(`queues/${encodeURIComponent(queue)}/ledger`, BEATS);
  const balanced = useBalanced(data);
  if (data === undefined) {
    return problem === undefined ? (
      <Loading />
    ) : (
      <p class="stale">
        {problem.title} <RequestId of={problem} />
      </p>
    );
  }
  return (
    <div class="ledger">
      <Stale what="These numbers" problem={problem} />
      <Lanes ledger={data} />
      <Unclaimed ledger={data} />
      <Facts
        isWide
        of={[
          ['Lost pops put right', toCount(data.repaired)],
          ['Came back from lost workers', toCount(data.returned)],
          ['Late outcomes refused', toCount(data.stale)],
          [
            'Messages that are no tasks',
            data.malformed === 0 ? (
              '0'
            ) : (
              <>
                {toCount(data.malformed)} <code>{`LRANGE pf:{${queue}}:malformed 0 9`}</code>
              </>
            ),
          ],
          ['Last sweep', <Time key="swept" at={data.sweptAt} />],
          ['Next sweep', <Time key="sweep" at={data.sweepAt} />],
          [
            data.imbalance === 0 ? 'Balanced at' : 'Last balanced at',
            balanced.length === 0 ? 'not since this page is open' : balanced.map(toTimeOfDay).join(' and '),
          ],
        ]}
      />
      <p class="muted small-text">
        All of it is read in one step of Redis. It proves that no task was lost between its acceptance and now
        by any server or worker. It cannot prove that Redis kept what it had acknowledged: for that it needs
        its append-only file, see <a href={linkTo(['system'])}>System</a>.
      </p>
      {data.imbalance === 0 ? undefined : (
        <div class="actions">
          <SaveDiagnostics queue={queue} />
        </div>
      )}
    </div>
  );
}

/** When the queue was seen to add up: the two latest times. */
function useBalanced(ledger: Ledger | undefined): readonly string[] {
  const [times, setTimes] = useState<readonly string[]>([]);
  const at = ledger?.imbalance === 0 ? ledger.at : undefined;
  useEffect(() => {
    if (at !== undefined) setTimes((before) => [at, ...before].slice(0, BALANCED_KEPT));
  }, [at]);
  return times;
}

function Lanes({ ledger: { queue, lanes } }: { readonly ledger: Ledger }) {
  return (
    <Table label="Messages of each priority" heads={['Priority', '#Messages', '#Copies', 'What that means']}>
      {Object.entries(lanes).map(([lane, { messages, copies }]) => (
        <tr key={lane}>
          <td>{lane}</td>
          <td class="number">
            <a href={linkTo(['tasks'], { queue, state: 'ready' })}>{toCount(messages)}</a>
          </td>
          <td class="number">{toCount(copies)}</td>
          <td class="muted">{meaningOf(messages, copies)}</td>
        </tr>
      ))}
    </Table>
  );
}

function meaningOf(messages: number, copies: number): string {
  if (copies > messages) {
    return `${plural(copies - messages, 'message')} popped: a worker claims them now, or the next sweep looks`;
  }
  return copies === messages
    ? 'each message has its copy'
    : `${plural(messages - copies, 'message')} of other programs, without a copy until they are claimed`;
}

function Unclaimed({ ledger: { unclaimed } }: { readonly ledger: Ledger }) {
  const { count, items } = unclaimed;
  if (count === 0) return null;
  return (
    <p class="stale">
      {plural(count, 'message')} popped and not claimed when the last sweep looked. They are pushed again by
      themselves:{' '}
      {items.map(({ id, since }, at) => (
        <span key={id}>
          {at === 0 ? '' : ', '}
          <a class="mono" href={linkToTask(id)}>
            {toShortId(id)}
          </a>{' '}
          <Time at={since} prefix="since " />
        </span>
      ))}
    </p>
  );
}
