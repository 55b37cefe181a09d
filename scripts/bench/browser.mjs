// Debian's chromium, driven by playwright-core.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** @throws Error when no browser is installed */
export function startBrowser() {
  const executablePath = PATHS.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('no chromium is installed (apt-get install chromium)');
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}
