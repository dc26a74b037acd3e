// The commands, in the order of the help text.
import type { CommandDeclaration } from '../command.js';
import { benchOpsCommand, benchStepCommand } from './bench.js';
import { compressCommand } from './compress.js';
import { doctorCommand } from './doctor.js';
import { evalCommand } from './eval.js';
import { inspectCommand } from './inspect.js';
import { quickstartCommand } from './quickstart.js';
import { resumeCommand } from './resume.js';
import { trainCommand } from './train.js';

export const commands: readonly CommandDeclaration[] = [
  quickstartCommand,
  trainCommand,
  compressCommand,
  resumeCommand,
  evalCommand,
  inspectCommand,
  doctorCommand,
  benchOpsCommand,
  benchStepCommand,
];
