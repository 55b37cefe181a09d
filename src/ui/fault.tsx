// What is wrong with a field, below it.

/** @param id of the field, which names it `${id}-fault` */
export function Fault({ id, text }: { readonly id: string; readonly text: string | undefined }) {
  if (text === undefined) return null;
  return (
    <p id={`${id}-fault`} class="fault">
      {text}
    </p>
  );
}
