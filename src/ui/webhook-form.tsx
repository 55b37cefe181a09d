// Registers an endpoint of webhooks, or changes one.

import { useEffect, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { WebhookEndpoint } from './api-types.d.ts';
import { useBusy } from './busy.ts';
import { FormEnd, TextField } from './form-parts.tsx';
import { Card } from './parts.tsx';
import { type Problem, problemOf } from './problem.ts';
import { announce } from './shared.ts';

const ENDS = ['succeeded', 'dead', 'cancelled'] as const;
const KINDS = new Map([
  ['task', 'tasks'],
  ['workflow', 'workflows'],
  ['batch', 'batches'],
]);

/**
 * @param endpoint the one that is changed; `undefined` = a new one
 * @param onDone called with the secret of a new one
 */
export function WebhookForm({
  endpoint,
  close,
  onDone,
}: {
  readonly endpoint?: WebhookEndpoint;
  readonly close: () => void;
  readonly onDone: (secret: string | undefined) => void;
}) {
  const [url, setUrl] = useState(endpoint?.url ?? '');
  const [ends, setEnds] = useState<ReadonlySet<string>>(new Set(endpoint?.states ?? ENDS));
  const [kinds, setKinds] = useState<ReadonlySet<string>>(new Set(endpoint?.kinds ?? ['task']));
  const [types, setTypes] = useState(endpoint?.types?.join(' ') ?? '');
  const [queues, setQueues] = useState(endpoint?.queues?.join(' ') ?? '');
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, begin] = useBusy();
  useEffect(() => document.querySelector<HTMLElement>('#webhook-url')?.focus(), []);
  const faultOf = (name: string): string | undefined =>
    problem?.errors?.find(({ pointer }) => pointer === `#/${name}` || pointer.startsWith(`#/${name}/`))
      ?.detail;

  const save = async (): Promise<void> => {
    setProblem(undefined);
    const body = bodyOf(url, ends, kinds, types, queues);
    try {
      const saved = endpoint
        ? await callApi<{ readonly secret?: string }>('PUT', `webhooks/${endpoint.id}`, body)
        : await callApi<{ readonly secret?: string }>('POST', 'webhooks', body);
      announce(endpoint ? 'The endpoint is changed' : 'The endpoint is registered');
      onDone(saved.secret);
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  return (
    <Card title={endpoint ? 'Change the endpoint' : 'New endpoint'}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void begin(save);
        }}
      >
        <TextField
          id="webhook-url"
          label="URL"
          hint="where messages are posted"
          text={url}
          setText={setUrl}
          fault={faultOf('url')}
        />
        <Checks legend="Is told of" words={KINDS} chosen={kinds} choose={setKinds} fault={faultOf('kinds')} />
        <Checks
          legend="that are"
          words={new Map(ENDS.map((one) => [one, one]))}
          chosen={ends}
          choose={setEnds}
          fault={faultOf('states')}
        />
        <TextField
          id="webhook-types"
          label="Types"
          hint="with blanks between; none = all"
          text={types}
          setText={setTypes}
          fault={faultOf('types')}
        />
        <TextField
          id="webhook-queues"
          label="Queues"
          hint="with blanks between; none = all"
          text={queues}
          setText={setQueues}
          fault={faultOf('queues')}
        />
        <FormEnd problem={problem} isBusy={isBusy} submit={endpoint ? 'Save' : 'Register'} close={close} />
      </form>
    </Card>
  );
}

function bodyOf(
  url: string,
  ends: ReadonlySet<string>,
  kinds: ReadonlySet<string>,
  types: string,
  queues: string,
): object {
  return {
    url: url.trim(),
    ...(ends.size === ENDS.length ? {} : { states: ENDS.filter((one) => ends.has(one)) }),
    ...(kinds.size === 1 && kinds.has('task') ? {} : { kinds: [...kinds] }),
    ...namesOf('types', types),
    ...namesOf('queues', queues),
  };
}

interface ChecksProps {
  readonly legend: string;
  /** What may be chosen, and how it is called. */
  readonly words: ReadonlyMap<string, string>;
  readonly chosen: ReadonlySet<string>;
  readonly choose: (chosen: ReadonlySet<string>) => void;
  readonly fault: string | undefined;
}

function Checks({ legend, words, chosen, choose, fault }: ChecksProps) {
  return (
    <fieldset class="checks">
      <legend>{legend}</legend>
      {[...words].map(([one, word]) => (
        <label key={one} class="check">
          <input
            type="checkbox"
            checked={chosen.has(one)}
            onChange={(event) => choose(withOrWithout(chosen, one, event.currentTarget.checked))}
          />
          {word}
        </label>
      ))}
      {fault === undefined ? undefined : <p class="fault">{fault}</p>}
    </fieldset>
  );
}

function namesOf(name: 'types' | 'queues', text: string): Readonly<Record<string, readonly string[]>> {
  const names = text.split(/[\s,]+/).filter(Boolean);
  return names.length === 0 ? {} : { [name]: names };
}

function withOrWithout(before: ReadonlySet<string>, one: string, isIn: boolean): ReadonlySet<string> {
  const next = new Set(before);
  if (isIn) next.add(one);
  else next.delete(one);
  return next;
}
