// Runs a task by hand: a form of the schema or JSON, a check that sends nothing, and the same call for a terminal.

import { useEffect, useState } from 'preact/hooks';
import { ApiError, callApi, type Problem, problemOf } from './api.ts';
import type { Items, Schema, Task, TaskType } from './api-types.d.ts';
import { toCurl } from './curl.ts';
import { Card, Chip, Code, Empty, Loading, ProblemBox } from './parts.tsx';
import { toText } from './payload.tsx';
import { linkTo, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { fieldsOf, SchemaForm, toInput, toValues, type Values } from './schema-form.tsx';
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

/** What is typed: as fields or as JSON, whichever is shown. */
interface Draft {
  readonly isJson: boolean;
  readonly values: Values;
  readonly json: string;
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
  const hasForm = fieldsOf(schema) !== undefined;
  const [draft, setDraft] = useState<Draft>({
    isJson: !hasForm,
    values: toValues(schema, start),
    json: toText(start),
  });
  const [options, setOptions] = useState<Values>(new Map());
  const [problem, setProblem] = useState<Problem>();
  const [ending, setEnding] = useState<Ending>();
  const body = bodyOf(type, schema, draft, options);

  const send = async (path: 'tasks' | 'tasks/check'): Promise<void> => {
    setProblem(undefined);
    setEnding(undefined);
    try {
      if (body instanceof SyntaxError) throw new ApiError(noJson(body));
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
        {hasForm ? (
          <button type="button" class="small" onClick={() => setDraft(turned(schema, draft))}>
            {draft.isJson ? 'As a form' : 'As JSON'}
          </button>
        ) : undefined}
      </header>
      <div class="columns">
        <Card title="Input">
          <Input schema={schema} draft={draft} setDraft={setDraft} problem={problem} />
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
function bodyOf(
  type: string,
  schema: Schema,
  { isJson, values, json }: Draft,
  options: Values,
): object | SyntaxError {
  try {
    const input: unknown = isJson ? JSON.parse(json) : toInput(schema, values);
    const given = OPTIONS.flatMap(([name, kind]) => {
      const text = options.get(name)?.trim() ?? '';
      return text === ''
        ? []
        : [[name, kind === 'number' && Number.isFinite(Number(text)) ? Number(text) : text] as const];
    });
    return { type, input, ...Object.fromEntries(given) };
  } catch (error) {
    return error as SyntaxError;
  }
}

function noJson({ message }: SyntaxError): Problem {
  return { status: 0, code: 'malformed', title: 'This is no JSON', detail: message };
}

/** The other way to write the same; JSON that cannot be read stays as it is. */
function turned(schema: Schema, { isJson, values, json }: Draft): Draft {
  try {
    if (isJson) return { isJson: false, json, values: toValues(schema, JSON.parse(json)) };
    return { isJson: true, values, json: toText(toInput(schema, values)) };
  } catch {
    return { isJson, values, json };
  }
}

/** What the server says about the value at a pointer, or anywhere below it. */
function faultAt(problem: Problem | undefined, pointer: string): string | undefined {
  return problem?.errors?.find((one) => one.pointer === pointer || one.pointer.startsWith(`${pointer}/`))
    ?.detail;
}

function pointerTo(name: string): string {
  return `#/input/${encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))}`;
}

function Input({
  schema,
  draft,
  setDraft,
  problem,
}: {
  readonly schema: Schema;
  readonly draft: Draft;
  readonly setDraft: (draft: Draft) => void;
  readonly problem: Problem | undefined;
}) {
  if (!draft.isJson) {
    return (
      <SchemaForm
        schema={schema}
        values={draft.values}
        onChange={(values) => setDraft({ ...draft, values })}
        faultOf={(name) => faultAt(problem, pointerTo(name))}
      />
    );
  }
  const isWrong = problem?.code === 'malformed' || faultAt(problem, '#/input') !== undefined;
  return (
    <div class="field">
      <label for="input-json">Input as JSON</label>
      <textarea
        id="input-json"
        class="mono"
        rows={10}
        spellcheck={false}
        aria-invalid={isWrong ? true : undefined}
        aria-describedby={isWrong ? 'outcome' : undefined}
        value={draft.json}
        onInput={(event) => setDraft({ ...draft, json: event.currentTarget.value })}
      />
    </div>
  );
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
              {fault === undefined ? undefined : (
                <p id={`option-${name}-fault`} class="fault">
                  {fault}
                </p>
              )}
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
      {problem === undefined ? undefined : (
        <div class="problem">
          <p class="empty-title">{problem.title}</p>
          <p>{problem.detail}</p>
          {problem.errors === undefined ? undefined : (
            <ul>
              {problem.errors.slice(0, 10).map(({ pointer, detail }) => (
                <li key={pointer}>
                  <code>{pointer}</code> {detail}
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
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
