// @n2n/cli: the command line as a function, for tests and for tools that embed it.
export { runCli } from './cli.js';
export type { CliEnvironment } from './context.js';
