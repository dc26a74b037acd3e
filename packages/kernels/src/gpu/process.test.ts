// What a whole process shows: stdout stays clean whatever goes wrong on the device, and the process ends by itself. Each case is
// a child process that runs the sources, bundled.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from 'vite';

const directory = await mkdtemp(join(tmpdir(), 'n2n-process-'));
const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

beforeAll(async () => {
  await symlink(source('../../../../node_modules'), join(directory, 'node_modules'));
  await mkdir(join(directory, 'gpu'));
  await build({
    configFile: false,
    logLevel: 'silent',
    root: directory,
    build: {
      ssr: source('./device.ts'),
      outDir: join(directory, 'gpu'),
      emptyOutDir: true,
      target: 'node20',
      rolldownOptions: { output: { entryFileNames: 'device.mjs' } },
    },
  });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

let children = 0;

/** Runs `body` with an open device `gpu` in a process of its own, which is killed after 20 s. */
async function child(body: string): Promise<Ended> {
  const file = join(directory, `child-${(children += 1)}.mjs`);
  await writeFile(file, `import { openDevice } from './gpu/device.mjs';\nconst gpu = await openDevice();\n${body}\n`);
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? null), stdout, stderr }),
    );
  });
}

describe('a process with a device', () => {
  it('ends by itself once the device is closed', async () => {
    const { code, stdout } = await child(`
      const slice = await gpu.allocate(1024, 'a');
      gpu.write(slice, new Float32Array(256).fill(3));
      const values = await gpu.read(slice);
      gpu.close();
      console.log(JSON.stringify({ last: values[255] }));`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '{"last":3}\n' });
  });

  it('prints nothing of its own on stdout when WebGPU refuses something, and the next await throws', async () => {
    const { code, stdout } = await child(`
      gpu.raw.createBuffer({ size: 2 ** 52, usage: 0 });
      let message = 'nothing was thrown';
      try { await gpu.done(); } catch (error) { message = error.name; }
      gpu.close();
      console.log(JSON.stringify({ message }));`);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '{"message":"DeviceUseError"}\n' });
  });

  it('ends with the code it set, with work still running', async () => {
    const { code, stdout } = await child(`
      const slice = await gpu.allocate(64 * 2 ** 20, 'a');
      const encoder = gpu.raw.createCommandEncoder();
      for (let i = 0; i < 20; i++) encoder.clearBuffer(slice.buffer);
      gpu.submit(encoder);
      process.exitCode = 6;
      gpu.close();
      console.log('done');`);
    expect({ code, stdout }).toEqual({ code: 6, stdout: 'done\n' });
  });
});
