// What the types of the client promise; `tsc -p tests` checks it.

import type * as v from 'valibot';
import { expectTypeOf, test } from 'vitest';
import { defineTask, type TaskDefinition, v as schemas } from '../../src/index.ts';
import type {
  ManyTask,
  Popfleet,
  Received,
  ScheduleInput,
  TaskOptions,
  WorkflowRequest,
} from '../../src/client/client.ts';
import type { BatchView, NewBatch } from '../../src/client/batches.ts';
import type * as fleetShapes from '../../src/client/fleet-shapes.ts';
import type * as scheduleShapes from '../../src/client/schedule-shapes.ts';
import type * as shapes from '../../src/client/shapes.ts';
import type * as workflowShapes from '../../src/client/workflow-shapes.ts';
import type { CallInput } from '../../src/protocol/options.ts';
import type { ScheduleInput as ServerScheduleInput } from '../../src/protocol/schedule.ts';
import type { Explanation } from '../../src/server/explain.ts';
import type { AuditEntryView } from '../../src/server/routes/audit.ts';
import type { ErrorGroupView } from '../../src/server/routes/errors.ts';
import type { LostWorkerView, WorkerTasksView, WorkerView } from '../../src/server/routes/fleet.ts';
import type { ScaleView } from '../../src/server/routes/scale.ts';
import type { SeriesView } from '../../src/server/routes/series.ts';
import type { SystemView } from '../../src/server/routes/system.ts';
import type { TypeRunsView, TypeView } from '../../src/server/routes/types.ts';
import type { ReadinessView } from '../../src/server/routes/health.ts';
import type { LedgerView, QueueView } from '../../src/server/routes/queues.ts';
import type { ScheduleView } from '../../src/views/schedule-view.ts';
import type { CallerView } from '../../src/server/routes/session.ts';
import type { OperationRequestSchema, OperationView } from '../../src/views/operation-view.ts';
import type { BatchCallInput } from '../../src/protocol/batch.ts';
import type { BatchView as ServerBatchView } from '../../src/views/batch-view.ts';
import type { TaskRow, TaskView } from '../../src/views/task-view.ts';
import type { WorkflowCall } from '../../src/protocol/workflow.ts';
import type { WorkflowRow, WorkflowView } from '../../src/views/workflow-view.ts';

const greet = defineTask({
  type: 'greet',
  input: schemas.object({
    name: schemas.string(),
    times: schemas.optional(schemas.pipe(schemas.string(), schemas.transform(Number)), '1'),
  }),
  run: async ({ name, times }) => ({ at: new Date(0), text: name.repeat(times), bytes: new Uint8Array(1) }),
});
const count = defineTask({ type: 'count', input: schemas.number(), run: (up) => up });
const loose: TaskDefinition<number, boolean, number> = count as never;
const tasks = { greet, all: [count], greeting: (): string => 'hello', 'a text': 'text' };
const others = { default: { loose } };
interface Greeting {
  at: string;
  text: string;
  bytes: string;
}

test('the types of a module say which tasks there are, what each takes and what it returns', () => {
  const send = async (client: Popfleet<typeof tasks>): Promise<void> => {
    expectTypeOf(await client.run('greet', { name: 'you' }, { waitMs: 5 })).toEqualTypeOf<Greeting>();
    expectTypeOf(await client.run('count', 1)).toEqualTypeOf<number>();
    await client.enqueue('greet', { name: 'you', times: '2' }, { priority: 'low' });
    // @ts-expect-error: the handler gets a number, but a text is sent
    await client.enqueue('greet', { name: 'you', times: 2 });
    // @ts-expect-error: a field is missing
    await client.run('greet', {});
    // @ts-expect-error: there is no such task
    await client.enqueue('greeting', {});
    // @ts-expect-error: no such option
    await client.enqueue('count', 1, { delay: 1 });
    client.enqueueMany([
      { type: 'greet', input: { name: 'you' }, key: 'k' },
      { type: 'count', input: 1 },
    ]);
    // @ts-expect-error: the input of another task
    client.enqueueMany([{ type: 'count', input: { name: 'you' } }]);
  };
  expectTypeOf(send).toBeFunction();
});

