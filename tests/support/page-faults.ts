// What is wrong with a page for some of those who look at it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

/** What axe finds. @param rules all, unless told */
export async function violationsOf(page: Page, rules: readonly string[] | undefined): Promise<string[]> {
  const file = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(readFileSync(file, 'utf8'));
  const options = { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) };
  return page.evaluate(async (given) => {
    const { axe } = globalThis as unknown as {
      axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const found = await axe.run(given);
    return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`);
  }, options);
}

/** What axe finds, light and dark, and whether the page is too wide for a narrow phone. @param name of the page */
export async function faultsOf(page: Page, name: string): Promise<string[]> {
  await page.locator('main .loading').waitFor({ state: 'detached' });
  const found = await violationsOf(page, undefined);
  await page.emulateMedia({ colorScheme: 'dark' });
  // Nothing but the colours is different.
  found.push(...(await violationsOf(page, ['color-contrast'])));
  await page.setViewportSize({ width: 320, height: 640 });
  const wide = await widthBeyond(page);
  if (wide > 0) found.push(`${wide} px too wide`);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1_280, height: 800 });
  return found.map((fault) => `${name}: ${fault}`);
}

function widthBeyond(page: Page): Promise<number> {
  return page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
}

/** Whether it is too wide or hidden at a zoom of 200 %, and whether anything moves although nothing should. @param name of the page */
export async function faultsZoomed(page: Page, name: string): Promise<string[]> {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  // At this zoom a page has half of the pixels of a window of 1,280 by 800.
  await page.setViewportSize({ width: 640, height: 400 });
  const moving = await page.evaluate<number>(
    'document.getAnimations().filter(({ effect }) => effect.getComputedTiming().duration > 1).length',
  );
  const wide = await widthBeyond(page);
  const fixed = await page.evaluate<number>(`[...document.querySelectorAll('body > *')]
    .filter((one) => ['fixed', 'sticky'].includes(getComputedStyle(one).position))
    .reduce((sum, one) => sum + one.getBoundingClientRect().height, 0)`);
  await page.emulateMedia({ reducedMotion: null });
  await page.setViewportSize({ width: 1_280, height: 800 });
  const faults = [
    moving > 0 ? `${moving} animations` : '',
    wide > 0 ? `${wide} px too wide` : '',
    // What stays in its place leaves half of the window to what is scrolled.
    fixed > 200 ? `${fixed} px of 400 do not scroll` : '',
  ];
  return faults.filter(Boolean).map((fault) => `${name}: ${fault}`);
}
