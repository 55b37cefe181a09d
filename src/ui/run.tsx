// Runs a task by hand: a form of the schema or JSON, a check that sends nothing, and the same call for a terminal.

import { useEffect, useRef, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Items, Schema, Task, TaskType } from './api-types.d.ts';
import { useBusy } from './busy.ts';
import { toCurl } from './curl.ts';
import { Fault } from './fault.tsx';
import {
  type Draft,
  DraftSwitch,
  draftOf,
  faultAt,
  InputEditor,
  inputOf,
  malformed,
} from './input-editor.tsx';
import { Card, Chip, Code, Empty, Pending } from './parts.tsx';
import { linkTo, linkToTask } from './place.ts';
import { ApiError, type Problem, problemOf } from './problem.ts';
import { ProblemList } from './problem-list.tsx';
import { useResource } from './resource.ts';
import type { Values } from './schema-form.tsx';
import { announce, may, readShared } from './shared.ts';

/** @param from id of a task whose input and options the form begins with */
export function RunScreen({ type, from }: { readonly type: string; readonly from: string | undefined }) {
  if (!may('enqueue') && !may('read')) return <Empty isScreen title="Your key may not send tasks" />;
  // A key that may not see the types writes JSON.
  return may('read') ? (
    <KnownType type={type} from={from} />
  ) : (
    <RunForm type={type} schema={{}} original={undefined} />
  );
}

function KnownType({ type, from }: { readonly type: string; readonly from: string | undefined }) {
  const types = useResource<Items<TaskType>>('types', 0);
  if (types.data === undefined) return <Pending of={types} />;
  const known = types.data.items.find((one) => one.type === type);
  if (!known) {
    return (
      <Empty isScreen title={`This server does not know the type “${type}”`}>
        <a href={linkTo(['types'])}>All types</a>
      </Empty>
    );
  }
  return from === undefined ? (
    <RunForm type={type} schema={known.input} original={undefined} />
  ) : (
    <RunAgain key={from} type={type} schema={known.input} from={from} />
  );
}

/** What was seen of it when somebody asked for that also counts once it is removed. */
function RunAgain({ type, schema, from }: FormProps & { readonly from: string }) {
  const { again } = readShared();
  return again?.id === from ? (
    <RunForm type={type} schema={schema} original={again} />
  ) : (
    <ReadOriginal type={type} schema={schema} from={from} />
  );
}

function ReadOriginal({ type, schema, from }: FormProps & { readonly from: string }) {
  const original = useResource<Task>(`tasks/${encodeURIComponent(from)}`, 0);
  return original.data === undefined ? (
    <Pending of={original} />
  ) : (
    <RunForm type={type} schema={schema} original={original.data} />
  );
}

const OPTIONS = [
  ['queue', 'text', 'where it waits'],
  ['priority', 'text', 'high, normal or low'],
  ['delayMs', 'number', 'not before, in milliseconds'],
  ['timeoutMs', 'number', 'time limit, in milliseconds'],
  ['maxAttempts', 'number', 'how often at most'],
  ['key', 'text', 'idempotency key'],
] as const;

type Ending = { readonly kind: 'valid' } | { readonly kind: 'sent'; readonly id: string } | undefined;

interface FormProps {
  readonly type: string;
  readonly schema: Schema;
}

/** What the form has of the options of a task. */
function optionsOf({ queue, priority, options = {} }: Task): Values {
  const given = new Map<string, unknown>(Object.entries({ ...options, queue, priority }));
  return new Map(
    OPTIONS.flatMap(([name]) => {
      const value = given.get(name);
      return typeof value === 'string' || typeof value === 'number' ? [[name, String(value)] as const] : [];
    }),
  );
}

