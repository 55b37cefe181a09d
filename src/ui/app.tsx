// The dashboard: which screen stands in the frame.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Frame } from './frame.tsx';
import { lazy } from './lazy.tsx';
import { OverviewScreen } from './overview.tsx';
import { Empty, Loading } from './parts.tsx';
import { linkTo, type Place, usePlace } from './place.ts';
import { QueueScreen } from './queue.tsx';
import { QueuesScreen } from './queues.tsx';
import { useShared } from './shared.ts';
import { SignIn, SignInAgain } from './sign-in.tsx';
import { WorkersScreen } from './workers.tsx';

const AuditScreen = lazy(async () => (await import('./audit.tsx')).AuditScreen);
const BatchScreen = lazy(async () => (await import('./batch.tsx')).BatchScreen);
const BatchesScreen = lazy(async () => (await import('./batches.tsx')).BatchesScreen);
const DeadScreen = lazy(async () => (await import('./dead.tsx')).DeadScreen);
const DeadGroupScreen = lazy(async () => (await import('./dead-group.tsx')).DeadGroupScreen);
const OperationsScreen = lazy(async () => (await import('./operations.tsx')).OperationsScreen);
const OperationScreen = lazy(async () => (await import('./operations.tsx')).OperationScreen);
const RunScreen = lazy(async () => (await import('./run.tsx')).RunScreen);
const SchedulesScreen = lazy(async () => (await import('./schedules.tsx')).SchedulesScreen);
const SystemScreen = lazy(async () => (await import('./system.tsx')).SystemScreen);
const TaskScreen = lazy(async () => (await import('./task.tsx')).TaskScreen);
const TasksScreen = lazy(async () => (await import('./tasks.tsx')).TasksScreen);
const TypesScreen = lazy(async () => (await import('./types.tsx')).TypesScreen);
const WebhookScreen = lazy(async () => (await import('./webhook.tsx')).WebhookScreen);
const WorkerScreen = lazy(async () => (await import('./worker.tsx')).WorkerScreen);
const WorkflowScreen = lazy(async () => (await import('./workflow.tsx')).WorkflowScreen);
const WorkflowsScreen = lazy(async () => (await import('./workflows.tsx')).WorkflowsScreen);
const WebhooksScreen = lazy(async () => (await import('./webhooks.tsx')).WebhooksScreen);

interface Screen {
  readonly title: string;
  readonly body: ComponentChildren;
}

function screenOf({ path, query }: Place): Screen {
  const [first, name, ...rest] = path;
  if (rest.length > 0) return nowhere();
  switch (first) {
    case undefined:
      return { title: 'Overview', body: <OverviewScreen query={query} /> };
    case 'queues':
      return name === undefined
        ? { title: 'Queues', body: <QueuesScreen /> }
        : { title: name, body: <QueueScreen key={name} name={name} query={query} /> };
    case 'tasks':
      return name === undefined
        ? { title: 'Tasks', body: <TasksScreen query={query} /> }
        : { title: `Task ${name.slice(0, 8)}`, body: <TaskScreen key={name} id={name} /> };
    case 'workflows':
      return name === undefined
        ? { title: 'Workflows', body: <WorkflowsScreen query={query} /> }
        : { title: `Workflow ${name.slice(0, 8)}`, body: <WorkflowScreen key={name} id={name} /> };
    case 'batches':
      return name === undefined
        ? { title: 'Batches', body: <BatchesScreen query={query} /> }
        : { title: `Batch ${name.slice(0, 8)}`, body: <BatchScreen key={name} id={name} /> };
    case 'dead':
      return name === undefined
        ? { title: 'Dead letters', body: <DeadScreen query={query} /> }
        : { title: `Failure ${name.slice(0, 8)}`, body: <DeadGroupScreen key={name} fingerprint={name} /> };
    case 'operations':
      return name === undefined
        ? { title: 'Operations', body: <OperationsScreen /> }
        : { title: `Operation ${name.slice(0, 8)}`, body: <OperationScreen key={name} id={name} /> };
    case 'types':
      return name === undefined
        ? { title: 'Types', body: <TypesScreen /> }
        : {
            title: `Run ${name}`,
            body: <RunScreen key={name} type={name} from={query.get('from') ?? undefined} />,
          };
    case 'workers':
      return name === undefined
        ? { title: 'Workers', body: <WorkersScreen /> }
        : { title: 'Worker', body: <WorkerScreen key={name} worker={name} /> };
    case 'webhooks':
      return name === undefined
        ? { title: 'Webhooks', body: <WebhooksScreen /> }
        : { title: 'Webhook', body: <WebhookScreen key={name} id={name} /> };
    case 'audit':
      return name === undefined ? { title: 'Audit', body: <AuditScreen query={query} /> } : nowhere();
    case 'schedules':
      return { title: 'Schedules', body: <SchedulesScreen /> };
    case 'system':
      return { title: 'System', body: <SystemScreen /> };
    default:
      return nowhere();
  }
}

function nowhere(): Screen {
  return {
    title: 'Not found',
    body: (
      <Empty isScreen title="There is no such screen">
        <a href={linkTo([])}>Overview</a>
      </Empty>
    ),
  };
}

export function App() {
  const place = usePlace();
  const { session, isSignedOut } = useShared();
  const { title, body } = screenOf(place);
  const path = place.path.join('/');
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${title} · popfleet`;
    // Screen readers begin with the new screen; the first one is read from the top by itself.
    if (!isFirst.current) document.querySelector<HTMLElement>('main')?.focus({ preventScroll: true });
    if (!isFirst.current) scrollTo(0, 0);
    isFirst.current = false;
  }, [path]);
  if (isSignedOut && session === undefined) return <SignIn />;
  return (
    <>
      <Frame current={place.path[0] ?? ''}>{session === undefined ? <Loading /> : body}</Frame>
      {isSignedOut ? <SignInAgain /> : undefined}
    </>
  );
}
