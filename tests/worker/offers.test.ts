// In which queue a worker offers its free places, on its own.

import { beforeEach, expect, test, vi } from 'vitest';
import { createOffers, type Offers } from '../../src/worker/offers.ts';

let now: number;
let saidAnew: string[];

function open(...queues: string[]): Offers {
  return createOffers(queues, (queue) => saidAnew.push(queue));
}

beforeEach(() => {
  now = 0;
  saidAnew = [];
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  return () => vi.restoreAllMocks();
});

test('a worker of one queue offers what is free, whatever it holds', () => {
  const offers = open('mail');
  expect([offers.mayOffer('mail', 0), offers.mayOffer('mail', 3)]).toEqual([true, true]);
  offers.stop();
  expect(offers.mayOffer('mail', 0)).toBe(false);
});

test('a worker of several queues offers in one of them, and only while it holds nothing', () => {
  const offers = open('mail', 'news');
  expect([offers.mayOffer('mail', 0), offers.mayOffer('mail', 1)]).toEqual([true, false]);
  expect(offers.mayOffer('news', 0)).toBe(false);
});

test('a task that is popped from another queue lowers the offer, and changes the queue when nothing is handed over', () => {
  const offers = open('mail', 'news');
  offers.offered();
  offers.popped('news');
  expect(saidAnew).toEqual(['mail']);
  expect(offers.mayOffer('mail', 0)).toBe(true);

  now = 1_000;
  offers.popped('news');
  expect(saidAnew).toEqual(['mail', 'mail']);
  // Nothing is offered in both at a time.
  expect([offers.mayOffer('mail', 0), offers.mayOffer('news', 0)]).toEqual([false, false]);
  offers.withdrawn('mail');
  expect(saidAnew).toEqual(['mail', 'mail', 'news']);
  expect([offers.mayOffer('mail', 0), offers.mayOffer('news', 0)]).toEqual([false, true]);
});

test('it changes the queue also when nothing is offered, once that is certain', () => {
  const offers = open('mail', 'news');
  now = 1_000;
  offers.popped('news');
  offers.popped('news');
  expect(saidAnew).toEqual(['mail']);
  offers.withdrawn('mail');
  expect(offers.mayOffer('news', 0)).toBe(true);
});

test('it stays where tasks are handed over', () => {
  const offers = open('mail', 'news');
  offers.offered();
  now = 1_500;
  offers.handed();
  now = 2_000;
  offers.popped('news');
  offers.withdrawn('mail');
  expect(offers.mayOffer('mail', 0)).toBe(true);
});

test('one that stops changes no queue any more', () => {
  const offers = open('mail', 'news');
  now = 1_000;
  offers.popped('news');
  offers.stop();
  offers.withdrawn('mail');
  expect(saidAnew).toEqual(['mail']);
});
