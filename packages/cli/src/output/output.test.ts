// What reaches the two streams, and how numbers look.
import { expect, it, vi } from 'vitest';
import { bytes, count, duration, magnitude, milliseconds, percent, times } from './format.js';
import { Output } from './output.js';
import { table } from './table.js';

function capture(options: { json?: boolean; quiet?: boolean; terminal?: boolean; color?: boolean; columns?: number }) {
  const text = { out: '', err: '' };
  const { json = false, quiet = false, terminal = false, color = false, columns = 80 } = options;
  const streams = { stdout: (s: string) => void (text.out += s), stderr: (s: string) => void (text.err += s), terminal, columns, color };
  return { text, output: new Output(streams, { json, quiet }) };
}

it('formats numbers', () => {
  expect([0, 999, 1000, 283386, 11173962].map(count)).toEqual(['0', '999', '1,000', '283,386', '11,173,962']);
  expect([0.9912, 1].map(percent)).toEqual(['99.12 %', '100.00 %']);
  expect([17, 999, 1134000, 4.2e9].map(bytes)).toEqual(['17 B', '999 B', '1.13 MB', '4.20 GB']);
  expect([12, 5_712_000, 999_999].map(magnitude)).toEqual(['12', '5.71 M', '1.00 M']);
  expect([0.85, 12.34, 59.99, 245, 7620].map(duration)).toEqual(['850 ms', '12.3 s', '1 min 00 s', '4 min 05 s', '2 h 07 min']);
  expect([0.4123, 12.34, 321.7].map(milliseconds)).toEqual(['0.412 ms', '12.3 ms', '322 ms']);
  expect([12.44, 127.02].map(times)).toEqual(['12.4x', '127x']);
});

it('aligns tables', () => {
  expect(
    table(
      [{ title: 'name' }, { title: 'n', align: 'right' }],
      [
        ['a', '1'],
        ['long name', '100'],
      ],
    ),
  ).toBe('name         n\n---------  ---\na            1\nlong name  100\n');
});

it('keeps data and notes apart, and prints one document with --json', () => {
  const plain = capture({});
  plain.output.note('a note');
  plain.output.result({ a: 1 }, () => 'text\n');
  expect(plain.text).toEqual({ out: 'text\n', err: 'a note\n' });
  const json = capture({ json: true });
  json.output.note('a note');
  json.output.result({ a: 1 }, () => 'text\n');
  expect(JSON.parse(json.text.out)).toEqual({ a: 1 });
  const quiet = capture({ quiet: true });
  quiet.output.note('a note');
  quiet.output.progress('work', 'samples').update(1, 2);
  expect(quiet.text).toEqual({ out: '', err: '' });
});

it('rewrites one line on a terminal, with rate and time left, and removes it', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const { text, output } = capture({ terminal: true, columns: 60 });
    const progress = output.progress('training', 'samples');
    vi.advanceTimersByTime(1000);
    progress.update(0, 4000);
    vi.advanceTimersByTime(1000);
    progress.update(1000, 4000, 'epoch 1/3, and a detail that is longer than the line is wide');
    vi.advanceTimersByTime(50);
    progress.update(1100, 4000); // too soon to be drawn
    output.note('done');
    const lines = text.err.split('\r\u001b[2K');
    expect(lines).toEqual(['', 'training: 0 %', 'training: 25 %, 1.00 k samples/s, 3.0 s left, epoch 1/3, an', 'done\n']);
  } finally {
    vi.useRealTimers();
  }
});

it('writes a line every ten seconds elsewhere, without escapes', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const { text, output } = capture({});
    const progress = output.progress('search', 'candidates');
    for (let i = 1; i <= 250; i++) {
      vi.advanceTimersByTime(100);
      progress.update(i, 250);
    }
    output.endProgress();
    expect(text.err.trimEnd().split('\n')).toHaveLength(2);
    expect(text.err).toMatch(/^search: 40 %, 10 candidates\/s, 15\.0 s left\nsearch: 80 %/);
  } finally {
    vi.useRealTimers();
  }
});
