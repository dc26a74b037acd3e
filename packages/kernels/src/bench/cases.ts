// Which cases a filter chooses.

export interface NamedCase {
  readonly name: string;
  /** Of a case that takes minutes on a software adapter: measured there only when the filter holds this part of its name. */
  readonly heavy?: string;
}

/** Whether the filter is part of the case's name, and the case fit for the adapter. */
export function isChosen({ name, heavy }: NamedCase, filter: string, software: boolean): boolean {
  return name.includes(filter) && (heavy === undefined || !software || filter.includes(heavy));
}

/**
 * The cases whose name contains the filter, without those too heavy for a software adapter unless the filter names them. Throws
 * RangeError with the names there are when none is left.
 */
export function chooseCases<T extends NamedCase>(cases: readonly T[], filter: string, software: boolean): T[] {
  const chosen = cases.filter((one) => isChosen(one, filter, software));
  if (chosen.length > 0) return chosen;
  throw new RangeError(`no benchmark has "${filter}" in its name; there are: ${cases.map(({ name }) => name).join(', ')}`);
}
