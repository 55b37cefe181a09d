// The order of the files: those that take longest begin first, so that none of them runs alone at the end.

import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** They take some ten seconds and more, most of them waiting. Vitest orders by what it has measured before, which a fresh checkout has not. */
const LONGEST = [
  'bench/smoke',
  'e2e/ending',
  'e2e/dev',
  'browser/ui',
  'docs/command-line',
  'browser/ui-charts',
  'embedded/embedded-redis',
  'browser/ui-screens',
  'browser/ui-fleet',
  'e2e/redis-outages',
  'server/slow-requests',
  'e2e/lost-replies',
  'e2e/redis-address',
  'e2e/schedules',
  'browser/ui-workflows',
  'e2e/lost-readers',
  'e2e/release-before',
  'embedded/killed',
  'store/interleaving',
  'browser/ui-work',
  'contract/client',
  'e2e/lost-workers',
  'e2e/sentinel',
  'e2e/inline',
  'embedded/data-folder',
  'e2e/lost-threads',
  'e2e/rolling-deploy',
  'e2e/events-fleet',
  'e2e/deadlines',
  'e2e/delays',
  'e2e/drain',
  'e2e/shutdown',
  'e2e/cancel',
  'e2e/full-redis',
  'e2e/fail-over',
  'e2e/emptied-redis',
  'e2e/killed-after-end',
  'e2e/hostile-batches',
  'e2e/idle',
  'worker/children',
  'browser/docs',
  'e2e/lost-pops',
  'mcp/mcp',
  'contract/requests',
  'store/declared-keys',
];

function rank({ moduleId }: TestSpecification): number {
  const at = LONGEST.findIndex((name) => moduleId.endsWith(`/tests/${name}.test.ts`));
  return at < 0 ? LONGEST.length : at;
}

export class LongFirst extends BaseSequencer {
  /** Those of a project stay together: its processes go on with the next of them. */
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const projects = [...new Set(sorted.map(({ project }) => project.name))];
    return projects.flatMap((name) =>
      sorted.filter(({ project }) => project.name === name).sort((one, other) => rank(one) - rank(other)),
    );
  }
}
