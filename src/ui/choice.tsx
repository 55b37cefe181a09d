// One of several words, in a select with its label.

/**
 * @param words what stands for a choice, where that is not the choice itself
 * @param empty what stands for the choice '', unless `words` says so
 * @param isField whether it stands in a dialog, above its control
 */
export function Choice({
  label,
  value,
  choices,
  words,
  empty = 'all',
  isField = false,
  set,
}: {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly string[];
  readonly words?: ReadonlyMap<string, string>;
  readonly empty?: string;
  readonly isField?: boolean;
  readonly set: (value: string) => void;
}) {
  return (
    <label class={isField ? 'field' : undefined}>
      {label}
      <select value={value} onChange={({ currentTarget }) => set(currentTarget.value)}>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {words?.get(choice) ?? (choice === '' ? empty : choice)}
          </option>
        ))}
      </select>
    </label>
  );
}
