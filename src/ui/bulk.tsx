// Something is done to many tasks: a dry run says to how many, and nothing happens before that was seen and confirmed.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Match, Operation, OperationCall } from './api-types.d.ts';
import { plural, toCount, toDuration } from './format.ts';
import { refresh } from './live.ts';
import { Chip, RequestId } from './parts.tsx';
import { go, linkTo } from './place.ts';
import { type Problem, problemOf } from './problem.ts';
import { ReasonField, withReason } from './reason-field.tsx';
import { announce } from './shared.ts';

/** Beyond so many tasks the name of the queue has to be typed. */
const TYPED_BEYOND = 1_000;

export interface BulkProps {
  /** A verb, such as `Retry all`. */
  readonly label: string;
  /** What it is done to, where several such buttons stand on a page. */
  readonly about?: string;
  /** What is done to which tasks, in words. */
  readonly words: string;
  readonly call: OperationCall;
  readonly tone?: 'danger' | 'primary';
  /** Further choices, above the numbers; what they change belongs in `call`. */
  readonly children?: ComponentChildren;
  /** Whether the choices are made. */
  readonly isReady?: boolean;
}

/** A button that leads to an operation. */
export function Bulk(props: BulkProps) {
  const { label, about, tone } = props;
  const [isOpen, setOpen] = useState(false);
  const dialog = useRef<HTMLDialogElement>(null);
  // What is in it is there by then: the first of it gets the focus.
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
  }, [isOpen]);
  return (
    <>
      <button
        type="button"
        class={tone}
        aria-label={about === undefined ? undefined : `${label} ${about}`}
        onClick={() => setOpen(true)}
      >
        {label}
      </button>
      <dialog ref={dialog} aria-label={label} onClose={() => setOpen(false)}>
        {isOpen ? <Asking {...props} close={() => dialog.current?.close()} /> : undefined}
      </dialog>
    </>
  );
}

type Seen =
  | { readonly step: 'asking' }
  | { readonly step: 'asked'; readonly match: Match; readonly of: string }
  | { readonly step: 'failed'; readonly problem: Problem };

interface Asked {
  /** Of what the call is now; only what was counted can be confirmed. */
  readonly match: Match | undefined;
  readonly problem: Problem | undefined;
  readonly isBusy: boolean;
  ask(): void;
  /** @returns `undefined` when it was refused */
  begin(reason: string): Promise<Operation | undefined>;
}

/** Counts at once what matches, and again when the call is another one. */
function useDryRun(call: OperationCall, isReady: boolean): Asked {
  const [seen, see] = useState<Seen>();
  const current = JSON.stringify([call.action, call.filter, call.to]);
  const match = seen?.step === 'asked' && seen.of === current ? seen.match : undefined;
  /** What was sent last: what is said of what was sent before comes too late. */
  const latest = useRef<object>(undefined);
  const send = async <T,>(part: object): Promise<T | undefined> => {
    latest.current = part;
    see({ step: 'asking' });
    try {
      return await callApi<T>('POST', 'operations', { ...call, ...part });
    } catch (error) {
      if (latest.current === part) see({ step: 'failed', problem: problemOf(error) });
      return undefined;
    }
  };
  const ask = async (): Promise<void> => {
    const part = { dryRun: true };
    const found = await send<Match>(part);
    if (found && latest.current === part) see({ step: 'asked', match: found, of: current });
  };
  useEffect(() => {
    if (isReady) void ask();
  }, [current, isReady]);
  return {
    match,
    problem: seen?.step === 'failed' ? seen.problem : undefined,
    isBusy: seen?.step === 'asking',
    ask: () => void ask(),
    begin: (reason) => send({ confirm: match?.confirm, ...withReason(reason) }),
  };
}

function Asking({
  label,
  words,
  call,
  tone,
  children,
  isReady = true,
  close,
}: BulkProps & { readonly close: () => void }) {
  const { match, problem, isBusy, ask, begin } = useDryRun(call, isReady);
  const [reason, setReason] = useState('');
  const [typed, type] = useState('');
  const count = match?.matched.value ?? 0;
  const reach = call.thenRest === true ? count : Math.min(count, call.first ?? count);
  const mustType = reach > TYPED_BEYOND;
  const act = async (): Promise<void> => {
    const made = await begin(reason);
    if (!made) return;
    close();
    announce(`${label}: begun`);
    refresh();
    go(linkTo(['operations', made.id]));
  };
  return (
    <>
      <h2>{label}?</h2>
      <p>{words}</p>
      {children}
      <div class="matched" role="status">
        {match ? <Matched match={match} call={call} /> : isBusy ? 'Counting …' : undefined}
      </div>
      {problem ? <Fault problem={problem} /> : undefined}
      {count > 0 ? <ReasonField use="for the audit" value={reason} onChange={setReason} /> : undefined}
      {mustType ? (
        <label class="field">
          More than {toCount(TYPED_BEYOND)} tasks: type the name of the queue, {call.filter.queue}
          <input value={typed} autocomplete="off" onInput={(event) => type(event.currentTarget.value)} />
        </label>
      ) : undefined}
      <div class="actions">
        <button type="button" onClick={close}>
          Back
        </button>
        {problem ? (
          <button type="button" onClick={ask}>
            Count again
          </button>
        ) : undefined}
        <button
          type="button"
          class={tone ?? 'primary'}
          disabled={isBusy || count === 0 || (mustType && typed !== call.filter.queue)}
          onClick={() => void act()}
        >
          {label}
        </button>
      </div>
    </>
  );
}

function Matched({ match, call }: { readonly match: Match; readonly call: OperationCall }) {
  const { value, relation } = match.matched;
  const { estimateSeconds = 0 } = match;
  const all = relation === 'eq' ? plural(value, 'task') : `At least ${plural(value, 'task')}`;
  const isPart = call.first !== undefined && call.first < value;
  return (
    <>
      <p>
        <b>{value === 0 ? 'No task' : all}</b> {value === 1 ? 'matches' : 'match'}.
        {isPart ? ` The first ${toCount(call.first ?? 0)} of them now.` : ''}
        {estimateSeconds > 0 && (!isPart || call.thenRest === true)
          ? ` This takes about ${toDuration(estimateSeconds * 1_000)}.`
          : ''}
      </p>
      <p>
        {Object.entries(match.perState).map(([state, count]) => (
          <Chip key={state} state={state}>
            {toCount(count)} {state}
          </Chip>
        ))}
      </p>
    </>
  );
}

function Fault({ problem }: { readonly problem: Problem }) {
  return (
    <div class="problem" role="alert">
      <p>
        <strong>{problem.title}.</strong> {problem.detail}
      </p>
      {problem.errors?.map(({ pointer, detail }) => (
        <p key={pointer}>
          <code>{pointer}</code> {detail}
        </p>
      ))}
      <RequestId of={problem} />
    </div>
  );
}
