// Numbers as people read them. The same everywhere: no locale.

/** 283386 -> `283,386`. */
export function count(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',');
}

/** A fraction as a percentage with two digits: 0.9912 -> `99.12 %`. */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(2)} %`;
}

/** Bytes with three significant digits: 1134000 -> `1.13 MB` (1 MB = 10^6 bytes). */
export function bytes(value: number): string {
  return `${scaled(value, ['', 'k', 'M', 'G', 'T'])}B`;
}

/** 5712000 -> `5.71 M`. */
export function magnitude(value: number): string {
  return scaled(value, ['', 'k', 'M', 'G', 'T']).trimEnd();
}

function scaled(value: number, prefixes: readonly string[]): string {
  let rest = value;
  let prefix = 0;
  while (rest >= 999.5 && prefix < prefixes.length - 1) {
    rest /= 1000;
    prefix += 1;
  }
  const digits = prefix === 0 ? String(Math.round(rest)) : rest.toPrecision(3);
  return `${digits} ${prefixes[prefix] ?? ''}`;
}

/** `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 07 min`. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** Milliseconds with three significant digits: `0.412 ms`. */
export function milliseconds(value: number): string {
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ms`;
}

/** How many times smaller: `12.4x`. */
export function times(ratio: number): string {
  return `${ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3)}x`;
}

/** A line on the steps that mixed precision skipped; empty without any, and in f32, where there is null. */
export const skipped = (steps: number | null): string =>
  steps === null || steps === 0 ? '' : `${count(steps)} steps were skipped, as their gradients overflowed in mixed precision\n`;
