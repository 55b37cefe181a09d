// Runs a task by hand: a form of the schema or JSON, a check that sends nothing, and the same call for a terminal.

import { useEffect, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Items, Schema, Task, TaskType } from './api-types.d.ts';
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
import { Card, Chip, Code, Empty, Loading, ProblemBox } from './parts.tsx';
import { linkTo, linkToTask } from './place.ts';
import { ApiError, type Problem, problemOf } from './problem.ts';
import { ProblemList } from './problem-list.tsx';
import { useResource } from './resource.ts';
import type { Values } from './schema-form.tsx';
import { announce, may } from './shared.ts';

/** @param from id of a task whose input the form begins with */
export function RunScreen({ type, from }: { readonly type: string; readonly from: string | undefined }) {
  if (!may('enqueue') && !may('read')) return <Empty isScreen title="Your key may not send tasks" />;
  // A key that may not see the types writes JSON.
  return may('read') ? <KnownType type={type} from={from} /> : <RunForm type={type} schema={{}} start={{}} />;
}

function KnownType({ type, from }: { readonly type: string; readonly from: string | undefined }) {
  const { data, problem, reload } = useResource<Items<TaskType>>('types', 0);
  const [start, setStart] = useState<{ readonly input: unknown } | undefined>(
    from === undefined ? { input: {} } : undefined,
  );
  useEffect(() => {
    if (from === undefined) return;
    void callApi<Task>('GET', `tasks/${encodeURIComponent(from)}`).then(
      ({ input }) => setStart({ input }),
      () => setStart({ input: {} }),
    );
  }, [from]);
  if (data === undefined) return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  const known = data.items.find((one) => one.type === type);
  if (!known) {
    return (
      <Empty isScreen title={`This server does not know the type “${type}”`}>
        <a href={linkTo(['types'])}>All types</a>
      </Empty>
    );
  }
  return start === undefined ? <Loading /> : <RunForm type={type} schema={known.input} start={start.input} />;
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

function RunForm({
  type,
  schema,
  start,
}: {
  readonly type: string;
  readonly schema: Schema;
  readonly start: unknown;
}) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema, start));
  const [options, setOptions] = useState<Values>(new Map());
  const [problem, setProblem] = useState<Problem>();
  const [ending, setEnding] = useState<Ending>();
  const body = bodyOf(type, schema, draft, options);

  const send = async (path: 'tasks' | 'tasks/check'): Promise<void> => {
    setProblem(undefined);
    setEnding(undefined);
    try {
      if (body instanceof SyntaxError) throw new ApiError(malformed(body));
      const { id } = await callApi<{ readonly id: string }>('POST', path, body);
      setEnding(path === 'tasks' ? { kind: 'sent', id } : { kind: 'valid' });
      announce(path === 'tasks' ? 'Task sent' : 'It would be accepted');
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
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
        void send('tasks');
      }}
    >
      <header class="screen-head">
        <h1>Run {type}</h1>
        <DraftSwitch schema={schema} draft={draft} setDraft={setDraft} />
      </header>
      <div class="columns">
        <Card title="Input">
          <InputEditor schema={schema} draft={draft} setDraft={setDraft} problem={problem} />
          <Options options={options} setOptions={setOptions} problem={problem} />
          <Outcome problem={problem} ending={ending} />
          {may('enqueue') ? (
            <div class="actions">
              <button type="submit" class="primary">
                Send
              </button>
              <button type="button" onClick={() => void send('tasks/check')}>
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
  options,
  setOptions,
  problem,
}: {
  readonly options: Values;
  readonly setOptions: (options: Values) => void;
  readonly problem: Problem | undefined;
}) {
  return (
    <details class="options">
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
