// The commands, in the order of the help text.
import type { CommandDeclaration } from '../command.js';
import { baselineCommand } from './baseline.js';
import { benchRankingCommand } from './bench-ranking.js';
import { benchCompareCommand } from './bench-compare.js';
import { benchPeersCommand } from './bench-peers.js';
import { benchSearchCommand } from './bench-search.js';
import { benchAllCommand, benchOpsCommand, benchStepCommand } from './bench.js';
import { compressCommand } from './compress.js';
import { convertCommand } from './convert.js';
import { dataFetchCommand, dataListCommand } from './data.js';
import { doctorCommand } from './doctor.js';
import { evalCommand } from './eval.js';
import { inspectCommand } from './inspect.js';
import { quickstartCommand } from './quickstart.js';
import { resumeCommand } from './resume.js';
import { tuneCommand } from './tune.js';
import { trainCommand } from './train.js';

/** What a group of commands is about. */
export const groupDescriptions: Readonly<Record<string, string>> = {
  bench: 'speed of kernels and of whole steps on this machine',
  data: 'data sets known by name',
};

export const commands: readonly CommandDeclaration[] = [
  quickstartCommand,
  trainCommand,
  compressCommand,
  resumeCommand,
  baselineCommand,
  evalCommand,
  inspectCommand,
  convertCommand,
  dataListCommand,
  dataFetchCommand,
  doctorCommand,
  tuneCommand,
  benchOpsCommand,
  benchStepCommand,
  benchAllCommand,
  benchCompareCommand,
  benchPeersCommand,
  benchRankingCommand,
  benchSearchCommand,
];
