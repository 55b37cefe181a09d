// Small parts that all screens are made of.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { serverNow } from './api.ts';
import { useBusy } from './busy.ts';
import { Copy } from './copy.tsx';
import { toDuration, toLocal, toRelative } from './format.ts';
import { refresh } from './live.ts';
import { type Problem, problemOf } from './problem.ts';
import { ReasonField } from './reason-field.tsx';
import type { Resource } from './resource.ts';
import { announce, announceProblem } from './shared.ts';

/** A state is told by its mark, its word and its colour: never by colour alone. */
const MARKS = new Map([
  ['waiting', '⋯'],
  ['scheduled', '◷'],
  ['ready', '●'],
  ['running', '▶'],
  ['succeeded', '✓'],
  ['dead', '✕'],
  ['cancelled', '⊘'],
  ['paused', '▲'],
  ['warn', '▲'],
]);

/** '•' for a state that is not known here. */
export function markOf(state: string): string {
  return MARKS.get(state) ?? '•';
}

export function Mark({ state }: { readonly state: string }) {
  return (
    <span class="mark" aria-hidden="true">
      {markOf(state)}
    </span>
  );
}

export function Chip({ state, children }: { readonly state: string; readonly children?: ComponentChildren }) {
  return (
    <span class={`chip is-${MARKS.has(state) ? state : 'cancelled'}`}>
      {MARKS.has(state) ? <Mark state={state} /> : undefined}
      {children ?? state}
    </span>
  );
}

/** A time relative to the clock of the server; the whole time on hover and focus. */
export function Time({ at, prefix }: { readonly at: string | undefined; readonly prefix?: string }) {
  if (at === undefined) return <span class="muted">–</span>;
  return (
    <time dateTime={at} title={`${toLocal(at)} (${at})`}>
      {prefix}
      {toRelative(at, serverNow())}
    </time>
  );
}

/**
 * Seconds that go on by themselves while something runs.
 * @param limitMs how long it may: then it is the time that is left
 */
export function Ticking({ since, limitMs }: { readonly since: string; readonly limitMs?: number }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => redraw((count) => count + 1), 1_000);
    return () => clearInterval(timer);
  }, []);
  const ms = serverNow() - Date.parse(since);
  return <>{toDuration(limitMs === undefined ? ms : limitMs - ms)}</>;
}

export function Card({
  title,
  aside,
  children,
  tone,
}: {
  readonly title?: ComponentChildren;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
  readonly tone?: 'warn' | 'bad';
}) {
  return (
    <section class={tone === undefined ? 'card' : `card is-${tone}`}>
      {title === undefined ? undefined : (
        <header class="card-head">
          <h2>{title}</h2>
          {aside}
        </header>
      )}
      {children}
    </section>
  );
}

