// Attributes come as float32; people and specs mean the decimal number that was rounded to it.

/** The number of fewest digits that rounds to the float32 `value`: 0.01 for 0.009999999776482582. */
export function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}
