// An act of which one is under way at a time: what is pressed meanwhile does nothing.

import { useRef, useState } from 'preact/hooks';

/**
 * @returns whether an act is under way, and what begins one unless it is. Its button says so by `aria-disabled`: one that is
 * disabled for a moment would lose the focus for good
 */
export function useBusy(): readonly [isBusy: boolean, begin: (act: () => Promise<void>) => Promise<void>] {
  const [isBusy, setBusy] = useState(false);
  const isUnderWay = useRef(false);
  const begin = async (act: () => Promise<void>): Promise<void> => {
    if (isUnderWay.current) return;
    isUnderWay.current = true;
    setBusy(true);
    await act().finally(() => {
      isUnderWay.current = false;
      setBusy(false);
    });
  };
  return [isBusy, begin];
}