/** A table that scrolls within its own region, where the page is narrower. */
export function Table({
  label,
  heads,
  children,
}: {
  readonly label: string;
  /** With `#` in front for columns of numbers, with `-` for one whose head only screen readers say. */
  readonly heads: readonly string[];
  readonly children: ComponentChildren;
}) {
  return (
    <div class="scroll" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col" class={head.startsWith('#') ? 'number' : undefined}>
                {head.startsWith('-') ? <span class="hidden">{head.slice(1)}</span> : head.replace(/^#/, '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** @param isScreen when nothing else stands on the screen: then it is its headline */
export function Empty({
  title,
  isScreen,
  children,
}: {
  readonly title: string;
  readonly isScreen?: boolean;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      {isScreen === true ? <h1>{title}</h1> : <p class="empty-title">{title}</p>}
      {children}
    </div>
  );
}

/** What could not be read, and what to do; in place of a screen. */
export function ProblemBox({ problem, retry }: { readonly problem: Problem; readonly retry?: () => void }) {
  const isForbidden = problem.status === 403;
  return (
    <div class="problem" role={isForbidden ? undefined : 'alert'}>
      <h1>{isForbidden ? 'Your key may not see this' : problem.title}</h1>
      <p>{problem.detail}</p>
      <RequestId of={problem} />
      {retry === undefined || isForbidden ? undefined : (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** By which the log of the server has it. */
export function RequestId({ of }: { readonly of: Problem | undefined }) {
  if (of?.requestId === undefined) return null;
  return (
    <p class="muted">
      Request <code>{of.requestId}</code>
    </p>
  );
}

/** Shown only when loading takes a while: a flash would disturb more than it tells. */
export function Loading() {
  return (
    <div class="loading" role="status">
      <span class="hidden">Loading</span>
      <i />
      <i />
      <i />
    </div>
  );
}

/** In place of what has not been read yet: why not, when that is known. */
export function Pending({ of: { problem, reload } }: { readonly of: Resource<unknown> }) {
  return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
}

/** Below the headline of what has the id. */
export function IdLine({ of }: { readonly of: string }) {
  return (
    <p class="muted task-id">
      <code>{of}</code> <Copy text={of} label="Copy id" />
    </p>
  );
}

export function Code({ text, copyLabel }: { readonly text: string; readonly copyLabel?: string }) {
  return (
    <div class="code">
      <pre tabIndex={0}>{text}</pre>
      <Copy text={text} {...(copyLabel === undefined ? {} : { label: copyLabel })} />
    </div>
  );
}

export interface ActionProps {
  /** A verb, such as `Cancel`. */
  readonly label: string;
  /** What it is done to, where several such buttons stand on a page. */
  readonly about?: string;
  /** What it did, for people: `Cancelled`. */
  readonly done: string;
  /** `reason` is '' unless it was asked for. */
  readonly run: (reason: string) => Promise<unknown>;
  /** What happens, in a sentence; then it is asked first. */
  readonly confirm?: string;
  /** Who reads a reason (`for the audit`): then `confirm` asks for one as well. */
  readonly reasonUse?: string;
  readonly tone?: 'danger' | 'primary';
  readonly id?: string;
  /** Called when it was done. */
  readonly after?: () => void;
}

/** A button that changes something. A failure is shown with its reason, and nothing on the page is lost. */
export function Action({ label, about, done, run, confirm, reasonUse, tone, id, after }: ActionProps) {
  const [isBusy, begin] = useBusy();
  const [reason, setReason] = useState('');
  const dialog = useRef<HTMLDialogElement>(null);
  const act = async (): Promise<void> => {
    dialog.current?.close();
    try {
      await run(reason);
      announce(done);
      setReason('');
      after?.();
    } catch (error) {
      announceProblem(`${label}: not done`, problemOf(error));
    }
    refresh();
  };
  const ask = (): void => {
    if (isBusy) return;
    if (confirm === undefined) void begin(act);
    else dialog.current?.showModal();
  };
  return (
    <>
      <button
        type="button"
        id={id}
        class={tone}
        aria-disabled={isBusy}
        aria-label={about === undefined ? undefined : `${label} ${about}`}
        onClick={ask}
      >
        {label}
      </button>
      {confirm === undefined ? undefined : (
        <dialog ref={dialog} aria-label={label}>
          <h2>{label}?</h2>
          <p>{confirm}</p>
          {reasonUse === undefined ? undefined : (
            <ReasonField use={reasonUse} value={reason} onChange={setReason} />
          )}
          <div class="actions">
            <button type="button" onClick={() => dialog.current?.close()}>
              Back
            </button>
            <button type="button" class={tone ?? 'primary'} onClick={() => void begin(act)}>
              {label}
            </button>
          </div>
        </dialog>
      )}
    </>
  );
}

export interface Concern {
  readonly key: string;
  readonly text: ComponentChildren;
}

/** What somebody has to act on; nothing when there is nothing. */
export function Concerns({ title, of }: { readonly title: string; readonly of: readonly Concern[] }) {
  if (of.length === 0) return null;
  return (
    <Card title={title} tone="warn">
      <ul class="concerns">
        {of.map(({ key, text }) => (
          <li key={key}>
            <Mark state="warn" />
            <span>{text}</span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** Names of settings are long: a narrow column breaks them between their words. */
function breakable(name: string): ComponentChildren {
  return name.split('_').map((word, at) => (at === 0 ? word : ['_', <wbr />, word]));
}

/** Names and values beside each other; what is undefined is left out. */
export function Facts({
  of,
  isWide,
}: {
  readonly of: readonly (readonly [name: string, value: ComponentChildren])[];
  /** Beside each other, each under its name. */
  readonly isWide?: boolean;
}) {
  return (
    <dl class={isWide === true ? 'facts is-wide' : 'facts'}>
      {of
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{breakable(name)}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
