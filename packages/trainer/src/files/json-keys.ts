// Finds a key that an object of a JSON text has twice. JSON.parse keeps the last one without a word, so a file could show
// one tensor to this reader and another to the next.

/**
 * The first duplicate key of any object in `text`, or undefined. `text` must be valid JSON (JSON.parse has accepted it), so
 * only strings, brackets, colons and commas matter. Keys are compared decoded: "a" and "\u0061" are one key.
 */
export function duplicateKey(text: string): string | undefined {
  // One entry an open bracket: the object's keys so far, or undefined for an array.
  const open: (Set<string> | undefined)[] = [];
  let expectsKey = false;
  for (let i = 0; i < text.length; i++) {
    switch (text.charAt(i)) {
      case '{':
        open.push(new Set());
        expectsKey = true;
        break;
      case '[':
        open.push(undefined);
        expectsKey = false;
        break;
      case '}':
      case ']':
        open.pop();
        expectsKey = false;
        break;
      case ',':
        expectsKey = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = stringEnd(text, i);
        const keys = open.at(-1);
        if (expectsKey && keys !== undefined) {
          const key = decodeString(text, i, end);
          if (keys.has(key)) return key;
          keys.add(key);
          expectsKey = false;
        }
        i = end;
        break;
      }
      default:
    }
  }
  return undefined;
}

/** Index of the quote that ends the string whose opening quote is at `begin`. */
function stringEnd(text: string, begin: number): number {
  let i = begin + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

function decodeString(text: string, begin: number, end: number): string {
  const raw = text.slice(begin + 1, end);
  return raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw;
}
