// What the handler of a task has logged and printed.

import { useEffect, useRef } from 'preact/hooks';
import type { Task } from './api-types.d.ts';
import { Copy } from './copy.tsx';
import { Card } from './parts.tsx';
import { useResource } from './resource.ts';

/** A box that is scrolled so near to its end is at its end. */
const NEAR_PX = 8;

/** Lines have no event of their own: they are read at every beat while it runs, and once more at its end. */
export function Log({ task: { id, state } }: { readonly task: Task }) {
  const { data } = useResource<{ readonly lines: readonly string[] }>(
    `tasks/${encodeURIComponent(id)}/log`,
    state === 'running' ? 1 : 0,
    state,
  );
  const box = useRef<HTMLPreElement>(null);
  // Whoever has scrolled up reads there, whatever comes.
  const isAtEnd = useRef(true);
  const lines = data?.lines ?? [];
  useEffect(() => {
    if (box.current && isAtEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines.length]);
  if (lines.length === 0) return null;
  return (
    <Card title="Log" aside={<Copy text={lines.join('\n')} />}>
      <pre
        ref={box}
        class="log"
        tabIndex={0}
        aria-label="Log"
        onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => {
          isAtEnd.current = scrollTop + clientHeight > scrollHeight - NEAR_PX;
        }}
      >
        {lines.join('\n')}
      </pre>
    </Card>
  );
}
