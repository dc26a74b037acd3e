// The process: streams, signals, exit code. It ends by itself once the device is closed; process.exit() with a live device
// can abort and lose output.
import { runCli } from './cli.js';
import { InterruptedError } from './errors.js';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // Once: a second signal of the kind ends the process at once, which loses nothing that was saved.
  process.once(signal, () => stop.abort(new InterruptedError(signal)));
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // `n2n ... | head` closes the pipe early; that is no failure.
    if (error.code !== 'EPIPE') throw error;
  });
}

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  terminal: process.stderr.isTTY === true,
  columns: process.stderr.columns ?? 80,
  color: process.stderr.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
  variables: process.env,
  signal: stop.signal,
  ...(process.argv[1] !== undefined && { self: [process.execPath, process.argv[1]] }),
});