/** What sends a task, or only asks whether it would be accepted; one at a time. @param body or what is wrong with the JSON */
function useSend(body: object | SyntaxError): {
  readonly isBusy: boolean;
  readonly problem: Problem | undefined;
  readonly ending: Ending;
  readonly send: (path: 'tasks' | 'tasks/check') => void;
} {
  const [isBusy, begin] = useBusy();
  const [problem, setProblem] = useState<Problem>();
  const [ending, setEnding] = useState<Ending>();
  const last = useRef({ draft: '', key: '' });
  // One that is sent again because no answer came finds its task. `randomUUID` is missing in pages that came over http.
  const keyOf = (draft: string): string => {
    if (last.current.draft !== draft) {
      last.current = { draft, key: crypto.getRandomValues(new Uint32Array(4)).join('-') };
    }
    return last.current.key;
  };
  const send = async (path: 'tasks' | 'tasks/check'): Promise<void> => {
    setProblem(undefined);
    setEnding(undefined);
    try {
      if (body instanceof SyntaxError) throw new ApiError(malformed(body));
      const isSent = path === 'tasks';
      const whole = isSent ? { key: keyOf(JSON.stringify(body)), ...body } : body;
      const { id } = await callApi<{ readonly id: string }>('POST', path, whole);
      if (isSent) last.current = { draft: '', key: '' };
      setEnding(isSent ? { kind: 'sent', id } : { kind: 'valid' });
      announce(isSent ? 'Task sent' : 'It would be accepted');
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  return { isBusy, problem, ending, send: (path) => void begin(() => send(path)) };
}

/** @param original the task that is run again */
function RunForm({ type, schema, original }: FormProps & { readonly original: Task | undefined }) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema, original ? original.input : {}));
  const [options, setOptions] = useState<Values>(() => (original ? optionsOf(original) : new Map()));
  const body = bodyOf(type, schema, draft, options);
  const { isBusy, problem, ending, send } = useSend(body);
  // The first field that is wrong gets the focus, once its message stands beside it.
  useEffect(() => {
    if (problem) document.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [problem]);
  useEffect(() => {
    if (ending?.kind === 'sent') document.querySelector<HTMLElement>('#sent a')?.focus();
  }, [ending]);

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        send('tasks');
      }}
    >
      <header class="screen-head">
        <h1>Run {type}</h1>
        <DraftSwitch schema={schema} draft={draft} setDraft={setDraft} />
      </header>
      <div class="columns">
        <Card title="Input">
          <InputEditor schema={schema} draft={draft} setDraft={setDraft} problem={problem} />
          <Options
            isOpen={original !== undefined}
            options={options}
            setOptions={setOptions}
            problem={problem}
          />
          <Outcome problem={problem} ending={ending} />
          {may('enqueue') ? (
            <div class="actions">
              <button type="submit" class="primary" aria-disabled={isBusy}>
                Send
              </button>
              <button type="button" aria-disabled={isBusy} onClick={() => send('tasks/check')}>
                Check only
              </button>
            </div>
          ) : (
            <p class="muted">Your key may not send tasks: this needs the scope “enqueue”.</p>
          )}
        </Card>
        <Card title="The same from a terminal">
          <Code
            text={body instanceof SyntaxError ? `The JSON is not complete: ${body.message}` : toCurl(body)}
          />
        </Card>
      </div>
    </form>
  );
}

/** The body of the call, or what is wrong with the JSON. */
function bodyOf(type: string, schema: Schema, draft: Draft, options: Values): object | SyntaxError {
  const input = inputOf(schema, draft);
  if (input instanceof SyntaxError) return input;
  const given = OPTIONS.flatMap(([name, kind]) => {
    const text = options.get(name)?.trim() ?? '';
    return text === ''
      ? []
      : [[name, kind === 'number' && Number.isFinite(Number(text)) ? Number(text) : text] as const];
  });
  return { type, input, ...Object.fromEntries(given) };
}

function Options({
  isOpen,
  options,
  setOptions,
  problem,
}: {
  /** At first. */
  readonly isOpen: boolean;
  readonly options: Values;
  readonly setOptions: (options: Values) => void;
  readonly problem: Problem | undefined;
}) {
  return (
    <details class="options" open={isOpen}>
      <summary>Options</summary>
      <div class="fields">
        {OPTIONS.map(([name, , hint]) => {
          const fault = faultAt(problem, `#/${name}`);
          return (
            <div key={name} class="field">
              <label for={`option-${name}`}>
                {name} <span class="muted">{hint}</span>
              </label>
              <input
                id={`option-${name}`}
                value={options.get(name) ?? ''}
                autocomplete="off"
                aria-invalid={fault === undefined ? undefined : true}
                aria-describedby={fault === undefined ? undefined : `option-${name}-fault`}
                onInput={(event) => setOptions(new Map(options).set(name, event.currentTarget.value))}
              />
              <Fault id={`option-${name}`} text={fault} />
            </div>
          );
        })}
      </div>
    </details>
  );
}

function Outcome({ problem, ending }: { readonly problem: Problem | undefined; readonly ending: Ending }) {
  return (
    <div id="outcome" role="alert">
      <ProblemList problem={problem} />
      {ending?.kind === 'valid' ? (
        <Chip state="succeeded">It would be accepted. Nothing was sent.</Chip>
      ) : undefined}
      {ending?.kind === 'sent' ? (
        <p id="sent">
          <Chip state="succeeded">sent</Chip> <a href={linkToTask(ending.id)}>{ending.id}</a>
        </p>
      ) : undefined}
    </div>
  );
}
