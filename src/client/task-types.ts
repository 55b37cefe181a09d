// The types of what is sent and of what comes back, from the definitions of the user. A program that only sends imports their types
// (`import type * as tasks from './tasks.ts'`), so that no handler becomes a part of it.

import type { TaskOptions } from './shapes.ts';

/** What `defineTask` returns, as far as it matters here. `Sent` is what its schema takes, `Output` what its handler returns. */
export interface TaskLike<Sent = unknown, Output = unknown> {
  readonly type: string;
  readonly input: { readonly '~standard': { readonly types?: { readonly input: Sent } | undefined } };
  readonly run: (...given: never[]) => Output | Promise<Output>;
}

/** A value as JSON brings it: a Date is text then, and bytes are base64. */
export type Received<Value> = 0 extends 1 & Value
  ? Value
  : Value extends string | number | boolean | null | undefined
    ? Value
    : Value extends Uint8Array
      ? string
      : Value extends { toJSON(): infer Json }
        ? Received<Json>
        : Value extends (...given: never[]) => unknown
          ? never
          : Value extends object
            ? { [Name in keyof Value]: Received<Value[Name]> }
            : Value;

/** Definitions as they are, and what arrays, objects and modules hold. */
type Within<Value> = Value extends TaskLike
  ? Value
  : Value extends readonly (infer Item)[]
    ? Item
    : Value extends (...given: never[]) => unknown
      ? never
      : Value extends object
        ? Value[keyof Value]
        : never;

/** The definitions of a module, of its arrays and objects, and of several modules in a list. */
type TasksIn<Tasks> = Extract<Within<Within<Within<Tasks>>>, TaskLike>;

type SentOf<Task> = Task extends TaskLike<infer Sent> ? Sent : never;
type OutputOf<Task> = Task extends { run(...given: never[]): infer Returned } ? Awaited<Returned> : never;

/** The definitions of a type; else those that do not say theirs (`TaskDefinition` without it). */
type Named<Task, Type> =
  Extract<Task, { readonly type: Type }> extends never
    ? Task extends { readonly type: infer Own }
      ? string extends Own
        ? Task
        : never
      : never
    : Extract<Task, { readonly type: Type }>;

/** Task types that a client knows: any text when it knows no definitions. */
export type TypeIn<Tasks> = unknown extends Tasks ? string : TasksIn<Tasks>['type'];

/** What is sent to a task type. */
export type InputOf<Tasks, Type> = unknown extends Tasks ? unknown : SentOf<Named<TasksIn<Tasks>, Type>>;

/** The result of a task type, as it comes back. */
export type ResultOf<Tasks, Type> = unknown extends Tasks
  ? unknown
  : Received<OutputOf<Named<TasksIn<Tasks>, Type>>>;

/** One task of many. */
export type ManyTask<Tasks = unknown> = unknown extends Tasks
  ? TaskOptions & { readonly type: string; readonly input?: unknown }
  : {
      [Type in TypeIn<Tasks>]: TaskOptions & { readonly type: Type; readonly input: InputOf<Tasks, Type> };
    }[TypeIn<Tasks>];
