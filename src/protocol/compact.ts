// Objects without the members that are not known.

/** Leaves out what is `undefined`: absent and null are different things to a caller. */
export function compact<View extends object>(view: { [Name in keyof View]: View[Name] | undefined }): View {
  return Object.fromEntries(Object.entries(view).filter(([, value]) => value !== undefined)) as View;
}
