// What was refused, and where: the pointers of the server.

import { RequestId } from './parts.tsx';
import type { Problem } from './problem.ts';

const SHOWN = 10;

export function ProblemList({ problem }: { readonly problem: Problem | undefined }) {
  if (problem === undefined) return null;
  return (
    <div class="problem">
      <p class="empty-title">{problem.title}</p>
      <p>{problem.detail}</p>
      {problem.errors === undefined ? undefined : (
        <ul>
          {problem.errors.slice(0, SHOWN).map(({ pointer, detail }) => (
            <li key={pointer}>
              <code>{pointer}</code> {detail}
            </li>
          ))}
        </ul>
      )}
      <RequestId of={problem} />
    </div>
  );
}
