// Shortcuts of one key, and the dialog that lists them.

import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { setPaused } from './live.ts';
import { go, linkTo } from './place.ts';
import { hasSingleKeys, setSingleKeys } from './settings.ts';
import { readShared } from './shared.ts';

/** After `g`: where a letter leads. */
const PLACES = new Map<string, readonly [path: readonly string[], word: string]>([
  ['o', [[], 'Overview']],
  ['q', [['queues'], 'Queues']],
  ['t', [['tasks'], 'Tasks']],
  ['l', [['workflows'], 'Workflows']],
  ['b', [['batches'], 'Batches']],
  ['d', [['dead'], 'Dead letters']],
  ['w', [['workers'], 'Workers']],
  ['s', [['schedules'], 'Schedules']],
  ['p', [['operations'], 'Operations']],
  ['f', [['types'], 'Types']],
  ['y', [['system'], 'System']],
  ['h', [['webhooks'], 'Webhooks']],
  ['a', [['audit'], 'Audit']],
]);

/** Keys that press the element of this id, where the screen has one. */
const PRESSES = new Map<string, readonly [id: string, word: string]>([
  ['e', ['explain', 'Why does it not run?']],
  ['r', ['retry', 'Retry the task']],
  ['c', ['cancel', 'Cancel the task (asks first)']],
  ['Escape', ['clear-selection', 'Select none']],
  [']', ['next-page', 'Next page']],
  ['[', ['first-page', 'First page']],
]);

/** The row from which Shift+X goes on. */
let anchor: Element | undefined;

const SECOND_KEY_MS = 1_500;

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    target.closest('input:not([type="checkbox"]), textarea, select, [contenteditable]') !== null
  );
}

function moveRow(step: number): void {
  const rows = Array.from(document.querySelectorAll<HTMLElement>('[data-row]'));
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at === -1 ? 0 : at + step))];
  next?.querySelector<HTMLElement>('a')?.focus();
}

/** Selects the row that has the focus, or the rows from the one before to it. */
function selectRow(isRange: boolean): boolean {
  const rows = Array.from(document.querySelectorAll('[data-row]'));
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const boxOf = (row: Element | undefined): HTMLInputElement | null =>
    row?.querySelector<HTMLInputElement>('.select input') ?? null;
  if (boxOf(rows[at]) === null) return false;
  const before = rows.findIndex((row) => row === anchor);
  anchor = rows[at];
  if (!isRange || before === -1) boxOf(rows[at])?.click();
  else {
    const range = rows.slice(Math.min(before, at), Math.max(before, at) + 1);
    for (const box of range.map(boxOf)) if (box?.checked === false) box.click();
  }
  return true;
}

/** @returns whether the key means something here */
function press(key: string, help: HTMLDialogElement | null): boolean {
  const target = PRESSES.get(key);
  if (target) {
    const element = document.querySelector<HTMLElement>(`#${target[0]}`);
    // This button is gone once it was pressed: the focus stays in its row.
    if (key !== 'Escape') element?.focus();
    element?.click();
    return element !== null;
  }
  if (key === '?') help?.showModal();
  else if (key === '/') document.querySelector<HTMLElement>('#search')?.focus();
  else if (key === 'n') go(linkTo(['types']));
  else if (key === 'j' || key === 'k') moveRow(key === 'j' ? 1 : -1);
  else if (key === 'x' || key === 'X') return selectRow(key === 'X');
  else if (key === '.') setPaused(!readShared().isPaused);
  else return false;
  return true;
}

/** Not while somebody types, not with another key held, not behind a dialog. */
export function useKeyboard(help: RefObject<HTMLDialogElement | null>): void {
  useEffect(() => {
    let isAfterG = 0;
    const onKey = (event: KeyboardEvent): void => {
      const { key, target } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (!hasSingleKeys() || isTyping(target) || document.querySelector('dialog[open]')) return;
      const place = performance.now() - isAfterG < SECOND_KEY_MS ? PLACES.get(key) : undefined;
      isAfterG = key === 'g' ? performance.now() : 0;
      if (place) go(linkTo(place[0]));
      if (place || press(key, help.current)) event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

function Keys({ keys, word }: { readonly keys: readonly string[]; readonly word: string }) {
  return (
    <div>
      <dt>
        {keys.map((key) => (
          <kbd key={key}>{key === 'Escape' ? 'Esc' : key}</kbd>
        ))}
      </dt>
      <dd>{word}</dd>
    </div>
  );
}

export function Help({ dialog }: { readonly dialog: RefObject<HTMLDialogElement | null> }) {
  const [isOn, setOn] = useState(hasSingleKeys);
  const toggle = (on: boolean): void => {
    setSingleKeys(on);
    setOn(on);
  };
  return (
    <dialog ref={dialog} class="help" aria-label="Keyboard">
      <h2>Keyboard</h2>
      <dl class="keys">
        <Keys keys={['/']} word="Search by id or conditions" />
        {Array.from(PLACES, ([key, [, word]]) => (
          <Keys key={key} keys={['g', key]} word={word} />
        ))}
        <Keys keys={['n']} word="New task" />
        <Keys keys={['j', 'k']} word="Next, previous row; Enter opens it" />
        <Keys keys={['x', 'X']} word="Select the row; up to the row" />
        {Array.from(PRESSES, ([key, [, word]]) => (
          <Keys key={key} keys={[key]} word={word} />
        ))}
        <Keys keys={['.']} word="Pause, go on" />
        <Keys keys={['?']} word="This list" />
      </dl>
      <label class="check">
        <input type="checkbox" checked={isOn} onChange={(event) => toggle(event.currentTarget.checked)} />
        Single keys are shortcuts
      </label>
      <p class="muted">
        The API: <a href="../docs">documentation</a>, <a href="../openapi.json">OpenAPI</a>
      </p>
      <div class="actions">
        <button type="button" class="primary" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
