/** A built entry file, also when this module runs from its source (in tests). */
export function builtEntry(name: 'thread-entry' | 'isolated-entry'): string {
  const here = import.meta.url;
  return here.endsWith('.ts')
    ? new URL(`../../dist/worker/${name}.js`, here).href
    : new URL(`./${name}.js`, here).href;
}