test('several modules, and a definition that does not say its type', () => {
  const send = async (client: Popfleet<[typeof tasks, typeof others]>): Promise<void> => {
    expectTypeOf(await client.run('greet', { name: 'you' })).toHaveProperty('text');
    expectTypeOf(await client.run('anything', 1)).toEqualTypeOf<boolean>();
  };
  expectTypeOf(send).toBeFunction();
});

test('a definition at hand says the same; without any, everything may be sent', () => {
  const send = async (client: Popfleet): Promise<void> => {
    expectTypeOf(await client.run(greet, { name: 'you' })).toEqualTypeOf<Greeting>();
    // @ts-expect-error: a field is missing
    await client.enqueue(greet, {});
    expectTypeOf(await client.run('greet', 5)).toBeUnknown();
    client.enqueueMany([{ type: 'greet' }, { type: 'greet', input: 5, tags: ['a'] }]);
  };
  expectTypeOf(send).toBeFunction();
  expectTypeOf<ManyTask>().toEqualTypeOf<TaskOptions & { readonly type: string; readonly input?: unknown }>();
});

test('the steps of a workflow: the type of each says its input, and needs are names of steps', () => {
  const send = async (client: Popfleet<typeof tasks>): Promise<void> => {
    const { steps } = await client.workflows.start({
      name: 'letters',
      tasks: {
        count: { type: 'count', input: 1, maxAttempts: 2 },
        greet: { type: 'greet', input: { name: { $from: 'count', path: '' } }, needs: ['count'] },
      },
    });
    expectTypeOf(steps[0]?.step).toEqualTypeOf<string | undefined>();
    // @ts-expect-error: a field is missing
    await client.workflows.start({ tasks: { greet: { type: 'greet', input: {} } } });
    // @ts-expect-error: the name of no step
    await client.workflows.start({ tasks: { count: { type: 'count', input: 1, needs: ['greet'] } } });
    // @ts-expect-error: a step has no key of its own
    await client.workflows.start({ tasks: { count: { type: 'count', input: 1, key: 'k' } } });
  };
  expectTypeOf(send).toBeFunction();
  const sendAny = (client: Popfleet) => client.workflows.start({ tasks: { a: { type: 'any', input: 5 } } });
  expectTypeOf(sendAny).toBeFunction();
});

test('a result is what JSON shows of it', () => {
  expectTypeOf<Received<{ url: URL; all: (Date | null)[]; bytes: Buffer }>>().toEqualTypeOf<{
    url: string;
    all: (string | null)[];
    bytes: string;
  }>();
  expectTypeOf<Received<void>>().toBeVoid();
  expectTypeOf<Received<unknown>>().toBeUnknown();
  expectTypeOf<Received<any>>().toBeAny();
});

/** Members by which one differs from the other. */
type Unequal<One, Other> = Exclude<keyof One, keyof Other> | Exclude<keyof Other, keyof One>;

test('what the client shows is what the server answers, with all its members', () => {
  expectTypeOf<TaskView>().toExtend<shapes.TaskView>();
  expectTypeOf<TaskRow>().toExtend<shapes.TaskRow>();
  expectTypeOf<Explanation>().toExtend<shapes.Explanation>();
  expectTypeOf<QueueView>().toExtend<shapes.QueueView>();
  expectTypeOf<ScheduleView>().toExtend<scheduleShapes.ScheduleView>();
  expectTypeOf<WorkerView>().toExtend<shapes.WorkerView>();
  expectTypeOf<WorkerTasksView>().toExtend<shapes.WorkerTasksView>();
  expectTypeOf<ErrorGroupView>().toExtend<shapes.ErrorGroupView>();
  expectTypeOf<TypeView>().toExtend<shapes.TypeView>();
  expectTypeOf<ReadinessView>().toExtend<shapes.ReadinessView>();
  expectTypeOf<CallerView>().toExtend<shapes.CallerView>();
  expectTypeOf<OperationView>().toExtend<shapes.OperationView>();
  expectTypeOf<WorkflowView>().toExtend<workflowShapes.WorkflowView>();
  expectTypeOf<Unequal<TaskView, shapes.TaskView>>().toBeNever();
  expectTypeOf<Unequal<TaskRow, shapes.TaskRow>>().toBeNever();
  expectTypeOf<Unequal<NonNullable<TaskView['onEnd']>, NonNullable<shapes.TaskView['onEnd']>>>().toBeNever();
  expectTypeOf<Unequal<NonNullable<TaskView['error']>, shapes.TaskError>>().toBeNever();
  expectTypeOf<Unequal<Explanation, shapes.Explanation>>().toBeNever();
  expectTypeOf<Unequal<QueueView, shapes.QueueView>>().toBeNever();
  expectTypeOf<Unequal<ScheduleView, scheduleShapes.ScheduleView>>().toBeNever();
  expectTypeOf<Unequal<WorkerView, shapes.WorkerView>>().toBeNever();
  expectTypeOf<Unequal<WorkerTasksView, shapes.WorkerTasksView>>().toBeNever();
  expectTypeOf<Unequal<ErrorGroupView, shapes.ErrorGroupView>>().toBeNever();
  expectTypeOf<Unequal<TypeView, shapes.TypeView>>().toBeNever();
  expectTypeOf<Unequal<ReadinessView, shapes.ReadinessView>>().toBeNever();
  expectTypeOf<Unequal<CallerView, shapes.CallerView>>().toBeNever();
  expectTypeOf<Unequal<OperationView, shapes.OperationView>>().toBeNever();
  expectTypeOf<Unequal<WorkflowRow, workflowShapes.WorkflowRow>>().toBeNever();
  expectTypeOf<Unequal<WorkflowView['steps'][0], workflowShapes.WorkflowStep>>().toBeNever();
});

