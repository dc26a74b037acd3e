// Parses JSON from files of unknown origin, more strictly than JSON.parse. That one keeps the last of two equal keys without
// a word, so a file could show one tensor to this reader and another to the next; and it nests as deep as the text does,
// which overflows the stack of recursive code that meets the value later.

/** Deepest nesting of brackets; a network in a header needs five. */
const MAX_DEPTH = 64;

/** The value of a JSON text. Throws SyntaxError also for a key twice in one object and for nesting deeper than 64. */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  checkNestingAndKeys(text);
  return value;
}

/** `text` is valid JSON, so only strings, brackets and commas matter. Keys are compared decoded: "a" and "\u0061" are one. */
function checkNestingAndKeys(text: string): void {
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
        if (expectsKey) addKey(open.at(-1), decodeString(text, i, end));
        expectsKey = false;
        i = end;
        break;
      }
      default:
    }
    if (open.length > MAX_DEPTH) throw new SyntaxError(`brackets nest deeper than ${MAX_DEPTH} at character ${i}`);
  }
}

function addKey(keys: Set<string> | undefined, key: string): void {
  if (keys?.has(key))
    throw new SyntaxError(`the key ${JSON.stringify(key.slice(0, 100))} comes twice in one object; each key may come once`);
  keys?.add(key);
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
