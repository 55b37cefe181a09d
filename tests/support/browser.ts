// Debian's chromium, driven by playwright-core.

import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = PATHS.find((path) => existsSync(path));

/** False where no browser is installed: then its tests are skipped, and say so. */
export const hasBrowser = executablePath !== undefined;

export function startBrowser(): Promise<Browser> {
  if (executablePath === undefined) throw new Error('no chromium is installed (apt-get install chromium)');
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}
