#!/usr/bin/env node
// Starts the command line from the built package. It is a committed file, so that npm can link `n2n` before the build.
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);

if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write(
    'n2n: the command line is not built yet (packages/cli/dist/main.js is missing). Run "npm run build", or "npm start", which sets everything up\n',
  );
  process.exitCode = 2;
}
