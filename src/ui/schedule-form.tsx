// Makes a schedule, or changes one: what is typed is checked by the server at once, which says when it would tick.

import { useEffect, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Items, Schedule, TaskType } from './api-types.d.ts';
import { useBusy } from './busy.ts';
import { Choice } from './choice.tsx';
import { FormEnd, JsonField, TextField } from './form-parts.tsx';
import { toLocal } from './format.ts';
import { faultAt, malformed } from './input-editor.tsx';
import { Card, Time } from './parts.tsx';
import { type Problem, problemOf } from './problem.ts';
import { ProblemList } from './problem-list.tsx';
import { useResource } from './resource.ts';
import { announce } from './shared.ts';

/** Somebody types on for so long before what stands there is checked. */
const TYPED_MS = 300;
const MISSED = new Map([
  ['skip', 'are skipped'],
  ['once', 'start one thing together'],
]);
const STARTS = new Map([
  ['task', 'a task'],
  ['workflow', 'a workflow'],
]);
const TIMES = new Map([
  ['cron', 'At times of the day (cron)'],
  ['every', 'Again and again'],
]);

/** What is typed. */
interface Typed {
  readonly name: string;
  readonly starts: string;
  readonly type: string;
  readonly workflow: string;
  readonly queue: string;
  readonly kind: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly seconds: string;
  readonly misfire: string;
  readonly input: string;
}

function typedOf(schedule: Schedule | undefined): Typed {
  const { name = '', type = '', queue = '', cron = '0 6 * * *', everyMs, timeZone, misfire } = schedule ?? {};
  const { workflow = { tasks: { first: { type: '', input: {} } } } } = schedule ?? {};
  return {
    name,
    starts: schedule?.workflow ? 'workflow' : 'task',
    type,
    workflow: JSON.stringify(workflow, undefined, 2),
    queue,
    kind: everyMs === undefined ? 'cron' : 'every',
    cron,
    timeZone: timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    seconds: String((everyMs ?? 3_600_000) / 1_000),
    misfire: misfire ?? 'skip',
    input: JSON.stringify(schedule?.input ?? {}, undefined, 2),
  };
}

/** What a schedule is told of beside what was put, and what the form has. */
const NOT_KEPT = new Set(
  'name next last skipped fault queue type input workflow misfire cron everyMs timeZone'.split(' '),
);

/** The body of the call, or what is wrong with the JSON. What the form does not show stays as it is. */
function bodyOf(schedule: Schedule | undefined, typed: Typed): object | SyntaxError {
  const kept = Object.entries(schedule ?? {}).filter(([name]) => !NOT_KEPT.has(name));
  const queue = typed.queue.trim();
  try {
    return {
      ...Object.fromEntries(kept),
      ...(queue === '' ? {} : { queue }),
      ...(typed.starts === 'workflow'
        ? { workflow: JSON.parse(typed.workflow) as unknown }
        : { type: typed.type, input: JSON.parse(typed.input) as unknown }),
      misfire: typed.misfire,
      ...(typed.kind === 'cron'
        ? { cron: typed.cron, timeZone: typed.timeZone.trim() }
        : { everyMs: Math.round(Number(typed.seconds) * 1_000) }),
    };
  } catch (error) {
    return error instanceof SyntaxError ? error : new SyntaxError(String(error));
  }
}

/** When it would tick, or why not; `undefined` until the first answer. */
type Checked = { readonly next: readonly string[] } | { readonly problem: Problem } | undefined;

