// An adapter that was asked for by name and is not there. In a file of its own: a process keeps the choice of its first device.
import { expect, it } from 'vitest';
import { n2n } from './testing/cli.js';

it('ends with 4, and names what was wanted and what there is', async () => {
  const { code, stdout, stderr } = await n2n(['bench', 'ops', '--adapter', 'nonsense']);
  expect(stderr).toMatch(/^n2n: no adapter with "nonsense" in its name was found; .*no suitable backends found.*name: '.+'/);
  expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
});
