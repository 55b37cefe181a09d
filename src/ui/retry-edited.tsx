// Runs a dead task again with another input, which its type checks: the same task, under its id, with what happened before.

import { useEffect, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Items, Task, TaskType } from './api-types.d.ts';
import { useBusy } from './busy.ts';
import { type Draft, DraftSwitch, draftOf, InputEditor, inputOf, malformed } from './input-editor.tsx';
import { refresh } from './live.ts';
import { Card, Loading } from './parts.tsx';
import { ApiError, type Problem, problemOf } from './problem.ts';
import { ProblemList } from './problem-list.tsx';
import { useResource } from './resource.ts';
import { announce } from './shared.ts';

export function RetryEdited({
  task,
  close,
  reload,
}: {
  readonly task: Task;
  readonly close: () => void;
  readonly reload: () => void;
}) {
  const { data, problem } = useResource<Items<TaskType>>('types', 0);
  // A type that this server does not know is refused by it in words.
  if (data === undefined && problem === undefined) return <Loading />;
  const schema = data?.items.find(({ type }) => type === task.type)?.input ?? {};
  return <Editor task={task} schema={schema} close={close} reload={reload} />;
}

function Editor({
  task,
  schema,
  close,
  reload,
}: {
  readonly task: Task;
  readonly schema: TaskType['input'];
  readonly close: () => void;
  readonly reload: () => void;
}) {
  const [draft, setDraft] = useState<Draft>(() => draftOf(schema, task.input));
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, begin] = useBusy();
  useEffect(() => {
    document.querySelector<HTMLElement>('.editor textarea, .editor input')?.focus();
  }, []);
  useEffect(() => {
    if (problem) document.querySelector<HTMLElement>('.editor [aria-invalid="true"]')?.focus();
  }, [problem]);
  const send = async (): Promise<void> => {
    setProblem(undefined);
    try {
      const input = inputOf(schema, draft);
      if (input instanceof SyntaxError) throw new ApiError(malformed(input));
      await callApi('POST', `tasks/${task.id}/retry`, { input });
      announce('It is ready again, with the new input');
      close();
      reload();
      refresh();
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  return (
    <Card
      title="Retry with another input"
      aside={<DraftSwitch schema={schema} draft={draft} setDraft={setDraft} />}
    >
      <form
        class="editor"
        onSubmit={(event) => {
          event.preventDefault();
          void begin(send);
        }}
      >
        <InputEditor schema={schema} draft={draft} setDraft={setDraft} problem={problem} />
        <div id="outcome" role="alert">
          <ProblemList problem={problem} />
        </div>
        <p class="muted">The same task runs again under its id. Its earlier attempts stay with it.</p>
        <div class="actions">
          <button type="submit" class="primary" aria-disabled={isBusy}>
            Retry with this input
          </button>
          <button type="button" onClick={close}>
            Back
          </button>
        </div>
      </form>
    </Card>
  );
}