function useCheck(body: object | SyntaxError): Checked {
  const [checked, setChecked] = useState<Checked>();
  const text = body instanceof SyntaxError ? body.message : JSON.stringify(body);
  useEffect(() => {
    if (body instanceof SyntaxError) {
      setChecked({ problem: malformed(body) });
      return;
    }
    let isOver = false;
    const timer = setTimeout(() => {
      void callApi<{ readonly next: readonly string[] }>('POST', 'schedules/check', body).then(
        (found) => isOver || setChecked(found),
        (error: unknown) => isOver || setChecked({ problem: problemOf(error) }),
      );
    }, TYPED_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [text]);
  return checked;
}

/** @param schedule the one that is changed; `undefined` = a new one */
export function ScheduleForm({
  schedule,
  close,
  onDone,
}: {
  readonly schedule: Schedule | undefined;
  readonly close: () => void;
  readonly onDone: () => void;
}) {
  const { data } = useResource<Items<TaskType>>('types', 0);
  const [typed, setTyped] = useState<Typed>(() => typedOf(schedule));
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, begin] = useBusy();
  const types = data?.items.map(({ type }) => type) ?? [];
  const [first = ''] = types;
  const whole = { ...typed, type: typed.type === '' ? first : typed.type };
  const body = bodyOf(schedule, whole);
  const checked = useCheck(body);
  const fault = problem ?? (checked && 'problem' in checked ? checked.problem : undefined);
  const set = (part: Partial<Typed>): void => {
    setProblem(undefined);
    setTyped({ ...typed, ...part });
  };
  useEffect(
    () => document.querySelector<HTMLElement>('#schedule-name, #schedule-cron, #schedule-seconds')?.focus(),
    [],
  );

  const save = async (): Promise<void> => {
    try {
      if (body instanceof SyntaxError) return;
      const query = schedule ? `?queue=${encodeURIComponent(schedule.queue)}` : '';
      const path = `schedules/${encodeURIComponent(typed.name.trim())}${query}`;
      // What the form does not show may have changed since it was opened: somebody has paused it, for one.
      const latest = schedule && (await callApi<Schedule>('GET', path));
      await callApi('PUT', path, bodyOf(latest, whole));
      announce(schedule ? `${typed.name} is changed` : `${typed.name} is made`);
      onDone();
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  return (
    <form
      class="columns"
      onSubmit={(event) => {
        event.preventDefault();
        void begin(save);
      }}
    >
      <Card title={schedule ? `Change ${schedule.name}` : 'New schedule'}>
        <Fields typed={whole} types={types} isNew={schedule === undefined} fault={fault} set={set} />
        <FormEnd problem={problem} isBusy={isBusy} submit={schedule ? 'Save' : 'Make it'} close={close} />
      </Card>
      <Card title="Next runs">
        <div aria-live="polite" id="next-runs">
          <Preview checked={checked} />
        </div>
      </Card>
    </form>
  );
}

interface FieldsProps {
  readonly typed: Typed;
  readonly types: readonly string[];
  readonly isNew: boolean;
  readonly fault: Problem | undefined;
  readonly set: (part: Partial<Typed>) => void;
}

function Fields({ typed, types, isNew, fault, set }: FieldsProps) {
  const field = (name: TextName, label: string, hint: string) => (
    <TextField
      id={`schedule-${name}`}
      label={label}
      hint={hint}
      text={typed[name]}
      fault={faultAt(fault, `#/${name === 'seconds' ? 'everyMs' : name}`)}
      setText={(text) => set({ [name]: text })}
    />
  );
  return (
    <>
      {isNew ? field('name', 'Name', 'such as morning') : undefined}
      {isNew ? (
        <Choice
          isField
          label="Each tick starts"
          value={typed.starts}
          choices={[...STARTS.keys()]}
          words={STARTS}
          set={(starts) => set({ starts })}
        />
      ) : undefined}
      {typed.starts === 'task' ? (
        <Choice
          isField
          label="Task type"
          value={typed.type}
          // One that this server does not know stays what it is.
          choices={types.includes(typed.type) ? types : [typed.type, ...types]}
          set={(type) => set({ type })}
        />
      ) : undefined}
      {isNew ? field('queue', 'Queue', 'none = that of the type') : undefined}
      <Choice
        isField
        label="When"
        value={typed.kind}
        choices={[...TIMES.keys()]}
        words={TIMES}
        set={(kind) => set({ kind })}
      />
      {typed.kind === 'cron' ? (
        <>
          {field('cron', 'Pattern', 'minute, hour, day, month, day of the week')}
          {field('timeZone', 'Time zone', 'such as Europe/Berlin')}
        </>
      ) : (
        field('seconds', 'Every', 'so many seconds')
      )}
      <Choice
        isField
        label="Ticks that were missed"
        value={typed.misfire}
        choices={[...MISSED.keys()]}
        words={MISSED}
        set={(misfire) => set({ misfire })}
      />
      {typed.starts === 'task' ? (
        <JsonField
          id="schedule-input"
          label="Input as JSON"
          rows={5}
          text={typed.input}
          setText={(input) => set({ input })}
          isWrong={faultAt(fault, '#/input') !== undefined}
        />
      ) : (
        <JsonField
          id="schedule-workflow"
          label="Workflow as JSON"
          rows={12}
          text={typed.workflow}
          setText={(workflow) => set({ workflow })}
          isWrong={faultAt(fault, '#/workflow') !== undefined}
        />
      )}
    </>
  );
}

function Preview({ checked }: { readonly checked: Checked }) {
  if (checked === undefined) return null;
  if ('problem' in checked) return <ProblemList problem={checked.problem} />;
  if (checked.next.length === 0) return <p>It never ticks.</p>;
  return (
    <ol>
      {checked.next.map((at) => (
        <li key={at}>
          <time dateTime={at}>{toLocal(at)}</time>{' '}
          <span class="muted">
            <Time at={at} />
          </span>
        </li>
      ))}
    </ol>
  );
}

type TextName = 'name' | 'queue' | 'cron' | 'timeZone' | 'seconds';
