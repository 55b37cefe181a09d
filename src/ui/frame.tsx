// What stands around every screen: navigation, search, the numbers of the fleet, what is wrong now.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import { plural, toCount, toDuration } from './format.ts';
import { Help, useKeyboard } from './keyboard.tsx';
import { refresh, setPaused, sum } from './live.ts';
import { Chip, RequestId } from './parts.tsx';
import { linkTo } from './place.ts';
import { problemOf } from './problem.ts';
import { currentTheme, setTheme, THEMES } from './settings.ts';
import { announceProblem, type Fleet, may, share, useShared } from './shared.ts';
import { useFind } from './use-find.ts';
import { ofWorkers } from './with-fleet.tsx';

const NAVIGATION: readonly (readonly [path: string, word: string, drawing: string])[] = [
  ['', 'Overview', 'M3 9.5 10 4l7 5.5V16H3zM8 16v-4h4v4'],
  ['queues', 'Queues', 'M4 6h12M4 10h12M4 14h8'],
  ['tasks', 'Tasks', 'M4 5h3v3H4zM4 12h3v3H4zM10 6.500h6M10 13.500h6'],
  ['workflows', 'Workflows', 'M3 7.500h4v5H3zM13 3h4v5h-4zM13 12h4v5h-4zM7 10h3V5.500h3M10 10v4.500h3'],
  ['batches', 'Batches', 'M4 4h8v8H4zM7 12v3.500h9V7h-4'],
  ['dead', 'Dead letters', 'M10 3 18 16.500H2zM10 8v4M10 14v.010'],
  ['workers', 'Workers', 'M6 6h8v8H6zM8 3v3M12 3v3M8 14v3M12 14v3M3 8h3M3 12h3M14 8h3M14 12h3'],
  ['schedules', 'Schedules', 'M10 3.500a6.500 6.500 0 1 0 .010 0M10 6.500V10l2.500 2'],
  ['operations', 'Operations', 'M4 5h7M4 10h5M4 15h7M13 12l2 2 3.500-4'],
  ['types', 'Types', 'M7 5 3 10l4 5M13 5l4 5-4 5'],
  ['webhooks', 'Webhooks', 'M3 10h9M9 6l4 4-4 4M16 4v12'],
  ['audit', 'Audit', 'M5 3.500h10v13H5zM8 7.500h4M8 10.500h4M8 13.500h2'],
  ['system', 'System', 'M3 4h14v5H3zM3 11h14v5H3zM6 6.500h.010M6 13.500h.010'],
];

export function Frame({
  current,
  children,
}: {
  readonly current: string;
  readonly children: ComponentChildren;
}) {
  const help = useRef<HTMLDialogElement>(null);
  useKeyboard(help);
  const { fleet } = useShared();
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const here = list.current?.querySelector<HTMLElement>('[aria-current]');
    // On a phone it is a strip that scrolls.
    if (list.current && here) {
      list.current.scrollLeft = here.offsetLeft - (list.current.clientWidth - here.offsetWidth) / 2;
    }
  }, [current]);
  const skip = (event: Event): void => {
    event.preventDefault();
    document.querySelector<HTMLElement>('main')?.focus();
  };
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href={linkTo([])}>
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <rect width="20" height="20" rx="5" />
            <path d="M5 6.500h10M5 10h10M5 13.500h6" />
          </svg>
          popfleet
        </a>
        <Search />
        <div class="top-end">
          <LiveButton />
          <ThemeButton />
          <button
            type="button"
            class="quiet"
            aria-label="Keyboard and help"
            onClick={() => help.current?.showModal()}
          >
            ?
          </button>
          <SignOut />
        </div>
      </header>
      <nav class="side" aria-label="Screens">
        <ul ref={list}>
          {NAVIGATION.map(([path, word, drawing]) => (
            <li key={path}>
              <a
                href={linkTo(path === '' ? [] : [path])}
                aria-current={current === path ? 'page' : undefined}
              >
                <svg viewBox="0 0 20 20" aria-hidden="true">
                  <path d={drawing} />
                </svg>
                {word}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="body">
        <Banner />
        {fleet === undefined || current === '' ? undefined : <Numbers fleet={fleet} />}
        <main id="main" tabIndex={-1}>
          {children}
        </main>
      </div>
      <Notices />
      <Help dialog={help} />
    </>
  );
}

/** An id leads to its task, whatever queue it is in; conditions lead to the tasks that have them. */
function Search() {
  const { fault, find, forget } = useFind();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const input = (event.currentTarget as HTMLFormElement).querySelector('input');
    if (input) find(input);
  };
  return (
    <search class="search">
      <form onSubmit={submit}>
        <input
          id="search"
          type="search"
          aria-label="Find tasks by id or conditions"
          aria-describedby={fault === undefined ? undefined : 'search-fault'}
          placeholder="Task id, or state:dead type:mail tag:eu"
          autocomplete="off"
          spellcheck={false}
          onInput={forget}
        />
        <kbd aria-hidden="true">/</kbd>
      </form>
      {fault === undefined ? undefined : (
        <p id="search-fault" class="search-fault" role="alert">
          {fault}
        </p>
      )}
    </search>
  );
}

