// What `npm start` and `npm test` run: brings a fresh machine to where the command can run, then runs it. Uses nothing
// but Node. This file checks Node's version and must parse on old ones; the steps are in bootstrap/main.mjs.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    'n2n: Node ' +
      process.versions.node +
      ' is too old, 20.19 or newer is needed. Install it from your distribution or nodejs.org, then run the same command again\n',
  );
  process.exitCode = 2;
} else {
  void import('./bootstrap/main.mjs');
}
