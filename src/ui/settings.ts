// What this browser remembers: the theme, and whether single keys are shortcuts. Nothing of any task.

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

/** Reading fails where a browser allows a page to keep nothing. */
function recall(name: string): string | undefined {
  try {
    return localStorage.getItem(`popfleet-${name}`) ?? undefined;
  } catch {
    return undefined;
  }
}

function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`popfleet-${name}`, value);
  } catch {
    // It holds until the page is closed.
  }
}

let theme: Theme = THEMES.find((one) => one === recall('theme')) ?? 'system';
const themeListeners = new Set<() => void>();
let hasKeys = recall('keys') !== 'off';

export function currentTheme(): Theme {
  return theme;
}

export function setTheme(next: Theme): void {
  theme = next;
  remember('theme', next);
  applyTheme();
}

/** Without the attribute the style follows the system, also when that changes. */
export function applyTheme(): void {
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
  for (const listener of themeListeners) listener();
}

/** Calls when the colours have changed: by choice, or because the system has another theme now. @returns ends that */
export function onTheme(listener: () => void): () => void {
  const system = matchMedia('(prefers-color-scheme: dark)');
  system.addEventListener('change', listener);
  themeListeners.add(listener);
  return () => {
    system.removeEventListener('change', listener);
    themeListeners.delete(listener);
  };
}

export function hasSingleKeys(): boolean {
  return hasKeys;
}

export function setSingleKeys(isOn: boolean): void {
  hasKeys = isOn;
  remember('keys', isOn ? 'on' : 'off');
}