function LiveButton() {
  const { isPaused, outage } = useShared();
  const word = isPaused ? 'Paused' : outage === undefined ? 'Live' : 'Waiting';
  return (
    <button
      type="button"
      class={`quiet live is-${word.toLowerCase()}`}
      aria-pressed={isPaused}
      aria-label={isPaused ? 'Paused: go on with live data' : `${word}: pause live data`}
      onClick={() => setPaused(!isPaused)}
    >
      <i aria-hidden="true" />
      <span>{word}</span>
    </button>
  );
}

function ThemeButton() {
  const [theme, show] = useState(currentTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
  const turn = (): void => {
    setTheme(next);
    show(next);
  };
  const drawing = new Map([
    ['system', 'M3 4h14v9H3zM7 16h6'],
    [
      'light',
      'M10 6.500a3.500 3.500 0 1 0 .010 0M10 2v2M10 16v2M2 10h2M16 10h2M4.500 4.500l1.400 1.400M14 14l1.500 1.500M4.500 15.500 6 14M14 6l1.500-1.500',
    ],
    ['dark', 'M15.500 12A6.500 6.500 0 0 1 8 4.500a6 6 0 1 0 7.500 7.500z'],
  ]).get(theme);
  return (
    <button
      type="button"
      class="quiet"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={turn}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d={drawing ?? ''} />
      </svg>
    </button>
  );
}

function SignOut() {
  const { session } = useShared();
  if (session?.key === undefined) return null;
  const signOut = async (): Promise<void> => {
    try {
      await callApi('DELETE', 'session');
    } catch (error) {
      const problem = problemOf(error);
      if (problem.status !== 401) return announceProblem('You are still signed in', problem);
    }
    // Nothing of what it has shown stays in the page.
    location.reload();
  };
  const role = may('admin') ? 'admin' : session.scopes.join(', ');
  return (
    <button type="button" class="quiet" title={`Key ${session.key}: ${role}`} onClick={() => void signOut()}>
      Sign out
    </button>
  );
}

/** Says since when the numbers are old, and when they are asked for again. */
function Banner() {
  const { outage, fleet, isPaused } = useShared();
  const [, redraw] = useState(0);
  useEffect(() => {
    if (outage === undefined) return undefined;
    const timer = setInterval(() => redraw((count) => count + 1), 1_000);
    return () => clearInterval(timer);
  }, [outage === undefined]);
  if (outage === undefined) return null;
  const { problem, since, retryAt } = outage;
  const title = problem.code === 'redis-unavailable' ? 'Redis does not answer' : problem.title;
  const next = isPaused
    ? 'It is not tried again while the page is paused.'
    : `Next try in ${toDuration(Math.max(0, retryAt - Date.now()))}.`;
  const age = fleet === undefined ? '' : ` What you see is ${toDuration(Date.now() - fleet.at)} old.`;
  return (
    <div class="banner">
      <p role="alert">
        <strong>{title}.</strong> {problem.detail}
      </p>
      <p>
        {`For ${toDuration(Date.now() - since)}.${age} ${next} `}
        <button type="button" class="small" onClick={refresh}>
          Try now
        </button>
      </p>
    </div>
  );
}

/** Tasks of a state: their list where there is one queue, else the queues. */
export function linkToState(state: string, fleet: Fleet): string {
  if (state === 'dead') return linkTo(['dead']);
  const [only, ...others] = fleet.queues;
  return only && others.length === 0 ? linkTo(['tasks'], { queue: only.queue, state }) : linkTo(['queues']);
}

function Numbers({ fleet }: { readonly fleet: Fleet }) {
  const workers = new Set(ofWorkers(fleet.workers).map(({ worker }) => worker)).size;
  return (
    <aside aria-label="The fleet">
      <ul class="numbers">
        {['ready', 'running', 'scheduled', 'dead'].map((state) => (
          <li key={state}>
            <a href={linkToState(state, fleet)}>
              <Chip state={state}>
                <b>{toCount(sum(fleet.queues, ({ counts }) => counts[state] ?? 0))}</b> {state}
              </Chip>
            </a>
          </li>
        ))}
        <li>
          <a href={linkTo(['workers'])}>
            <Chip state={workers === 0 ? 'warn' : 'plain'}>{plural(workers, 'worker')}</Chip>
          </a>
        </li>
      </ul>
    </aside>
  );
}

/** What was done or not done: polite when it went well, at once when not. */
function Notices() {
  const { notice } = useShared();
  const close = (): void => share({ notice: undefined });
  useEffect(() => {
    if (notice?.tone !== 'good') return undefined;
    const timer = setTimeout(close, 4_000);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div class="notices">
      <div role="status">
        {notice?.tone === 'good' ? <p class="notice is-good">{notice.text}</p> : undefined}
      </div>
      <div role="alert">
        {notice?.tone === 'bad' ? (
          <div class="notice is-bad">
            <p>
              <strong>{notice.text}.</strong> {notice.problem?.title}
            </p>
            <p>{notice.problem?.detail}</p>
            <RequestId of={notice.problem} />
            <button type="button" class="small" onClick={close}>
              Close
            </button>
          </div>
        ) : undefined}
      </div>
    </div>
  );
}
