// Objects without members that are `undefined`.

/** Removes members that are `undefined`: absent and null differ for a caller. */
export function compact<View extends object>(view: { [Name in keyof View]: View[Name] | undefined }): View {
  return Object.fromEntries(Object.entries(view).filter(([, value]) => value !== undefined)) as View;
}