test('what the client shows of the fleet is what the server answers, with all its members', () => {
  expectTypeOf<LedgerView>().toExtend<fleetShapes.LedgerView>();
  expectTypeOf<LostWorkerView>().toExtend<fleetShapes.LostWorkerView>();
  expectTypeOf<ScaleView>().toExtend<fleetShapes.ScaleView>();
  expectTypeOf<SeriesView>().toExtend<fleetShapes.SeriesView>();
  expectTypeOf<SystemView>().toExtend<fleetShapes.SystemView>();
  expectTypeOf<TypeRunsView>().toExtend<fleetShapes.TypeRunsView>();
  expectTypeOf<AuditEntryView>().toExtend<fleetShapes.AuditEntry>();
  expectTypeOf<Unequal<LedgerView, fleetShapes.LedgerView>>().toBeNever();
  expectTypeOf<Unequal<LostWorkerView, fleetShapes.LostWorkerView>>().toBeNever();
  expectTypeOf<Unequal<ScaleView, fleetShapes.ScaleView>>().toBeNever();
  expectTypeOf<Unequal<SeriesView, fleetShapes.SeriesView>>().toBeNever();
  expectTypeOf<Unequal<SystemView, fleetShapes.SystemView>>().toBeNever();
  expectTypeOf<Unequal<SystemView['redis'], fleetShapes.SystemView['redis']>>().toBeNever();
  expectTypeOf<Unequal<TypeRunsView, fleetShapes.TypeRunsView>>().toBeNever();
  expectTypeOf<Unequal<AuditEntryView, fleetShapes.AuditEntry>>().toBeNever();
});

test('what the client sends is what the server takes, with all its options', () => {
  type Options = Omit<CallInput, 'type' | 'input'>;
  type Request = Omit<v.InferInput<typeof OperationRequestSchema>, 'dryRun' | 'confirm'>;
  expectTypeOf<TaskOptions>().toExtend<Options>();
  expectTypeOf<ScheduleInput>().toExtend<ServerScheduleInput>();
  expectTypeOf<shapes.OperationRequest>().toExtend<Request>();
  expectTypeOf<Unequal<TaskOptions, Options>>().toBeNever();
  expectTypeOf<Unequal<WorkflowRequest, WorkflowCall>>().toBeNever();
  expectTypeOf<Unequal<WorkflowRequest['tasks'][string], WorkflowCall['tasks'][string]>>().toBeNever();
  expectTypeOf<Unequal<ScheduleInput, ServerScheduleInput>>().toBeNever();
  expectTypeOf<Unequal<shapes.OperationRequest, Request>>().toBeNever();
  expectTypeOf<Unequal<shapes.OperationFilter, Request['filter']>>().toBeNever();
});

test('batches are as the server has them', () => {
  expectTypeOf<ServerBatchView>().toExtend<BatchView>();
  expectTypeOf<BatchView>().toExtend<ServerBatchView>();
  expectTypeOf<NewBatch['then']>().toExtend<BatchCallInput['then']>();
});
